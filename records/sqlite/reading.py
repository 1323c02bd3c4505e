"""Short reads on SQLite that run at once: a row by its key costs less than the way to a thread and back."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records import plain
from records.plain import Transaction
from records.sqlite import driver
from records.writing import discard

T = TypeVar("T")


class QuickReader:
    """One connection that reads. In WAL mode a reader never waits. For one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._connecting = asyncio.Lock()

    async def look(self, work: Callable[[Transaction], T]) -> T:
        """Run plain work on one committed state. Raises: sqlite3.Error, SQLAlchemyError."""
        connection = await self._connected()
        raw = driver.of(connection).raw
        try:
            raw.execute("BEGIN")
            try:
                return work(plain.on_sqlite(connection))
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
        except sqlite3.Error:
            await self.close()
            raise

    async def _connected(self) -> AsyncConnection:
        async with self._connecting:
            if self._connection is None:
                self._connection = await self._engine.connect()
            return self._connection

    async def close(self) -> None:
        """Let the connection go; the next look makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await discard(connection)
