"""Sessions of the dashboard that ended before their time. A session itself is its cookie; only its end is kept."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.sql import insert_or_ignore
from records.tables import revoked_sessions


async def revoke(connection: AsyncConnection, session_id: str, now: datetime, forget_before: datetime) -> None:
    """Note that a session has ended. Those that ended before `forget_before` are over by their age, and forgotten."""
    await connection.execute(sa.delete(revoked_sessions).where(revoked_sessions.c.at < forget_before))
    await insert_or_ignore(connection, revoked_sessions, {"session_id": session_id, "at": now})


async def is_revoked(connection: AsyncConnection, session_id: str) -> bool:
    """Return whether a session has ended."""
    wanted = sa.select(revoked_sessions.c.session_id).where(revoked_sessions.c.session_id == session_id)
    return await connection.scalar(wanted) is not None
