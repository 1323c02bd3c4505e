"""Statements that several modules write the same way on both databases. No table is named here."""

import functools
from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Value
from records.sqlite.prepared import Prepared

V = TypeVar("V", bound=Value)


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


async def one(connection: AsyncConnection, query: sa.Select[Any], kind: type[V]) -> V | None:
    """Return the only row as a value."""
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else kind.model_validate(dict(row))


async def rows(connection: AsyncConnection, query: sa.Select[Any], kind: type[V]) -> tuple[V, ...]:
    """Return all rows as values. The query bears its own limit."""
    return tuple(kind.model_validate(dict(row)) for row in (await connection.execute(query)).mappings())
