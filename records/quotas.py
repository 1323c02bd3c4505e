"""Uses of quotas, one row each: counted in a rolling window, for all processes together."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records import locks
from records.sql import insert_or_ignore
from records.tables import quota_uses

QUOTAS_PRUNED_AT_ONCE = 100
"""Rows that one use removes at most, so that no start pays for all that have grown old."""


class Use(Value):
    """One use: `subject` is whose quota it is, `instance_id` what took it, `until` when it counts no more."""

    subject: str
    instance_id: str
    at: Moment
    until: Moment


async def hold(connection: AsyncConnection, subjects: Iterable[str]) -> None:
    """Lock these quotas until the transaction ends, always in one order: no deadlock."""
    for subject in sorted(subjects):
        await locks.alone(connection, f"quota of {subject}")


async def full_until(connection: AsyncConnection, subject: str, at_most: int, now: datetime) -> datetime | None:
    """Return when a use becomes free, None if one is free now. Needs `hold`, or another start takes it as well."""
    ends = sa.select(quota_uses.c.until).where(quota_uses.c.subject == subject, quota_uses.c.until > now)
    nth = ends.order_by(quota_uses.c.until.desc()).offset(at_most - 1).limit(1)
    found: datetime | None = await connection.scalar(nth)
    return found


async def take(connection: AsyncConnection, subject: str, instance_id: str, now: datetime, within: timedelta) -> None:
    """Count one use, once for each instance; forgets some uses that count no more."""
    use = {"subject": subject, "instance_id": instance_id, "at": now, "until": now + within}
    await insert_or_ignore(connection, quota_uses, use)
    old = sa.select(quota_uses.c.subject, quota_uses.c.instance_id).where(quota_uses.c.until <= now)
    gone = old.order_by(quota_uses.c.until).limit(QUOTAS_PRUNED_AT_ONCE).with_for_update(skip_locked=True)
    key = sa.tuple_(quota_uses.c.subject, quota_uses.c.instance_id)
    await connection.execute(sa.delete(quota_uses).where(key.in_(gone)))
