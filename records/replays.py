"""The first answer to each signed Slack request, so that the same signed bytes get it again and do nothing twice.

Knows only hashes of signatures. Rows older than the window in which Slack's signature is taken can be pruned.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.sql import fetch_one, insert_or_ignore
from records.tables import replays

KEEP = timedelta(minutes=20)
"""A signature is taken for ten minutes: its time may be five ahead or behind. As much again for a clock that jumped."""

REPLAYS_PRUNED_AT_ONCE = 500


class Replay(Value):
    """A request that was seen. `status` is None while its first answer is still being made."""

    signature_hash: str
    status: int | None = None
    headers: dict[str, str] | None = None
    body: bytes | None = None
    created_at: Moment


async def reserve(connection: AsyncConnection, signature_hash: str, now: datetime) -> Replay | None:
    """Claim a request. None if it is new and the caller must answer it; otherwise the first one's record."""
    row = Replay(signature_hash=signature_hash, created_at=now)
    if await insert_or_ignore(connection, replays, row.model_dump()):
        return None
    return await get(connection, signature_hash)


async def complete(
    connection: AsyncConnection, signature_hash: str, *, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Keep the answer that was given; the first one stands."""
    await connection.execute(
        sa.update(replays)
        .where(replays.c.signature_hash == signature_hash, replays.c.status.is_(None))
        .values(status=status, headers=headers, body=body)
    )


async def get(connection: AsyncConnection, signature_hash: str) -> Replay | None:
    """Return a request's record."""
    return await fetch_one(connection, sa.select(replays).where(replays.c.signature_hash == signature_hash), Replay)


async def prune(connection: AsyncConnection, now: datetime, *, limit: int = REPLAYS_PRUNED_AT_ONCE) -> int:
    """Forget up to `limit` requests that are older than KEEP. Returns how many; call again while it is `limit`."""
    old = sa.select(replays.c.signature_hash).where(replays.c.created_at < now - KEEP)
    few = old.order_by(replays.c.created_at).limit(limit).with_for_update(skip_locked=True)
    done = await connection.execute(sa.delete(replays).where(replays.c.signature_hash.in_(few)))
    return int(done.rowcount)
