"""Counts for alerts. Reads only, by the indexes of open rows."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.audit_actions import AuditAction
from records.tables import OPEN, STALE, audit, instances

AT_MOST = 10_000


async def _count(connection: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> int:
    few = sa.select(instances.c.instance_id).where(*conditions).limit(AT_MOST).subquery()
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0)


async def waiting(connection: AsyncConnection) -> int:
    """Count requests that wait for a decision, up to a bound."""
    return await _count(connection, instances.c.phase == "waiting")


async def unposted(connection: AsyncConnection, before: datetime) -> int:
    """Count requests asked before a moment whose current card Slack has not taken."""
    lacking = sa.or_(instances.c.posted == "", instances.c.posted != instances.c.posting)
    return await _count(connection, OPEN, instances.c.phase == "waiting", lacking, instances.c.created_at < before)


async def stale(connection: AsyncConnection, before: datetime) -> int:
    """Count requests whose cards are stale since a moment."""
    return await _count(connection, STALE, instances.c.updated_at < before)


async def failed(connection: AsyncConnection) -> int:
    """Count workflows that broke off with an error, until they are purged or run again."""
    query = sa.select(sa.func.count()).where(instances.c.engine_status == "FAILED", instances.c.phase != "purged")
    return int(await connection.scalar(query) or 0)


FORGED = (
    AuditAction.EVIDENCE_REFUSED,
    AuditAction.EVIDENCE_MISSING,
    AuditAction.START_REFUSED,
    AuditAction.START_UNSIGNED,
)
"""Entries that a stranger at the sidecar's port leaves."""


async def forged(connection: AsyncConnection) -> dict[str, int]:
    """Count such entries by their action, of all time."""
    named = [each.value for each in FORGED]
    query = sa.select(audit.c.action, sa.func.count()).where(audit.c.action.in_(named)).group_by(audit.c.action)
    return {str(action): int(count) for action, count in await connection.execute(query)}
