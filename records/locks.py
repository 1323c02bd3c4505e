"""Locks by a name, for what reads several rows before it writes: held until the transaction ends."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection


async def alone(connection: AsyncConnection, name: str) -> None:
    """Wait until no other transaction holds this name. SQLite lets one writer in at a time anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
