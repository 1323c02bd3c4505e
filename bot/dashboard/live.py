"""/live : tells open pages that something has happened, not what. They fetch themselves again, as their reader.

One look at the database a second serves every open page, and none is made while no page is open.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bot.dashboard.door import Door, SignInNeededError
from bot.dashboard.rendering import guarded
from records import audit
from records.database import Database
from records.errors import RecordsError
from records.tables import instances

PAUSE_S = 1.0
STREAM_S = 10.0
"""A stream ends after this and the browser opens the next: a server that shuts down waits no longer for open pages,
and a session that has ended is noticed."""

MOST = 500
"""Open streams of one process; further ones are told to come back later."""


class Live:
    """Looks for what is new while somebody wants to know."""

    def __init__(self, database: Database, door: Door) -> None:
        self._database = database
        self._door = door
        self._mark: tuple[object, ...] = ()
        self._changed = asyncio.Event()
        self._open = 0
        self._looking: asyncio.Task[None] | None = None

    def register(self, router: APIRouter) -> None:
        """Add the stream."""
        router.get("/live", include_in_schema=False)(self.stream)

    async def stream(self, request: Request) -> Response:
        """Answer with server-sent events."""
        try:
            await self._door.enter(request)
        except SignInNeededError:
            return guarded(Response(status_code=204))  # tells the browser's EventSource not to come back
        if self._open >= MOST:
            return guarded(Response(status_code=503, headers={"Retry-After": "30"}))
        seen = request.headers.get("last-event-id", "")
        return guarded(StreamingResponse(self._events(seen), media_type="text/event-stream"))

    async def _events(self, seen: str) -> AsyncIterator[str]:
        self._open += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look for what open pages show")
        try:
            await self._refresh()
            yield "retry: 500\n\n"
            if seen != self.mark:
                yield _event("changed" if seen else "open", self.mark)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STREAM_S):
                    while True:
                        await self._changed.wait()
                        yield _event("changed", self.mark)
        finally:
            self._open -= 1

    @property
    def mark(self) -> str:
        """What was last seen, as an event's id."""
        return "-".join(map(str, self._mark))

    async def _look(self) -> None:
        while self._open:
            await asyncio.sleep(PAUSE_S)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            async with self._database.read() as connection:
                head = await audit.head(connection)
                # Only the unfinished ones, for which there is an index; each end is in the audit.
                moved = await connection.scalar(
                    sa.select(sa.func.max(sa.type_coerce(instances.c.updated_at, sa.BigInteger))).where(
                        instances.c.finished_at.is_(None)
                    )
                )
        except RecordsError:
            return
        mark = (head.seq if head else 0, moved or 0)
        if mark != self._mark:
            self._mark = mark
            self._changed.set()
            self._changed.clear()


def _event(name: str, mark: str) -> str:
    return f"id: {mark}\nevent: {name}\ndata: {{}}\n\n"
