"""An SQLite connection in the shape of aiosqlite's, made for one short transaction at a time.

aiosqlite sends every call (cursor, execute, fetch, close) to its thread: 1.4 ms for a click's three statements that
SQLite does in 0.02 ms. Here the writer's statements run at once, on the loop: under BEGIN IMMEDIATE in WAL mode they
touch memory only and cannot wait. What can wait goes to the connection's thread: BEGIN when another process writes,
COMMIT with its fsync, and a reader's statement, which is one trip with its rows. So a writer's statements must be short
(rows by key, bounded batches), and long work belongs in a reader.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from records.columns import UNREADABLE
from records.sqlite.threads import CallThread

T = TypeVar("T")


UNDECODABLE = "decode to UTF-8"
"""sqlite3's error for a text that is no UTF-8: one damaged row would fail the whole query."""


def _text_or_unreadable(text: bytes) -> object:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return UNREADABLE


class Cursor:
    """The part of aiosqlite's cursor that SQLAlchemy's adapter uses. Rows are fetched with the statement."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = 0

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Self:
        """Run one statement and take all its rows."""
        await self.connection.run(self._execute, operation, parameters)
        return self

    async def executemany(self, operation: str, parameters: Sequence[Any]) -> Self:
        """Run one statement for each row of parameters."""
        await self.connection.run(self._executemany, operation, parameters)
        return self

    def _execute(self, operation: str, parameters: Sequence[Any]) -> None:
        self._keep(self.connection.executed(operation, parameters))

    def _executemany(self, operation: str, parameters: Sequence[Any]) -> None:
        cursor = self.connection.raw.executemany(operation, parameters)
        self._keep((cursor, cursor.fetchall()))

    def _keep(self, found: "tuple[sqlite3.Cursor, list[Any]]") -> None:
        cursor, self.rows = found
        self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
        cursor.close()

    async def fetchall(self) -> list[Any]:
        """Give the rows."""
        rows, self.rows = self.rows, []
        return rows

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Give the next rows."""
        size = size or self.arraysize
        rows, self.rows = self.rows[:size], self.rows[size:]
        return rows

    async def fetchone(self) -> Any:
        """Give the next row or None."""
        return self.rows.pop(0) if self.rows else None

    async def close(self) -> None:
        """Drop the rows that were not fetched; those already handed over stay with SQLAlchemy."""


