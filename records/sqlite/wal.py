"""SQLite's write-ahead log, moved into the database file beside the writers.

Left to itself SQLite lets the commit that fills the log move it: tens of milliseconds of fsync, within a click.
"""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from records.errors import RecordsError

log = structlog.get_logger(__name__)

COMMITS = 300
"""The log is moved after this many commits, of about ten pages each."""

PASSES = 5
"""SQLite restarts the WAL only after a full checkpoint; a few passes usually reach it."""

PAGES = 10_000
"""From this size (40 MB) SQLite moves the log itself: writers that never pause keep ours from ending it."""


class WriteAheadLog:
    """Counts commits and moves the log on one of the readers' connections, in its thread. For one event loop."""

    def __init__(self, readers: AsyncEngine) -> None:
        self._readers = readers
        self._commits = 0
        self._moving: asyncio.Task[None] | None = None

    def committed(self) -> None:
        """Note a commit; begin to move the log when there were enough. Waits for nothing."""
        self._commits += 1
        if self._commits >= COMMITS and (self._moving is None or self._moving.done()):
            self._commits = 0
            self._moving = asyncio.get_running_loop().create_task(self._move())

    async def _move(self) -> None:
        try:
            async with self._readers.connect() as connection:
                for _ in range(PASSES):
                    self._commits = 0
                    await connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")  # waits for no reader, no writer
                    if self._commits == 0:
                        break
        except (RecordsError, SQLAlchemyError, OSError) as error:
            log.warning("the write-ahead log was not moved; the next time does it too", why=str(error))

    async def close(self) -> None:
        """Wait for the move under way."""
        if self._moving is not None:
            await asyncio.wait((self._moving,))
