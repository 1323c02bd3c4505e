"""Leases: one holder at a time for a name, across processes. One that dies loses it when its time is over."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.sql import insert_or_ignore
from records.tables import leases


async def take(connection: AsyncConnection, name: str, holder: str, now: datetime, length: timedelta) -> bool:
    """Take a lease that is free, expired, or the holder's own. False while another holder has it.

    All leases of one name have the same length. A lease that ends later than that was taken before the clock went back,
    and counts as expired.
    """
    row = {"name": name, "holder": holder, "until": now + length}
    if await insert_or_ignore(connection, leases, row):
        return True
    done = await connection.execute(
        sa.update(leases)
        .where(
            leases.c.name == name,
            sa.or_(leases.c.holder == holder, leases.c.until <= now, leases.c.until > now + 2 * length),
        )
        .values(holder=holder, until=now + length)
    )
    return bool(done.rowcount)


async def release(connection: AsyncConnection, name: str, holder: str) -> None:
    """Release a lease. One that another holder has taken meanwhile stays theirs."""
    await connection.execute(sa.delete(leases).where(leases.c.name == name, leases.c.holder == holder))
