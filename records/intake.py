"""Decisions on their way to the workflow, kept until it has answered (law: acknowledged means durable).

Knows nothing of what a decision says: the payload is the signed event as it will be raised.
"""

import functools
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.forgetting import unless_purged
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.sql import One, Read, fetch_all, insert_or_ignore, readable
from records.tables import UNANSWERED, instances, intake

State = Literal["pending", "raised", "answered"]

LONGEST_WAIT = timedelta(minutes=10)
"""The longest wait before a raised decision is raised again. One that is still pending waits seconds."""


class Submission(Value):
    """A decision to take in. `id` is the decision's id."""

    id: str
    instance_id: str
    payload: dict[str, Any]
    person: str
    through: str


class Row(Submission):
    """A decision in the intake. `verdict` is the workflow's answer."""

    state: State
    verdict: dict[str, Any] | None = None
    attempts: int = 0
    next_attempt_at: Moment | None = None
    created_at: Moment
    answered_at: Moment | None = None


class RequestPosition(NamedTuple):
    """Where a request stands, as far as a decision depends on it."""

    phase: str
    run: datetime
    stage: int
    round: int


class StaleError(Exception):
    """A request stands elsewhere than its decision was checked against. Nothing was written."""


@Plain
def submit(
    transaction: Transaction,
    submission: Submission,
    now: datetime,
    *,
    lease: timedelta = timedelta(0),
    expected: RequestPosition | None = None,
) -> tuple[Row, bool]:
    """Take a decision in. Returns its row and whether it is new: the same id again gives the first row and False.

    With a `lease` the caller says that it delivers the decision itself at once, so `due` gives it to nobody before.
    Raises: StaleError if the request does not stand as `expected`.
    """
    own: dict[str, Any] = {
        "state": "pending",
        "attempts": 1 if lease else 0,
        "next_attempt_at": now + lease,
        "created_at": now,
    }
    fields: dict[str, Any] = dict.fromkeys(Row.model_fields) | dict(submission) | own
    if expected is None:
        new = insert_or_ignore.on(transaction, intake, fields)
    else:
        insert = _insert_while(transaction.dialect)
        stands = {f"expected_{name}": value for name, value in expected._asdict().items()}
        new = insert.run(transaction, fields | stands).changed == 1
    if new:
        # The submission was validated and the rest is ours: a click waits for this.
        return Row.model_construct(**fields), True
    first = get.on(transaction, submission.id)
    if first is None and expected is not None:
        raise StaleError
    if first is None:
        raise LookupError(submission.id)
    return first, False


@functools.cache
def _insert_while(dialect: str) -> Prepared:
    """Return the INSERT of a decision whose request stands as expected: one statement, for a click waits for it."""
    values = [sa.bindparam(name, type_=intake.c[name].type) for name in Row.model_fields]
    stands = [instances.c[name] == sa.bindparam(f"expected_{name}") for name in RequestPosition._fields]
    there = sa.exists().where(instances.c.instance_id == sa.bindparam("instance_id"), *stands)
    insert = sqlite.insert(intake) if dialect == "sqlite" else postgresql.insert(intake)
    return Prepared(
        insert.from_select(list(Row.model_fields), sa.select(*values).where(there)).on_conflict_do_nothing()
    )


@Plain
def get(transaction: Transaction, decision_id: str) -> Row | None:
    """Return one decision by its id."""
    return GET.get(transaction, Row, decision=decision_id)


GET = One(sa.select(intake).where(intake.c.id == sa.bindparam("decision")))


