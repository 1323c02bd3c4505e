"""Keys of messages and entries that were written already: an activity that runs again writes neither twice."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.plain import Plain, Transaction
from records.sql import insert_or_ignore
from records.tables import sent


async def was(connection: AsyncConnection, key: str) -> bool:
    """Return whether this was told."""
    return await connection.scalar(sa.select(sent.c.key).where(sent.c.key == key)) is not None


@Plain
def note(transaction: Transaction, key: str, now: datetime) -> bool:
    """Note that it was told. False when it was noted before."""
    return insert_or_ignore.on(transaction, sent, {"key": key, "at": now})


async def probe(connection: AsyncConnection, now: datetime) -> None:
    """Write something, so that the commit finds out whether the disk has room: a full one lets a transaction begin."""
    await connection.execute(sa.delete(sent).where(sent.c.key == PROBE))
    await connection.execute(sa.insert(sent).values(key=PROBE, at=now))


PROBE = "probe"
