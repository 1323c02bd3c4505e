"""Turns of activities: a few are at work at a time, so that no click's steps stand behind those of hundreds.

The loop, the database's connections and its commits are shared with the clicks. An activity that waits for Slack or
for another system gives its turn back meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

ACTIVITIES_AT_WORK = 8


class Turns:
    """So many turns at once, first come first served. For one event loop."""

    def __init__(self, at_once: int = ACTIVITIES_AT_WORK) -> None:
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the block."""
        turn = _Turn(self._free)
        await turn.take()
        token = _TURN.set(turn)
        try:
            yield
        finally:
            _TURN.reset(token)
            turn.end()


class _Turn:
    """A turn of one activity, whose tasks may wait outside beside one another."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._held = self._over = False
        self._outside = 0

    async def take(self) -> None:
        await self._free.acquire()
        self._held = True
        if self._over:
            self.give()

    def give(self) -> None:
        if self._held:
            self._held = False
            self._free.release()

    def end(self) -> None:
        self._over = True
        self.give()

    @asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        self._outside += 1
        self.give()
        try:
            yield
        finally:
            self._outside -= 1
            if not self._outside and not self._over:
                await self.take()


_TURN: Final[ContextVar[_Turn | None]] = ContextVar("turn", default=None)


@asynccontextmanager
async def outside() -> AsyncIterator[None]:
    """Wait in the block for what is not ours, and let another activity work. Without a turn it is a plain block."""
    turn = _TURN.get()
    if turn is None:
        yield
        return
    async with turn.given_back():
        yield
