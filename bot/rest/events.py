"""GET /events: what happens, as server-sent events, so that pages and scripts follow without polling."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.control.reading.event_stream import EventStream
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems

MOST_FOLLOWERS = 100
"""Streams at once in one process."""

LONGEST_STREAM_S = 600.0
"""Seconds until a stream ends. EventSource comes back by itself, with its position, and is authorized anew."""

DESCRIPTION = (
    "`workflow` events carry a workflow as the list has it, `history` events what somebody did, `reset` says to read "
    "the lists again. Send the last id as Last-Event-ID to go on from there. A comment every 15 s keeps it open; after "
    "ten minutes it ends, and an EventSource connects again by itself."
)


def routes(access: Access, following: EventStream) -> APIRouter:
    """Return the route of events."""
    router = APIRouter(tags=["events"], dependencies=SIGNED_IN)
    who = Depends(caller_of(access))

    async def admitted(caller: Annotated[Caller, who]) -> Caller:
        await following.demand(caller)
        if following.followers >= MOST_FOLLOWERS:
            raise Refused(Kind.UNAVAILABLE, "Too many follow at once. Try again in a moment.", retry_after=15)
        return caller

    @router.get("/events", response_class=EventSourceResponse, responses=problems(), description=DESCRIPTION)
    async def get_events(
        caller: Annotated[Caller, Depends(admitted)],
        last_event_id: Annotated[str, Header(max_length=60, examples=["17-1767621600000000"])] = "",
    ) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="following", retry=2000)
        async for change in following.follow(caller, last_event_id, LONGEST_STREAM_S):
            yield ServerSentEvent(event=change.kind, id=change.position, data=change.data)

    return router