async def due(connection: AsyncConnection, now: datetime, limit: int, lease: timedelta) -> tuple[Row, ...]:
    """Claim decisions that wait for delivery: for the length of `lease` no other process gets them.

    One that was raised but not answered is due again later: docs/explanation/dapr.md#when-parts-die
    A time later than any pause was set before the clock went back: that row is due as well.
    One that cannot be read is claimed with them and left out: it comes again with its lease, behind all others.
    """
    waiting = sa.select(intake).where(intake.c.answered_at.is_(None))
    due_now = waiting.where(intake.c.next_attempt_at <= now)
    found = await _first(connection, due_now, limit)
    if not found.raw:
        found = await _first(connection, waiting.where(_never(now, lease)), limit)
    if found.raw:
        await connection.execute(
            sa.update(intake)
            .where(intake.c.id.in_([row["id"] for row in found.raw]))
            .values(next_attempt_at=now + lease, attempts=intake.c.attempts + 1)
        )
    claimed = {"next_attempt_at": now + lease}
    return tuple(row.model_copy(update=claimed | {"attempts": row.attempts + 1}) for row in found)


async def _first(connection: AsyncConnection, query: sa.Select[Any], limit: int) -> Read[Row]:
    few = query.order_by(intake.c.next_attempt_at, intake.c.id).limit(limit)
    return await fetch_all(connection, few.with_for_update(skip_locked=True), Row)


def _never(now: datetime, lease: timedelta) -> sa.ColumnElement[bool]:
    """Return the condition for retry times later than any this code sets: the clock went back."""
    at = intake.c.next_attempt_at
    return sa.and_(at > now + 2 * lease, sa.or_(intake.c.state == "pending", at > now + LONGEST_WAIT))


@Plain
def raised(transaction: Transaction, decision_id: str, again_at: datetime) -> None:
    """Note that the event was raised. Without an answer it is due again at `again_at`."""
    RAISED.run(transaction, {"decision": decision_id, "at": again_at})


@Plain
def retry_at(transaction: Transaction, decision_id: str, moment: datetime) -> None:
    """Note that raising failed and when to try again."""
    RETRY_AT.run(transaction, {"decision": decision_id, "at": moment})


@Plain
def make_due(transaction: Transaction, instance_id: str, now: datetime) -> None:
    """Make an instance's unanswered decisions due at once: something happened that answers them."""
    HURRY.run(transaction, {"instance": instance_id, "at": now})


KEPT = unless_purged(intake.c.payload, {})


@Plain
def answer(transaction: Transaction, decision_id: str, verdict: dict[str, Any], now: datetime) -> bool:
    """Keep the workflow's verdict, once. False if the decision is unknown or was answered before: the first stands."""
    return ANSWER.run(transaction, {"decision": decision_id, "verdict": verdict, "now": now}).changed == 1


@Plain
def answer_last(
    transaction: Transaction, decision_id: str, verdict: dict[str, Any], instance_id: str, now: datetime
) -> bool:
    """Keep the verdict on a decision as `answer` does, and make the instance's others due as `make_due` does."""
    values = {"decision": decision_id, "verdict": verdict, "instance": instance_id, "now": now}
    return [decision_id] in [list(row) for row in ANSWER_LAST.run(transaction, values).rows]


THIS = intake.c.id == sa.bindparam("decision")
NOW = sa.bindparam("now", type_=intake.c.answered_at.type)
VERDICT = sa.bindparam("verdict", type_=intake.c.verdict.type)
AT = sa.bindparam("at", type_=intake.c.next_attempt_at.type)
RAISED = Prepared(sa.update(intake).where(THIS, UNANSWERED).values(state="raised", next_attempt_at=AT))
RETRY_AT = Prepared(sa.update(intake).where(THIS, UNANSWERED).values(next_attempt_at=AT))
HURRY = Prepared(
    sa.update(intake).where(intake.c.instance_id == sa.bindparam("instance"), UNANSWERED).values(next_attempt_at=AT)
)
ANSWER = Prepared(
    sa.update(intake)
    .where(THIS, UNANSWERED)
    .values(state="answered", verdict=VERDICT, answered_at=NOW, next_attempt_at=sa.null(), payload=KEPT)
)
ANSWER_LAST = Prepared(
    sa.update(intake)
    .where(sa.or_(THIS, intake.c.instance_id == sa.bindparam("instance")), intake.c.answered_at.is_(None))
    .values(
        state=sa.case((THIS, "answered"), else_=intake.c.state),
        verdict=sa.case((THIS, VERDICT), else_=intake.c.verdict),
        answered_at=sa.case((THIS, NOW), else_=intake.c.answered_at),
        next_attempt_at=sa.case((THIS, sa.null()), else_=NOW),
        payload=sa.case((THIS, KEPT), else_=intake.c.payload),
    )
    .returning(intake.c.id)
)


