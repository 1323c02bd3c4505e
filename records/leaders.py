"""Leader leases: which process does each job that one process at a time does. Taken by a conditional update.

On PostgreSQL the server's clock counts, for machines differ; on SQLite the machine's, which all processes share.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.columns import EPOCH
from records.sql import fetch_all, insert_or_ignore
from records.tables import leaders


class Leader(Value):
    """A job's lease: who holds it until when. `holder` is empty after it was handed back."""

    job: str
    holder: str
    term: int
    until: Moment
    fit: bool


async def moment(connection: AsyncConnection, now: datetime) -> datetime:
    """Return the moment that counts for leases: the server's on PostgreSQL, `now` on SQLite."""
    if connection.dialect.name == "sqlite":
        return now
    return (await connection.execute(sa.text("SELECT clock_timestamp()"))).scalar_one()  # type: ignore[no-any-return]


async def all_of(connection: AsyncConnection) -> tuple[Leader, ...]:
    """Return the lease of each job."""
    return await fetch_all(connection, sa.select(leaders).order_by(leaders.c.job).limit(100), Leader)


def is_free(lease: Leader | None, holder: str, now: datetime, length: timedelta, *, fit: bool) -> bool:
    """Return whether a process may take a job: it is free, its lease has ended, or its holder fails at it.

    A lease that ends later than leases can was taken before a clock went back, and counts as over.
    """
    if lease is None or lease.until <= now or lease.until > now + 2 * length:
        return True
    return lease.holder != holder and not lease.fit and fit


async def take(  # noqa: PLR0913 a row's columns
    connection: AsyncConnection, job: str, holder: str, now: datetime, length: timedelta, *, fit: bool
) -> int | None:
    """Take a job that is free, or renew one's own. Returns the term, None while another process holds it.

    A holder that takes the lease again begins a new term: writes of its earlier term are refused.
    """
    first = {"job": job, "holder": holder, "term": 1, "until": now + length, "fit": fit}
    if await insert_or_ignore(connection, leaders, first):
        return 1
    found = sa.select(leaders).where(leaders.c.job == job).with_for_update()
    lease = Leader.model_validate(dict((await connection.execute(found)).mappings().one()))
    free = is_free(lease, holder, now, length, fit=fit)
    if not free and lease.holder != holder:
        return None
    term = lease.term + 1 if free else lease.term
    await connection.execute(
        sa.update(leaders).where(leaders.c.job == job).values(holder=holder, term=term, until=now + length, fit=fit)
    )
    return term


async def leads(connection: AsyncConnection, job: str, holder: str, term: int) -> bool:
    """Return whether a term still stands; until this transaction ends no other process can begin the next."""
    found = sa.select(leaders.c.job).where(leaders.c.job == job, leaders.c.holder == holder, leaders.c.term == term)
    return (await connection.execute(found.with_for_update(read=True))).scalar() is not None


async def hand_back(connection: AsyncConnection, jobs: Iterable[str], holder: str) -> None:
    """Free one's own jobs, so that another process takes them at once."""
    await connection.execute(
        sa.update(leaders)
        .where(leaders.c.job.in_(tuple(jobs)), leaders.c.holder == holder)
        .values(holder="", until=EPOCH)
    )
