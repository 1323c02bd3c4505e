"""What was told and written already: an activity that runs again does neither twice. Knows keys, not words."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.sql import insert_or_ignore
from records.tables import sent


async def was(connection: AsyncConnection, key: str) -> bool:
    """Return whether this was told."""
    return await connection.scalar(sa.select(sent.c.key).where(sent.c.key == key)) is not None


async def note(connection: AsyncConnection, key: str, now: datetime) -> bool:
    """Note that it was told. False when it was noted before."""
    return await insert_or_ignore(connection, sent, {"key": key, "at": now})