@Plain
def answered(transaction: Transaction, decision_ids: Collection[str]) -> frozenset[str]:
    """Return which of these decisions the workflow has answered for."""
    given = {f"decision_{place}": decision_id for place, decision_id in enumerate(decision_ids)}
    return frozenset(key for (key,) in _answered(len(given)).run(transaction, given).rows)


@functools.lru_cache(maxsize=128)
def _answered(count: int) -> Prepared:
    among = [sa.bindparam(f"decision_{place}", type_=sa.Text) for place in range(count)]
    return Prepared(sa.select(intake.c.id).where(intake.c.id.in_(among), intake.c.verdict.is_not(None)))


async def verdicts(connection: AsyncConnection, decision_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the answers to decisions, of those that are answered."""
    query = sa.select(intake.c.id, intake.c.verdict).where(intake.c.id.in_(decision_ids), intake.c.verdict.is_not(None))
    return {key: verdict for key, verdict in await connection.execute(query) if isinstance(verdict, dict)}


GOING_ON = ~sa.exists().where(instances.c.instance_id == intake.c.instance_id, instances.c.engine_status == "SUSPENDED")
"""True of a decision whose request is not paused: a pause is deliberate, and its decisions count when it is over."""


async def oldest_undelivered(connection: AsyncConnection, now: datetime) -> timedelta | None:
    """Return the age of the oldest unanswered decision of a request that is not paused, None when there is none."""
    unanswered = sa.select(intake.c.created_at).where(intake.c.answered_at.is_(None), GOING_ON)
    moments = await readable(connection, unanswered.order_by(intake.c.created_at))
    return now - moments[0] if moments else None


async def waited_for(connection: AsyncConnection, instance_ids: Collection[str]) -> frozenset[str]:
    """Return which of these instances have an unanswered decision."""
    waiting = sa.select(intake.c.instance_id).where(
        intake.c.instance_id.in_(instance_ids), intake.c.answered_at.is_(None)
    )
    return frozenset(await connection.scalars(waiting.distinct()))


async def undelivered(connection: AsyncConnection, at_most: int = 10_000) -> int:
    """Count unanswered decisions, up to a bound."""
    few = sa.select(intake.c.id).where(intake.c.answered_at.is_(None)).limit(at_most).subquery()
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0)


async def unanswered(connection: AsyncConnection, before: datetime, limit: int) -> tuple[Row, ...]:
    """Return decisions taken in before a moment, without an answer though nothing is paused, oldest first."""
    wanted = sa.select(intake).where(intake.c.answered_at.is_(None), intake.c.created_at <= before, GOING_ON)
    return await fetch_all(connection, wanted.order_by(intake.c.created_at, intake.c.id).limit(limit), Row)


async def pending_for(connection: AsyncConnection, instance_id: str, limit: int = 100) -> tuple[Row, ...]:
    """Return an instance's unanswered decisions, oldest first."""
    wanted = sa.select(intake).where(intake.c.instance_id == instance_id, intake.c.answered_at.is_(None))
    return await fetch_all(connection, wanted.order_by(intake.c.created_at, intake.c.id).limit(limit), Row)


async def of_instance(connection: AsyncConnection, instance_id: str, limit: int = 100) -> tuple[Row, ...]:
    """Return an instance's decisions, newest first."""
    wanted = sa.select(intake).where(intake.c.instance_id == instance_id)
    return await fetch_all(connection, wanted.order_by(intake.c.created_at.desc(), intake.c.id).limit(limit), Row)