class Connection:
    """One SQLite connection, for one task at a time. `at_once` is the writer's way (see the module)."""

    isolation_level = None

    def __init__(self, raw: sqlite3.Connection, thread: CallThread, *, at_once: bool, busy_ms: int) -> None:
        self.raw = raw
        self.at_once = at_once
        self.busy_ms = busy_ms
        self.began = False
        self._thread = thread
        self._connection: sqlite3.Connection | None = raw  # SQLAlchemy's adapter asks for it to see whether we are open

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a statement where it belongs."""
        if not self.at_once:
            return await self.in_thread(function, *arguments)
        self._demand_transaction()
        return function(*arguments)

    def _demand_transaction(self) -> None:
        if self.began and not self.raw.in_transaction:
            # SQLite rolls back by itself when the disk is full; going on would commit each statement by itself.
            raise sqlite3.OperationalError("the transaction was rolled back")

    def fetched(self, operation: str, parameters: Sequence[Any]) -> tuple[list[Any], int]:
        """Run one statement where the caller runs. Returns its rows, and how many rows it changed."""
        self._demand_transaction()
        cursor, rows = self.executed(operation, parameters)
        changed = cursor.rowcount
        cursor.close()
        return rows, changed

    def executed(self, operation: str, parameters: Sequence[Any]) -> tuple[sqlite3.Cursor, list[Any]]:
        """Run one statement and take all its rows. A text that is no UTF-8 is UNREADABLE, which no model takes."""
        try:
            cursor = self.raw.execute(operation, parameters)
            return cursor, cursor.fetchall()
        except sqlite3.OperationalError as error:
            if UNDECODABLE not in str(error) or not operation.lstrip().upper().startswith("SELECT"):
                raise
        self.raw.text_factory = _text_or_unreadable
        try:
            cursor = self.raw.execute(operation, parameters)
            return cursor, cursor.fetchall()
        finally:
            self.raw.text_factory = str

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run in the connection's thread. A caller that gives up interrupts the statement."""
        try:
            return await self._thread.call(function, *arguments)
        except asyncio.CancelledError:
            if not self.at_once:
                self.raw.interrupt()
            raise

    async def begin_immediate(self) -> None:
        """Take the write lock: at once when it is free, in the thread when another process has it."""
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await self.in_thread(self._begin_patiently)
        self.began = True

    def _begin_patiently(self) -> None:
        self.raw.execute(f"PRAGMA busy_timeout={self.busy_ms}")
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        finally:
            self.raw.execute("PRAGMA busy_timeout=0")

    async def commit(self) -> None:
        """Commit. Raises if it was rolled back already: a commit that commits nothing must not look like one."""
        if self.began and not self.raw.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back")
        if self.raw.in_transaction:
            await self.in_thread(self.raw.commit)
        self.began = False

    async def rollback(self) -> None:
        """Roll back what there is. What follows has to begin anew: SQLAlchemy rolls back unasked after some errors."""
        if self.raw.in_transaction:
            self.raw.rollback()

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        """Register a function; SQLAlchemy does so when it connects."""
        self.raw.create_function(*arguments, **options)

    async def close(self) -> None:
        """Close after whatever still runs in the thread."""
        if self._connection is not None:
            self._connection = None
            try:
                await self._thread.call(self.raw.close)
            finally:
                self._thread.end()

    def stop(self) -> None:
        """Close without waiting; for connections that were abandoned."""
        if self._connection is not None:
            self._connection = None
            self.raw.interrupt()
            self._thread.end(self.raw.close)


def opened(path: str, *, at_once: bool, busy_ms: int, extra: Iterable[str] = ()) -> sqlite3.Connection:
    """Open the file and set what every connection needs. `extra` are further statements."""
    raw = sqlite3.connect(path, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False)
    try:
        # FULL: a commit that the caller was told of survives a power cut. recursive_triggers: INSERT OR REPLACE
        # would otherwise delete an audit entry without asking the trigger.
        _to_wal(raw, busy_ms)
        for statement in (
            "PRAGMA synchronous=FULL",
            "PRAGMA foreign_keys=ON",
            "PRAGMA recursive_triggers=ON",
            *extra,
        ):
            raw.execute(statement)
        raw.execute(f"PRAGMA busy_timeout={0 if at_once else busy_ms}")
    except sqlite3.Error:
        raw.close()
        raise
    return raw


def _to_wal(raw: sqlite3.Connection, busy_ms: int) -> None:
    """Switch the file to WAL. To several who make it together SQLite says "locked" at once, whatever the timeout."""
    until = time.monotonic() + busy_ms / 1000
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


async def connect(path: str, *, at_once: bool, busy_ms: int, extra: Iterable[str] = ()) -> Connection:
    """Open a connection with its thread. Raises sqlite3.Error."""
    thread = CallThread("records")

    def work() -> sqlite3.Connection:
        return opened(path, at_once=at_once, busy_ms=busy_ms, extra=extra)

    try:
        raw = await thread.call(work)
    except BaseException:
        thread.end()
        raise
    return Connection(raw, thread, at_once=at_once, busy_ms=busy_ms)


def of(connection: AsyncConnection) -> Connection:
    """Return the driver's own connection below one of SQLAlchemy's."""
    below = connection.sync_connection.connection if connection.sync_connection else None
    found = below.driver_connection if below else None
    if not isinstance(found, Connection):
        raise sqlite3.ProgrammingError("the connection is closed")
    return found
