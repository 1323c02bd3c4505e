"""Webhook deliveries: rows written in the transaction that records an end, and kept as the log of what was told.

A row is reserved for each attempt. The body is kept as it was first written, so every attempt says the same.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from approvals.webhooks import Callback
from records.forgetting import unless_purged
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.sql import fetch_all, fetch_one, insert_or_ignore
from records.tables import webhook_deliveries as deliveries

State = Literal["due", "sent", "given_up"]


class Delivery(Value):
    """A message to another system. `next_attempt_at` is the lease's end while it is reserved, None once it is over.

    `last_status` is the HTTP status of the last attempt, None if there was no answer; then `problem` says why.
    """

    id: str
    instance_id: str
    signer: str
    url: str
    event: str
    body: str
    state: State = "due"
    holder: str = ""
    attempts: int = 0
    next_attempt_at: Moment | None = None
    last_status: int | None = None
    problem: str = ""
    created_at: Moment
    over_at: Moment | None = None


def message(event: str, at: datetime, data: dict[str, Any]) -> str:
    """Return a message's body: its type, when it happened, and what it is about."""
    whole = {"type": event, "timestamp": at.isoformat(), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def telling(callback: Callback, message_id: str, event: str, data: dict[str, Any], now: datetime) -> Delivery:
    """Return the delivery that tells an end or an event. `data` is the request as its asker sees it."""
    return Delivery(
        id=message_id,
        instance_id=data["id"],
        signer=callback.signer,
        url=callback.url,
        event=event,
        body=message(event, now, data),
        next_attempt_at=now,
        created_at=now,
    )


@Plain
def enqueue(transaction: Transaction, wanted: Delivery) -> bool:
    """Insert a delivery once. Returns whether it is new."""
    return insert_or_ignore.on(transaction, deliveries, dict(wanted))


@Plain
def count(transaction: Transaction, instance_id: str) -> int:
    """Return how many messages there are about an instance."""
    return int(COUNT.run(transaction, {"wanted": instance_id}).rows[0][0])


COUNT = Prepared(
    sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.instance_id == sa.bindparam("wanted"))
)


DUE = deliveries.c.state == "due"


async def due(connection: AsyncConnection, now: datetime, longest: timedelta, limit: int) -> tuple[Delivery, ...]:
    """Return due deliveries, the longest due first; reserves nothing.

    A moment further off than the `longest` pause was set before the clock went back: that row is due as well.
    """
    at = deliveries.c.next_attempt_at
    late = sa.or_(at <= now, at > now + longest)
    return await fetch_all(
        connection, sa.select(deliveries).where(DUE, late).order_by(at, deliveries.c.id).limit(limit), Delivery
    )


async def reserve(  # noqa: PLR0913, PLR0917 a lease has a holder, a moment and two lengths
    connection: AsyncConnection, row_id: str, holder: str, now: datetime, lease: timedelta, longest: timedelta
) -> bool:
    """Take a delivery for one attempt. False if it is over, or if another process holds it."""
    at = deliveries.c.next_attempt_at
    done = await connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row_id, DUE, sa.or_(at <= now, at > now + longest))
        .values(holder=holder, next_attempt_at=now + lease)
    )
    return bool(done.rowcount)


KEPT = unless_purged(deliveries.c.body, "")


async def settle(
    connection: AsyncConnection, row_id: str, now: datetime, *, state: State, again_at: datetime | None, **last: Any
) -> None:
    """Note an attempt: `last` has its `last_status` and `problem`."""
    over = None if state == "due" else now
    await connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row_id)
        .values(
            holder="",
            state=state,
            next_attempt_at=again_at,
            over_at=over,
            attempts=deliveries.c.attempts + 1,
            body=deliveries.c.body if state == "due" else KEPT,
            **last,
        )
    )


async def redrive(connection: AsyncConnection, row_id: str, now: datetime) -> bool:
    """Make a delivery due again, with all its attempts. False if it is due already, purged or unknown."""
    done = await connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == row_id, deliveries.c.state != "due", deliveries.c.body != "")
        .values(state="due", attempts=0, created_at=now, next_attempt_at=now, over_at=None, holder="")
    )
    return bool(done.rowcount)


async def forget(connection: AsyncConnection, instance_id: str) -> None:
    """Erase what was told of a purged instance. What is still due is told first, and stays."""
    over = sa.and_(deliveries.c.instance_id == instance_id, deliveries.c.state != "due")
    await connection.execute(sa.update(deliveries).where(over).values(body=""))


async def oldest(connection: AsyncConnection) -> datetime | None:
    """Return when the oldest delivery that is over began."""
    over = sa.select(deliveries.c.created_at).where(deliveries.c.state != "due").order_by(deliveries.c.created_at)
    found: datetime | None = await connection.scalar(over.limit(1))
    return found


async def prune(connection: AsyncConnection, before: datetime, *, limit: int = 500) -> int:
    """Delete deliveries that began before a moment and are over, the oldest first. Returns how many."""
    old = sa.select(deliveries.c.id).where(deliveries.c.created_at < before, deliveries.c.state != "due")
    few = old.order_by(deliveries.c.created_at).limit(limit)
    return (await connection.execute(sa.delete(deliveries).where(deliveries.c.id.in_(few)))).rowcount


async def get(connection: AsyncConnection, row_id: str) -> Delivery | None:
    """Return one delivery."""
    return await fetch_one(connection, sa.select(deliveries).where(deliveries.c.id == row_id), Delivery)


async def page(  # noqa: PLR0913 a filter
    connection: AsyncConnection,
    *,
    signer: str | None = None,
    state: str | None = None,
    instance_id: str | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> tuple[Delivery, ...]:
    """Return deliveries, the newest first; `after` is the moment and id of the last one seen."""
    wanted = {"signer": signer, "state": state, "instance_id": instance_id}
    fits = [deliveries.c[name] == value for name, value in wanted.items() if value is not None]
    if after is not None:
        place = sa.tuple_(deliveries.c.created_at, deliveries.c.id)
        fits.append(place < sa.tuple_(sa.literal(after[0], deliveries.c.created_at.type), sa.literal(after[1])))
    order = (deliveries.c.created_at.desc(), deliveries.c.id.desc())
    return await fetch_all(connection, sa.select(deliveries).where(*fits).order_by(*order).limit(limit), Delivery)
