"""Rows for the reconciler and the event stream: changed lately, lagging cards, by id. Reads only."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.audit import Chained
from records.columns import UNREADABLE
from records.instances import Instance
from records.listing import SHOWN, Line
from records.sql import fetch_all, readable
from records.tables import OPEN, STALE, audit, instances
from records.unreadable import bad_row, bad_rows_of

AHEAD = timedelta(minutes=1)
"""A row that moved further in the future than this moved before the clock went back."""


class ComparedRow(NamedTuple):
    """The columns that a comparison needs. No model: thousands are read, of which hardly one has changed."""

    instance_id: str
    name: str
    engine_status: str
    custom_status: str
    phase: str
    updated_at: datetime


KNOWN = tuple(instances.c[name] for name in ComparedRow._fields)


async def open_rows(connection: AsyncConnection, *, after: str = "", limit: int = 500) -> tuple[ComparedRow, ...]:
    """Return rows that have not ended as far as we know, by id; `after` is the last one seen."""
    query = sa.select(*KNOWN).where(OPEN, instances.c.instance_id > after)
    return await _known(connection, query.order_by(instances.c.instance_id).limit(limit))


async def moved(connection: AsyncConnection, since: datetime, *, limit: int) -> tuple[ComparedRow, ...]:
    """Return unfinished rows that moved at a moment or later."""
    query = sa.select(*KNOWN).where(OPEN, instances.c.updated_at >= since)
    return await _known(connection, query.order_by(instances.c.updated_at).limit(limit))


async def known(connection: AsyncConnection, ids: Collection[str]) -> tuple[ComparedRow, ...]:
    """Return some rows by their ids. At most 1,000 at once."""
    return await _known(connection, sa.select(*KNOWN).where(instances.c.instance_id.in_(ids)))


async def _known(connection: AsyncConnection, query: sa.Select[Any]) -> tuple[ComparedRow, ...]:
    found = []
    for row in (await connection.execute(query)).mappings():
        if any(value is UNREADABLE for value in row.values()):
            bad_rows_of(connection.sync_connection).add(bad_row(query, row))
        else:
            found.append(ComparedRow(**row))
    return tuple(found)


async def progressed(connection: AsyncConnection, since: datetime, *, limit: int = 500) -> tuple[Line, ...]:
    """Return unfinished rows that moved at a moment or later, oldest movement first."""
    query = sa.select(*SHOWN).where(OPEN, instances.c.updated_at >= since)
    return await fetch_all(
        connection, query.order_by(instances.c.updated_at, instances.c.instance_id).limit(limit), Line
    )


async def finished(connection: AsyncConnection, since: datetime, *, limit: int = 500) -> tuple[Line, ...]:
    """Return rows that ended at a moment or later, oldest end first."""
    query = sa.select(*SHOWN).where(instances.c.finished_at >= since, instances.c.finished_at.is_not(None))
    return await fetch_all(
        connection, query.order_by(instances.c.finished_at, instances.c.instance_id).limit(limit), Line
    )


async def stale(
    connection: AsyncConnection, now: datetime, settled: timedelta, *, limit: int = 100
) -> tuple[Instance, ...]:
    """Return rows with stale cards, untouched for a while.

    One that was touched in the future counts as well: the clock went back, and the card must not wait until it is then.
    """
    touched = instances.c.updated_at
    query = sa.select(instances).where(STALE, sa.or_(touched < now - settled, touched > now + AHEAD))
    return await fetch_all(connection, query.order_by(instances.c.updated_at).limit(limit), Instance)


async def failed(connection: AsyncConnection, *, limit: int = 100) -> tuple[Instance, ...]:
    """Return what broke off with an error and is neither purged nor run again, newest first."""
    query = sa.select(instances).where(instances.c.engine_status == "FAILED", instances.c.phase != "purged")
    return await fetch_all(connection, query.order_by(instances.c.created_at.desc()).limit(limit), Instance)


async def ended(
    connection: AsyncConnection,
    created_before: datetime,
    *,
    after: str = "",
    ended_after: datetime | None = None,
    limit: int = 1_000,
) -> tuple[str, ...]:
    """Return ids of ended rows that are not known to be purged; `after` is the last one seen."""
    lately = () if ended_after is None else (instances.c.finished_at > ended_after,)
    query = sa.select(instances.c.instance_id).where(
        instances.c.instance_id > after,
        instances.c.finished_at.is_not(None),
        instances.c.phase != "purged",
        instances.c.created_at < created_before,
        *lately,
    )
    return tuple((await connection.execute(query.order_by(instances.c.instance_id).limit(limit))).scalars())


def _over(before: datetime) -> sa.ColumnElement[bool]:
    """Return the condition for what ended before a moment and is to be forgotten. A card that lags goes first."""
    return sa.and_(
        instances.c.finished_at.is_not(None),
        instances.c.finished_at < before,
        instances.c.phase != "purged",
        instances.c.wanted == instances.c.shown,
    )


async def count_over(connection: AsyncConnection, before: datetime) -> int:
    """Count rows that ended before a moment and are not forgotten."""
    found = await connection.scalar(sa.select(sa.func.count()).select_from(instances).where(_over(before)))
    return int(found or 0)


async def over(
    connection: AsyncConnection, before: datetime, *, after: tuple[datetime, str], limit: int
) -> tuple[tuple[datetime, str], ...]:
    """Return end and id of rows that ended before a moment and are not forgotten, oldest end first."""
    end, name = instances.c.finished_at, instances.c.instance_id
    later = sa.or_(end > after[0], sa.and_(end == after[0], name > after[1]))
    query = sa.select(end, name).where(_over(before), later).order_by(end, name).limit(limit)
    return tuple((ended, instance_id) for ended, instance_id in await connection.execute(query))


async def entries_after(connection: AsyncConnection, seq: int, *, limit: int = 200) -> tuple[Chained, ...]:
    """Return audit entries after one, oldest first."""
    query = sa.select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
    return await fetch_all(connection, query, Chained)


async def newest(connection: AsyncConnection) -> tuple[int, datetime | None]:
    """Return the newest audit entry's seq and the latest moment at which a row moved: three looks at indexes' ends."""
    seq = await connection.scalar(sa.select(sa.func.max(audit.c.seq)))
    updated, finished = instances.c.updated_at, instances.c.finished_at
    moved = await readable(connection, sa.select(updated).where(OPEN).order_by(updated.desc()))
    over = await readable(connection, sa.select(finished).where(finished.is_not(None)).order_by(finished.desc()))
    return int(seq or 0), max((*moved[:1], *over[:1]), default=None)
