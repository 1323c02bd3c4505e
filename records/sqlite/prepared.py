"""Statements that a click waits for. Built and compiled once; on SQLite our own driver runs them without more ado.

SQLAlchemy's way to run a compiled statement costs several times what SQLite needs for the statement itself. The types
of the columns are honoured either way. PostgreSQL's way over the network is the longer one, so it stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from records.sqlite import driver

Convert = Callable[[Any], Any]
SQLITE = sqlite.dialect(paramstyle="qmark")


class Done(NamedTuple):
    """The result of a statement: its rows, and how many rows it changed."""

    rows: Sequence[Sequence[Any]]
    changed: int


class Prepared:
    """One statement. `columns` are those that an INSERT names; None means all of its table."""

    def __init__(self, statement: sa.Executable, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns

    async def run(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Done:
        """Run it with values by name; others are NULL or the statement's own."""
        if connection.dialect.name != "sqlite":
            done = await connection.execute(self._statement, values)
            return Done(done.all() if done.returns_rows else (), done.rowcount)
        compiled = self._compiled
        given = [bind(values.get(name, default)) for name, bind, default in compiled.parameters]
        cursor = await driver.of(connection).cursor().execute(compiled.text, given)
        found = await cursor.fetchall()
        read = compiled.results
        return Done([[one(value) for one, value in zip(read, row, strict=True)] for row in found], cursor.rowcount)

    @cached_property
    def _compiled(self) -> "_Compiled":
        compiled: Any = self._statement.compile(dialect=SQLITE, column_keys=self._columns)  # type: ignore[attr-defined]
        parameters = [
            (name, _convert(compiled.binds[name].type, "bind_processor"), compiled.params[name])
            for name in compiled.positiontup
        ]
        columns = getattr(self._statement, "selected_columns", ())
        return _Compiled(str(compiled), parameters, [_convert(one.type, "result_processor", None) for one in columns])


class _Compiled(NamedTuple):
    text: str
    parameters: list[tuple[str, Convert, Any]]
    results: list[Convert]


def _convert(kind: Any, processor: str, *more: Any) -> Convert:
    return getattr(kind.dialect_impl(SQLITE), processor)(SQLITE, *more) or _same


def _same(value: Any) -> Any:
    return value
