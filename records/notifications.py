"""Notifications: rows written with the step that they are about, kept until Slack has taken or refused them.

A row is reserved right before it is sent. So none is sent twice unless its sender died between Slack's taking it and
the note of it here. Knows keys and moments; what a row says is its reader's business.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.forgetting import unless_purged
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.sql import fetch_all, insert_all
from records.tables import UNSENT, notifications

Kind = Literal["card", "thread", "requester", "answer", "reminder", "alarm"]
Result = Literal["", "sent", "refused"]
URGENCY: dict[Kind, int] = {"card": 0, "alarm": 1, "answer": 1, "thread": 2, "requester": 2, "reminder": 2}


class Notification(Value):
    """A notification, idempotent by its `id`; its reader defines `content`."""

    id: str
    instance_id: str
    kind: Kind
    content: dict[str, Any] = Field(default_factory=dict)


class NotificationRow(Notification):
    """A notification in the table. `next_attempt_at` is None once it is over, the lease's end while it is reserved."""

    urgency: int
    holder: str = ""
    attempts: int = 0
    next_attempt_at: Moment | None = None
    created_at: Moment
    over_at: Moment | None = None
    result: Result = ""
    problem: str = ""


@Plain
def enqueue(transaction: Transaction, wanted: Sequence[Notification], now: datetime) -> tuple[NotificationRow, ...]:
    """Insert notifications, each once; returns the new rows."""
    own = {"next_attempt_at": now, "created_at": now}
    made = {each.id: NotificationRow(**dict(each) | own | {"urgency": URGENCY[each.kind]}) for each in wanted}
    new = {key for (key,) in insert_all.on(transaction, notifications, [dict(row) for row in made.values()])}
    return tuple(row for row in made.values() if row.id in new)


DUE = notifications.c.next_attempt_at
ORDER = (notifications.c.urgency, notifications.c.created_at, notifications.c.id)


async def due(
    connection: AsyncConnection, now: datetime, longest: timedelta, limit: int
) -> tuple[NotificationRow, ...]:
    """Return due notifications, the most urgent first; reserves nothing.

    A moment further off than the `longest` pause was set before the clock went back: that row is due as well.
    """
    late = sa.or_(now >= DUE, now + longest < DUE)
    return await fetch_all(
        connection, sa.select(notifications).where(UNSENT, late).order_by(*ORDER).limit(limit), NotificationRow
    )


@Plain
def reserve(  # noqa: PLR0913, PLR0917 a lease has a holder, a moment and two lengths
    transaction: Transaction, row_id: str, holder: str, now: datetime, lease: timedelta, longest: timedelta
) -> bool:
    """Take a row for one attempt. False if it is over, or if another process holds it."""
    values = {"row": row_id, "by": holder, "now": now, "until": now + lease, "longest": now + longest}
    return RESERVE.run(transaction, values).changed == 1


THIS = notifications.c.id == sa.bindparam("row")
BY = sa.bindparam("by", type_=notifications.c.holder.type)
NOW, LONGEST, UNTIL = (sa.bindparam(name, type_=DUE.type) for name in ("now", "longest", "until"))
PROBLEM = sa.bindparam("said", type_=notifications.c.problem.type)
RESERVE = Prepared(
    sa.update(notifications)
    .where(THIS, UNSENT, sa.or_(notifications.c.holder.in_(("", BY)), DUE <= NOW, DUE > LONGEST))
    .values(holder=BY, next_attempt_at=UNTIL)
)
RETRY_AT = Prepared(
    sa.update(notifications)
    .where(THIS, UNSENT)
    .values(holder="", next_attempt_at=UNTIL, problem=PROBLEM, attempts=sa.bindparam("tried", type_=sa.Integer))
)
FINISH = Prepared(
    sa.update(notifications)
    .where(THIS, UNSENT)
    .values(
        holder="",
        next_attempt_at=sa.null(),
        over_at=NOW,
        result=sa.bindparam("outcome", type_=notifications.c.result.type),
        problem=PROBLEM,
        content=unless_purged(notifications.c.content, {}),
    )
)
DROP = Prepared(sa.delete(notifications).where(THIS, UNSENT))


@Plain
def retry_at(transaction: Transaction, row_id: str, moment: datetime, problem: str, attempts: int) -> None:
    """Give a row back: it was not sent, and is due again at a moment. `attempts` is how often it has been tried."""
    RETRY_AT.run(transaction, {"row": row_id, "until": moment, "said": problem[:300], "tried": attempts})


@Plain
def finish(
    transaction: Transaction, row_id: str, result: Literal["sent", "refused"], now: datetime, problem: str = ""
) -> None:
    """Note what became of a row."""
    FINISH.run(transaction, {"row": row_id, "now": now, "outcome": result, "said": problem[:300]})


@Plain
def drop(transaction: Transaction, row_id: str) -> None:
    """Forget a row that has nothing to tell now; the same telling may come again."""
    DROP.run(transaction, {"row": row_id})


async def refused(connection: AsyncConnection, since: datetime, limit: int) -> tuple[NotificationRow, ...]:
    """Return what Slack refused for good since a moment, oldest first."""
    found = sa.select(notifications).where(notifications.c.result == "refused", notifications.c.over_at >= since)
    return await fetch_all(connection, found.order_by(notifications.c.over_at).limit(limit), NotificationRow)


async def late(connection: AsyncConnection, before: datetime, limit: int) -> tuple[NotificationRow, ...]:
    """Return unsent notifications that were due before a moment, oldest first."""
    found = sa.select(notifications).where(UNSENT, notifications.c.created_at < before)
    return await fetch_all(connection, found.order_by(notifications.c.created_at).limit(limit), NotificationRow)


async def unsent(connection: AsyncConnection, at_most: int = 10_000) -> int:
    """Count unsent notifications, up to a bound."""
    few = sa.select(notifications.c.id).where(UNSENT).limit(at_most).subquery()
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0)


async def of_instance(connection: AsyncConnection, instance_id: str, limit: int = 100) -> tuple[NotificationRow, ...]:
    """Return an instance's notifications, oldest first."""
    found = sa.select(notifications).where(notifications.c.instance_id == instance_id)
    return await fetch_all(
        connection, found.order_by(notifications.c.created_at, notifications.c.id).limit(limit), NotificationRow
    )
