"""/live : tells open pages that something has happened, not what. They fetch themselves again, as their reader.

Readers are notified only of what they may see: the stream that programs have at /events, without its content.
"""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bot.access.authenticating import Caller
from bot.access.refusals import Refused
from bot.control.reading.event_stream import EventStream
from bot.dashboard.rendering import guarded
from bot.dashboard.sessions import Sessions, SignInNeededError

STREAM_S = 60.0
"""A stream ends after this and the browser opens the next, so that a session which has ended is noticed."""

MOST_STREAMS = 500
"""Open streams of one process; further ones are told to come back later."""

LONGEST_ID = 60


class Live:
    """Follows for pages."""

    def __init__(self, following: EventStream, sessions: Sessions) -> None:
        self._following = following
        self._sessions = sessions

    def register(self, router: APIRouter) -> None:
        """Add the stream."""
        router.get("/live", include_in_schema=False)(self.stream)

    async def stream(self, request: Request) -> Response:
        """Answer with server-sent events."""
        try:
            signed_in = await self._sessions.enter(request)
            await self._following.demand(signed_in.caller)
        except (SignInNeededError, Refused):
            return guarded(Response(status_code=204))  # tells the browser's EventSource not to come back
        if self._following.followers >= MOST_STREAMS:
            return guarded(Response(status_code=503, headers={"Retry-After": "30"}))
        seen = request.headers.get("last-event-id", "")[:LONGEST_ID]
        return guarded(StreamingResponse(self._events(signed_in.caller, seen), media_type="text/event-stream"))

    async def _events(self, caller: Caller, seen: str) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        async for change in self._following.follow(caller, seen, STREAM_S):
            yield f"id: {change.position}\nevent: changed\ndata: {{}}\n\n"
