"""An SQLite connection: aiosqlite's, whose calls run on the loop if they cannot wait.

aiosqlite sends every call (cursor, execute, fetch, close) to its thread: 1.4 ms for a click's three statements that
SQLite does in 0.02 ms. Here the writer's statements run at once, on the loop: under BEGIN IMMEDIATE in WAL mode they
touch memory only and cannot wait. What can wait goes to the connection's thread: BEGIN when another process writes,
COMMIT with its fsync, and a reader's statement. So a writer's statements must be short (rows by key, bounded batches),
and long work belongs in a reader.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from records.columns import UNREADABLE

T = TypeVar("T")

ROWS_AT_ONCE = 64


UNDECODABLE = "decode to UTF-8"
"""sqlite3's error for a text that is no UTF-8: one damaged row would fail the whole query."""


def _text_or_unreadable(text: bytes) -> object:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return UNREADABLE


class Connection(aiosqlite.Connection):
    """One SQLite connection, for one task at a time. `at_once` is the writer's way (see the module)."""

    raw: sqlite3.Connection

    def __init__(self, path: str, *, at_once: bool, busy_ms: int, extra: Iterable[str] = ()) -> None:
        def opening() -> sqlite3.Connection:
            self.raw = opened(path, at_once=at_once, busy_ms=busy_ms, extra=extra)
            return self.raw

        super().__init__(opening, ROWS_AT_ONCE)
        self._thread.daemon = True  # as SQLAlchemy does: a connection that was left behind keeps no program alive
        self.at_once = at_once
        self.busy_ms = busy_ms
        self.began = False
        self._last: tuple[Any, ...] = ()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a call where it belongs: aiosqlite's own way of all its calls. A reader who gives up interrupts it."""
        name = getattr(fn, "__name__", "")
        if name == "execute":
            self._last = fn, *args
        elif name == "fetchall":
            fn = partial(self._readable, fn)
        if self._is_quick(fn):
            self.demand_transaction()
            return fn(*args, **kwargs)
        try:
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            if not self.at_once:
                self.raw.interrupt()
            raise

    def _is_quick(self, fn: Callable[..., Any]) -> bool:
        name = getattr(fn, "__name__", "")  # a partial has none
        if getattr(fn, "__self__", None) is self.raw:
            return name not in {"commit", "close"} if self.at_once else name == "cursor"
        return self.at_once or name == "close"

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function of statements where they belong."""
        return await self._execute(function, *arguments)  # type: ignore[no-any-return]

    def demand_transaction(self) -> None:
        """Raise if SQLite rolled back by itself, as it does if the disk is full: statements would commit one by one."""
        if self.began and not self.raw.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back")

    def fetched(self, operation: str, parameters: Sequence[Any]) -> tuple[list[Any], int]:
        """Run one statement where the caller runs. Returns its rows, and how many rows it changed."""
        self.demand_transaction()
        cursor = self.raw.cursor()
        self._last = cursor.execute, operation, parameters
        cursor.execute(operation, parameters)
        return self._readable(cursor.fetchall), cursor.rowcount

    def _readable(self, fetchall: Callable[[], list[Any]]) -> list[Any]:
        """Fetch the last statement's rows. A text that is no UTF-8 is UNREADABLE, which no model takes."""
        try:
            return fetchall()
        except sqlite3.OperationalError as error:
            execute, operation, *parameters = self._last
            if UNDECODABLE not in str(error) or not operation.lstrip().upper().startswith("SELECT"):
                raise
        self.raw.text_factory = _text_or_unreadable
        try:
            execute(operation, *parameters)
            return fetchall()
        finally:
            self.raw.text_factory = str

    async def begin_immediate(self) -> None:
        """Take the write lock: at once when it is free, in the thread when another process has it."""
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await super()._execute(self._begin_patiently)  # type: ignore[no-untyped-call]
        self.began = True

    def _begin_patiently(self) -> None:
        self.raw.execute(f"PRAGMA busy_timeout={self.busy_ms}")
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        finally:
            self.raw.execute("PRAGMA busy_timeout=0")

    async def commit(self) -> None:
        """Commit. Raises if it was rolled back already: a commit that commits nothing must not look like one."""
        self.demand_transaction()
        if self.raw.in_transaction:
            await super().commit()
        self.began = False

    async def rollback(self) -> None:
        """Roll back what there is. What follows has to begin anew: SQLAlchemy rolls back unasked after some errors."""
        if self.raw.in_transaction:
            self.raw.rollback()

    def stop(self) -> "asyncio.Future[Any] | None":
        """Close without waiting; for connections that were abandoned."""
        if self._connection is not None:
            self.raw.interrupt()
        return super().stop()


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


def of(connection: AsyncConnection) -> Connection:
    """Return the driver's own connection below one of SQLAlchemy's."""
    below = connection.sync_connection.connection if connection.sync_connection else None
    found = below.driver_connection if below else None
    if not isinstance(found, Connection):
        raise sqlite3.ProgrammingError("the connection is closed")
    return found
