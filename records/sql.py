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
from records.sqlite.prepared import Prepared
from records.unreadable import bad_row, set_aside

V = TypeVar("V", bound=Value)
One = TypeVar("One")


def inserting(connection: AsyncConnection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    """Return the dialect's INSERT, which knows ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


async def insert_or_ignore(connection: AsyncConnection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key exists. Returns whether it was inserted."""
    done = await _unless_there(connection.dialect.name, table, tuple(values)).run(connection, values)
    return done.changed == 1


@functools.cache
def _unless_there(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> Prepared:
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return Prepared(insert.on_conflict_do_nothing(), columns)


class Read(tuple[V, ...]):  # noqa: SLOT001 an attribute beside the items is what it is for
    """Rows as values. `raw` has those that were set aside as well: by it a page knows whether it was full."""

    raw: Sequence[Mapping[Any, Any]] = ()


async def one(connection: AsyncConnection, query: sa.Select[Any], kind: type[V]) -> V | None:
    """Return the only row as a value. Raises UnreadableRowError."""
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    try:
        return kind.model_validate(dict(row))
    except ValidationError as error:
        bad = bad_row(query, row, error)
        set_aside(connection, bad)
        raise UnreadableRowError(f"{bad.sentence} {MEND}", f"A stored row cannot be read. {MEND}") from error


MEND = "Other rows are not affected. An operator finds it with: countersign doctor."


async def rows(connection: AsyncConnection, query: sa.Select[Any], kind: type[V]) -> Read[V]:
    """Return all rows as values, without those that cannot be read: these are set aside. The query has its limit."""
    good: list[V] = []
    raw = (await connection.execute(query)).mappings().all()
    for row in raw:
        try:
            good.append(kind.model_validate(dict(row)))
        except ValidationError as error:
            set_aside(connection, bad_row(query, row, error))
    found = Read(good)
    found.raw = raw
    return found


FEW = 20
"""Rows to read when one is needed: the first may be damaged."""


async def readable(connection: AsyncConnection, query: "sa.Select[tuple[One]]") -> list[One]:
    """Return what can be read of the first values of one column: an end of an index may be damaged."""
    found: Sequence[Any] = (await connection.execute(query.limit(FEW))).scalars().all()
    return [value for value in found if value is not UNREADABLE]
