"""Statements of the hot paths: built and compiled once for each database, and run without more ado.

SQLAlchemy's way to run a compiled statement costs several times what the database needs for the statement itself. The
types of the columns are honoured all the same. They run in plain functions (`records.plain`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from records.plain import Transaction

Convert = Callable[[Any], Any]
DIALECTS: dict[str, Dialect] = {"sqlite": sqlite.dialect(paramstyle="qmark"), "postgresql": asyncpg.dialect()}  # type: ignore[no-untyped-call]


class Executed(NamedTuple):
    """The result of a statement: its rows, and how many rows it changed."""

    rows: Sequence[Sequence[Any]]
    changed: int


class Prepared:
    """One statement. `columns` are those that an INSERT names; None means all of its table."""

    def __init__(self, statement: sa.Executable, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, transaction: Transaction, values: Mapping[str, Any]) -> Executed:
        """Run it with values by name; others are NULL or the statement's own."""
        compiled = self._compiled.get(transaction.dialect) or self._compile(transaction.dialect)
        given = [bind(values.get(name, default)) for name, bind, default in compiled.parameters]
        found, changed = transaction.run(compiled.text, given)
        return Executed(
            [[read(value) for read, value in zip(compiled.results, row, strict=True)] for row in found], changed
        )

    def mappings(self, transaction: Transaction, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it and return its rows by the names of their columns."""
        found = self.run(transaction, values).rows
        names = self._compiled[transaction.dialect].names
        return [dict(zip(names, row, strict=True)) for row in found]

    def _compile(self, kind: str) -> "_Compiled":
        dialect, statement = DIALECTS[kind], self._statement
        compiled: Any = statement.compile(dialect=dialect, column_keys=self._columns)  # type: ignore[attr-defined]
        parameters = [
            (name, _convert(dialect, compiled.binds[name].type, "bind_processor"), compiled.params[name])
            for name in compiled.positiontup
        ]
        columns = list(getattr(statement, "exported_columns", ()))
        results = [_convert(dialect, each.type, "result_processor", None) for each in columns]
        found = _Compiled(str(compiled), parameters, results, tuple(each.name for each in columns))
        return self._compiled.setdefault(dialect.name, found)


class _Compiled(NamedTuple):
    text: str
    parameters: list[tuple[str, Convert, Any]]
    results: list[Convert]
    names: tuple[str, ...]


def _convert(dialect: Dialect, kind: Any, processor: str, *more: Any) -> Convert:
    """Return the way of our own column types; the plain ones (numbers, bytes) are the drivers' own."""
    if not isinstance(kind, TypeDecorator):
        return _same
    return getattr(kind.dialect_impl(dialect), processor)(dialect, *more) or _same


def _same(value: Any) -> Any:
    return value
