"""The end of a process, part by part: none can hold up the others, and the log names the one that would have."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog

log = structlog.get_logger(__name__)

PART_S: Final = 5.0
"""How long a part may take to end. What must survive is in the database: leaving one behind loses nothing."""


class Shutdown(AsyncExitStack):
    """Ends parts in the opposite order of their naming, each within its time, whatever becomes of the others."""

    def then(self, part: str, end: Callable[[], Awaitable[object]], within_s: float = PART_S) -> None:
        """Let `end` be called before the ends that are named already."""
        self.push_async_callback(_ended, part, end, within_s)


async def _ended(part: str, end: Callable[[], Awaitable[object]], within_s: float) -> None:
    task = asyncio.ensure_future(end())
    await asyncio.wait((task,), timeout=within_s)
    if not task.done():
        task.cancel()
        log.error("a part did not end in time and is left behind", part=part, seconds=within_s, waiting=_waiting())
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part failed at its end", part=part, exc_info=error)


def _waiting() -> list[str]:
    """Name what still waits, and where: that finds the defect."""
    return [
        f"{task.get_name()} at {frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
        for task in asyncio.all_tasks()
        for frame in task.get_stack(limit=1)
    ]
