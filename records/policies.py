"""Every policy that was ever in force, by version: an auditor can read the one that applied to a decision."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records import locks
from records.sql import FEW_ROWS, fetch_all, fetch_one, insert_or_ignore
from records.tables import policies


class PolicySeen(Value):
    """A policy's content as it was in force. `seen_at` is when it first was."""

    version: str
    content: str
    seen_at: Moment
    last_seen_at: Moment


async def record_seen(
    connection: AsyncConnection, version: str, content: str, now: datetime
) -> tuple[bool, str | None]:
    """Note that a policy is in force. Returns whether it differs from the one before, and that one's version."""
    await locks.alone(connection, "policies")
    before = await newest(connection)
    if before is not None and before.version == version:
        return False, version
    row = PolicySeen(version=version, content=content, seen_at=now, last_seen_at=now)
    if not await insert_or_ignore(connection, policies, row.model_dump()):
        await connection.execute(sa.update(policies).where(policies.c.version == version).values(last_seen_at=now))
    previous = None if before is None else before.version
    return previous != version, previous


async def get(connection: AsyncConnection, version: str) -> PolicySeen | None:
    """Return one policy by its version."""
    return await fetch_one(connection, sa.select(policies).where(policies.c.version == version), PolicySeen)


async def versions(connection: AsyncConnection, limit: int = 200) -> tuple[str, ...]:
    """Return the versions that were seen in force last: more than the requests that still wait can have been under."""
    query = sa.select(policies.c.version).order_by(policies.c.last_seen_at.desc()).limit(limit)
    return tuple((await connection.execute(query)).scalars())


async def newest(connection: AsyncConnection) -> PolicySeen | None:
    """Return the policy that was seen in force last."""
    order = (policies.c.last_seen_at.desc(), policies.c.seen_at.desc())
    found = await fetch_all(connection, sa.select(policies).order_by(*order).limit(FEW_ROWS), PolicySeen)
    return found[0] if found else None


async def page(connection: AsyncConnection, limit: int = 50) -> tuple[PolicySeen, ...]:
    """Return policies, last seen first."""
    return await fetch_all(
        connection, sa.select(policies).order_by(policies.c.last_seen_at.desc()).limit(limit), PolicySeen
    )
