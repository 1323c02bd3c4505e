"""Plain functions of a transaction: they run whole, without an await, the same on both databases.

On SQLite a function's statements run at once: with nothing to wait for between them, several writers fit into one
commit and no other work of the loop comes between their statements. On PostgreSQL SQLAlchemy waits for the server in
their place.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.sqlite import driver
from records.unreadable import BadRows, bad_rows_of

P = ParamSpec("P")
T = TypeVar("T")
QueryResult = tuple[Sequence[Sequence[Any]], int]
"""A statement's rows, and how many rows it changed."""


class Transaction(Protocol):
    """A transaction as plain functions see it. `info` lives with its connection; `bad_rows` takes damaged rows."""

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the database."""

    @property
    def info(self) -> dict[Any, Any]:
        """SQLAlchemy's `info` dictionary of the connection."""

    @property
    def bad_rows(self) -> BadRows:
        """The list of damaged rows."""

    def run(self, text: str, values: Sequence[Any]) -> QueryResult:
        """Run one compiled statement. Raises the driver's errors."""


Work: TypeAlias = Callable[Concatenate[Transaction, P], T]
"""A plain function, with its further arguments."""


class OnSqlite:
    """A transaction on SQLite's own connection."""

    dialect = "sqlite"

    def __init__(self, below: driver.Connection, info: dict[Any, Any], bad_rows: BadRows) -> None:
        self._below = below
        self.info = info
        self.bad_rows = bad_rows

    @property
    def stands(self) -> bool:
        """Whether it has not ended: SQLite rolls back by itself if the disk is full."""
        return self._below.raw.in_transaction

    def run(self, text: str, values: Sequence[Any]) -> QueryResult:
        """Run one compiled statement. Raises: sqlite3.Error."""
        return self._below.fetched(text, values)


class OnPostgres:
    """A transaction on SQLAlchemy's connection, inside `run_sync`."""

    dialect = "postgresql"

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.info = connection.info
        self.bad_rows = bad_rows_of(connection)

    def run(self, text: str, values: Sequence[Any]) -> QueryResult:
        """Run one compiled statement. Raises: SQLAlchemyError."""
        done = self._connection.exec_driver_sql(text, tuple(values))
        return done.all() if done.returns_rows else (), done.rowcount


class Plain(Generic[P, T]):
    """A plain function of a transaction. Called with a connection it is awaited; `on` is for other plain functions."""

    def __init__(self, work: Work[P, T]) -> None:
        self.on = work
        functools.update_wrapper(self, work)

    async def __call__(self, connection: AsyncConnection, *arguments: P.args, **named: P.kwargs) -> T:
        """Run it in a connection's transaction."""
        return await run(connection, lambda transaction: self.on(transaction, *arguments, **named))


async def run(connection: AsyncConnection, work: Callable[[Transaction], T]) -> T:
    """Run plain work in a connection's transaction."""
    if connection.dialect.name == "sqlite":
        return await driver.of(connection).run(work, on_sqlite(connection))
    return await connection.run_sync(lambda sync: work(OnPostgres(sync)))


def on_sqlite(connection: AsyncConnection) -> OnSqlite:
    """Return the transaction of a connection to SQLite."""
    return OnSqlite(driver.of(connection), connection.info, bad_rows_of(connection.sync_connection))
