"""A fence: a led loop writes only while its lease stands, so that a process that was frozen writes nothing late."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

Fence = Callable[[AsyncConnection], Awaitable[None]]
"""Raises LeaseLostError inside the write's own transaction, so that a take-over comes before it or after it."""

_FENCE: Final[ContextVar[Fence | None]] = ContextVar("fence", default=None)


@contextmanager
def fenced(wanted: Fence) -> Iterator[None]:
    """Put a fence before every write of this block and of the tasks that it starts."""
    token = _FENCE.set(wanted)
    try:
        yield
    finally:
        _FENCE.reset(token)


def fence() -> Fence | None:
    """Return the fence of this task, if there is one."""
    return _FENCE.get()


async def check(connection: AsyncConnection) -> None:
    """Ask the fence, if there is one. Raises: LeaseLostError."""
    standing = fence()
    if standing is not None:
        await standing(connection)
