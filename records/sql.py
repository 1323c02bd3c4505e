"""Statements that several modules write the same way on both databases. No table is named here."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Value
from records.columns import UNREADABLE
from records.errors import UnreadableRowError
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.unreadable import BadRows, bad_row, bad_rows_of

V = TypeVar("V", bound=Value)
T = TypeVar("T")


def inserting(connection: AsyncConnection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    """Return the dialect's INSERT, which knows ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


@Plain
def insert_or_ignore(transaction: Transaction, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key exists. Returns whether it was inserted."""
    return _unless_there(transaction.dialect, table, tuple(values)).run(transaction, values).changed == 1


@functools.cache
def _unless_there(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> Prepared:
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return Prepared(insert.on_conflict_do_nothing(), columns)


MOST_ROWS = 32
"""Rows in one INSERT."""


@Plain
def insert_all(transaction: Transaction, table: sa.Table, wanted: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
    """Insert rows of the same columns unless their keys exist. Returns the keys of those that are new."""
    new: list[Sequence[Any]] = []
    for start in range(0, len(wanted), MOST_ROWS):
        some = wanted[start : start + MOST_ROWS]
        values = {f"{name}_{place}": value for place, row in enumerate(some) for name, value in row.items()}
        insert = _all_unless_there(transaction.dialect, table, tuple(some[0]), len(some))
        new += insert.run(transaction, values).rows
    return new


@functools.cache
def _all_unless_there(dialect: str, table: sa.Table, columns: tuple[str, ...], count: int) -> Prepared:
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    rows = [
        {name: sa.bindparam(f"{name}_{place}", type_=table.c[name].type) for name in columns} for place in range(count)
    ]
    return Prepared(insert.values(rows).on_conflict_do_nothing().returning(*table.primary_key))


class Read(tuple[V, ...]):  # noqa: SLOT001 an attribute beside the items is what it is for
    """Rows as values. `raw` has those that were set aside as well: by it a page knows whether it was full."""

    raw: Sequence[Mapping[Any, Any]] = ()


async def fetch_one(connection: AsyncConnection, query: sa.Select[Any], kind: type[V]) -> V | None:
    """Return the only row as a value. Raises UnreadableRowError."""
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else _read(bad_rows_of(connection.sync_connection), query, dict(row), kind)


class One:
    """A query for one row, on a hot path: compiled once."""

    def __init__(self, query: sa.Select[Any]) -> None:
        self._query = query
        self._prepared = Prepared(query)

    def get(self, transaction: Transaction, kind: type[V], **values: Any) -> V | None:
        """Return the only row as a value, None if there is none. Raises UnreadableRowError."""
        found = self._prepared.mappings(transaction, values)
        return _read(transaction.bad_rows, self._query, found[0], kind) if found else None


def _read(bad_rows: BadRows, query: sa.Select[Any], row: Mapping[str, Any], kind: type[V]) -> V:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        bad = bad_row(query, row, error)
        bad_rows.add(bad)
        raise UnreadableRowError(f"{bad.sentence} {MEND}", f"A stored row cannot be read. {MEND}") from error


MEND = "Other rows are not affected. An operator finds it with: countersign doctor."


async def fetch_all(connection: AsyncConnection, query: sa.Select[Any], kind: type[V]) -> Read[V]:
    """Return all rows as values, without those that cannot be read: these are set aside. The query has its limit."""
    good: list[V] = []
    raw = (await connection.execute(query)).mappings().all()
    for row in raw:
        try:
            good.append(kind.model_validate(dict(row)))
        except ValidationError as error:
            bad_rows_of(connection.sync_connection).add(bad_row(query, row, error))
    found = Read(good)
    found.raw = raw
    return found


FEW_ROWS = 20
"""Rows to read when one is needed: the first may be damaged."""


async def readable(connection: AsyncConnection, query: "sa.Select[tuple[T]]") -> list[T]:
    """Return what can be read of the first values of one column: an end of an index may be damaged."""
    found: Sequence[Any] = (await connection.execute(query.limit(FEW_ROWS))).scalars().all()
    return [value for value in found if value is not UNREADABLE]
