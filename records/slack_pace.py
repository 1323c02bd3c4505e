"""Slack's limits as all processes know them: until when a queue stops, and when its next post may begin."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.sql import fetch_all, insert_or_ignore
from records.tables import slack_pace


class Held(Value):
    """A queue that Slack has told to wait: `key` is its method and channel."""

    key: str
    not_before: Moment
    next_at: Moment


async def hold(connection: AsyncConnection, key: str, until: datetime) -> None:
    """Hold all calls until a moment; a later one already set stays."""
    if not await insert_or_ignore(connection, slack_pace, {"key": key, "not_before": until, "next_at": until}):
        await connection.execute(
            sa.update(slack_pace)
            .where(slack_pace.c.key == key, slack_pace.c.not_before < until)
            .values(not_before=until, next_at=until)
        )


async def held(connection: AsyncConnection, since: datetime, limit: int = 1_000) -> tuple[Held, ...]:
    """Return the queues that were stopped until a moment or later."""
    found = sa.select(slack_pace).where(slack_pace.c.not_before >= since)
    return await fetch_all(connection, found.order_by(slack_pace.c.not_before.desc()).limit(limit), Held)


async def take_slot(connection: AsyncConnection, key: str, now: datetime, spacing: timedelta) -> datetime:
    """Take the next moment at which a post may begin in a queue that was stopped before, and return it.

    A moment that is further off than an hour was set before the clock went back, and counts as now.
    """
    await insert_or_ignore(connection, slack_pace, {"key": key, "not_before": now, "next_at": now})
    found = await connection.scalar(sa.select(slack_pace.c.next_at).where(slack_pace.c.key == key).with_for_update())
    mine = max(now, found) if found is not None and found < now + timedelta(hours=1) else now
    await connection.execute(sa.update(slack_pace).where(slack_pace.c.key == key).values(next_at=mine + spacing))
    return mine


async def forget(connection: AsyncConnection, before: datetime) -> None:
    """Forget queues that were stopped long ago: each person's direct messages are one."""
    old = sa.select(slack_pace.c.key).where(slack_pace.c.not_before < before).with_for_update(skip_locked=True)
    await connection.execute(sa.delete(slack_pace).where(slack_pace.c.key.in_(old)))
