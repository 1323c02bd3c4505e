"""The read model: one row for every workflow instance that is known, started by us or found in the engine.

A projection: it follows what the workflow decided (law: the workflow is the only authority). Lists are in `listing`,
figures in `statistics`.
"""

import functools
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.decision import Approval, Outcome
from approvals.request import ApprovalRequest, CardRef, Stage
from approvals.seats import SeatStanding, standings
from approvals.state import State
from approvals.statuses import ENDED, Status
from approvals.values import Moment, Value
from approvals.webhooks import Callback, Event, event_id, message_id
from records import search, webhooks
from records.columns import Json
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.sql import One, fetch_all, fetch_one, insert_all, insert_or_ignore
from records.tables import instance_words, instances, intake, notifications, waiting

Phase = Literal[
    "starting", "waiting", "approved", "rejected", "timed_out", "withdrawn", "terminated", "purged", "failed", "unknown"
]
ENDS: frozenset[Phase] = frozenset({"approved", "rejected", "timed_out", "withdrawn", "terminated", "failed"})


class Known(Value):
    """An instance's facts when its row is inserted. One found in the engine has little more than id and name."""

    instance_id: str
    name: str
    kind: str = ""
    subject: str = ""
    engine_status: Status = "PENDING"
    custom_status: str = ""
    phase: Phase = "starting"
    amount: Decimal | None = None
    currency: str | None = None
    description: str = ""
    requester: str = ""
    requester_person: str | None = None
    rule: str | None = None
    policy_version: str | None = None
    request: ApprovalRequest | None = None
    content_digest: str | None = None
    digest: str | None = None
    run: Moment | None = None
    stage: int = 0
    round: int = 0
    waiting_on: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    asked_at: Moment | None = None
    deadline: Moment | None = None
    cards: tuple[CardRef, ...] = ()
    outcome: Outcome | None = None
    state: State | None = None
    posting: str = ""
    posted: str = ""
    shown: str = ""
    wanted: str = ""
    output: str | None = None
    correlation_id: str = ""
    decided_at: Moment | None = None
    valid_until: Moment | None = None
    finished_at: Moment | None = None
    callback: Callback | None = None


class Instance(Known):
    """An instance's row. `updated_at` is its last progress, `finished_at` when its engine status became final.

    `ended_as` is the phase in which the request ended; a purge does not change it. `barred` are the identities (user
    id, person key, e-mail; in lower case) that may not decide though they are asked: the requester's, and those that
    have answered already. `amount_number` is the amount for sorting and bounds only.
    """

    created_at: Moment
    updated_at: Moment
    ended_as: Phase | None = None
    amount_number: float | None = None
    consumed_at: Moment | None = None
    consumed_by: str | None = None


class Changes(Value):
    """Changes of a row; only fields that are set are written. See `project` for what follows from them."""

    name: str | None = None
    engine_status: Status | None = None
    custom_status: str | None = None
    phase: Phase | None = None
    requester_person: str | None = None
    rule: str | None = None
    policy_version: str | None = None
    digest: str | None = None
    run: Moment | None = None
    stage: int | None = None
    round: int | None = None
    waiting_on: tuple[str, ...] | None = None
    barred: tuple[str, ...] | None = None
    asked_at: Moment | None = None
    deadline: Moment | None = None
    cards: tuple[CardRef, ...] | None = None
    outcome: Outcome | None = None
    state: State | None = None
    posting: str | None = None
    posted: str | None = None
    shown: str | None = None
    wanted: str | None = None
    output: str | None = None
    decided_at: Moment | None = None
    valid_until: Moment | None = None


def _columns(value: Value, names: Collection[str]) -> dict[str, Any]:
    """Return a value's fields as columns: JSON columns in JSON's types, an amount as text."""
    plain = value.model_dump(include=set(names))
    json = value.model_dump(mode="json", include={name for name in names if isinstance(instances.c[name].type, Json)})
    amount = {"amount": str(plain["amount"])} if plain.get("amount") is not None else {}
    return plain | json | amount


@Plain
def insert(
    transaction: Transaction, known: Known, now: datetime, *, created_at: datetime | None = None
) -> tuple[Instance, bool]:
    """Write an instance's first row. Returns the row that stands and whether it is new.

    The caller compares `content_digest` of a row that was there: the same is a repeated start, another is a conflict.
    """
    finished = now if known.engine_status in ENDED and known.finished_at is None else known.finished_at
    ended_as = known.phase if known.phase in ENDS else None
    own = {"finished_at": finished, "ended_as": ended_as, "created_at": created_at or now, "updated_at": now}
    number = None if known.amount is None else float(known.amount)
    row = Instance(**dict(known) | own, amount_number=number)
    if insert_or_ignore.on(transaction, instances, _columns(row, Instance.model_fields)):
        search.index.on(transaction, row.instance_id, (row.subject, row.requester, row.description))
        _list_waiting(transaction, row.instance_id, row.created_at, row.waiting_on)
        return row, True
    first = get.on(transaction, known.instance_id)
    if first is None:
        raise LookupError(known.instance_id)
    return first, False


@Plain
def replace(transaction: Transaction, known: Known, now: datetime) -> Instance:
    """Replace a row: the id was run again on request. The audit keeps the earlier run."""
    for delete in FORGET:
        delete.run(transaction, {"wanted": known.instance_id})
    row, _ = insert.on(transaction, known, now)
    return row


FORGET = tuple(
    Prepared(sa.delete(table).where(table.c.instance_id == sa.bindparam("wanted")))
    for table in (instance_words, waiting, instances)
)


@Plain
def get(transaction: Transaction, instance_id: str) -> Instance | None:
    """Return one row by the instance's id."""
    return GET.get(transaction, Instance, wanted=instance_id)


@Plain
def locked(transaction: Transaction, instance_id: str) -> Instance | None:
    """Return one row as `get` does, and let nobody else write it before this transaction ends."""
    return LOCKED.get(transaction, Instance, wanted=instance_id)


BY_ID = sa.select(instances).where(instances.c.instance_id == sa.bindparam("wanted"))
GET, LOCKED = One(BY_ID), One(BY_ID.with_for_update())


def valid_until(row: Instance) -> datetime | None:
    """Return until when an approval may be used, by the rule that it was asked under; None for ever, or for none."""
    if row.valid_until is not None or row.phase != "approved" or row.state is None:
        return row.valid_until
    return until_of(row.state)  # an approval of before the column


def until_of(state: State) -> datetime | None:
    """Return until when the approval of a state may be used; None for ever, or for no approval."""
    over, valid_for = state.outcome, state.route.valid_for
    return over.at + valid_for if over and over.approved and valid_for else None


async def many(connection: AsyncConnection, instance_ids: Collection[str]) -> dict[str, Instance]:
    """Return rows by id. At most a page's ids at once."""
    found = await fetch_all(connection, sa.select(instances).where(instances.c.instance_id.in_(instance_ids)), Instance)
    return {row.instance_id: row for row in found}


async def states(connection: AsyncConnection, instance_ids: Collection[str]) -> tuple[State, ...]:
    """Return where those requests stand that a workflow has written anything of. At most a page's ids at once."""
    wanted = (instances.c.instance_id.in_(instance_ids), instances.c.state.is_not(None))
    found = await fetch_all(connection, sa.select(instances.c.instance_id, instances.c.state).where(*wanted), _Stands)
    return tuple(row.state for row in found)


class _Stands(Value):
    instance_id: str
    state: State


class RequestProgress(Value):
    """A request's progress: the accepted decisions of all stages, and how many yeses its stage needs."""

    approvals: tuple[Approval, ...] = ()
    stage: int = 0
    stages: int = 1
    needed: int = 1
    seats: tuple[SeatStanding, ...] = ()

    @property
    def counted(self) -> int:
        """The number of yeses that the stage has."""
        return sum(one.approved and one.stage == self.stage for one in self.approvals)


async def progress(connection: AsyncConnection, instance_ids: Collection[str]) -> dict[str, RequestProgress]:
    """Return how far requests are, by id. The rest of their state is not parsed: lists show many."""
    query = sa.select(instances.c.instance_id, instances.c.state).where(
        instances.c.instance_id.in_(instance_ids), instances.c.state.is_not(None)
    )
    found = {instance_id: _progress(state) for instance_id, state in await connection.execute(query)}
    return {instance_id: known for instance_id, known in found.items() if known is not None}


def _progress(state: Any) -> RequestProgress | None:
    """Return how far a stored state is; None for one that cannot be read: its list is shown without."""
    try:
        stage, stages = state["stage"], state["route"]["stages"]
        needed = stages[stage]["needed"] if stage < len(stages) else 1
        found = RequestProgress(approvals=state["approvals"], stage=stage, stages=max(1, len(stages)), needed=needed)
        if stage >= len(stages) or not stages[stage].get("seats"):
            return found
        yeses = [each for each in found.approvals if each.approved and each.stage == stage]
        seats = standings(Stage.model_validate(stages[stage]), state["round"], yeses)
        return found.model_copy(update={"seats": seats})
    except (LookupError, TypeError, ValidationError):
        return None


async def requesters(connection: AsyncConnection, limit: int) -> tuple[str, ...]:
    """Return the requesters of the newest requests."""
    newest = sa.select(instances.c.requester).order_by(instances.c.created_at.desc()).limit(limit)
    return tuple(dict.fromkeys(await connection.scalars(newest)))


async def find(connection: AsyncConnection, reference: str) -> Instance | None:
    """Return one row by instance id, or the newest one by its subject, such as an order's id."""
    exact = await get(connection, reference)
    if exact is not None:
        return exact
    newest = sa.select(instances).where(instances.c.subject == reference).order_by(instances.c.created_at.desc())
    return await fetch_one(connection, newest.limit(1), Instance)


@Plain
def project(  # noqa: PLR0913 two of them are conditions
    transaction: Transaction,
    instance_id: str,
    changes: Changes,
    now: datetime,
    *,
    while_in: Collection[Phase] | None = None,
    progress: bool = True,
    listed: Collection[str] | None = None,
) -> bool:
    """Write what changed. False when there is no such row, or it is not in one of the phases of `while_in`.

    A phase other than waiting ends the waiting; a final engine status sets `finished_at`, another one clears it.
    Without `progress` (a reconciliation that only looked) `updated_at` stays. `listed` is whom it waited for, if the
    caller has read that in this transaction: an unchanged list is not written again.
    """
    values = _columns(changes, changes.model_fields_set)
    if changes.phase not in (None, "waiting", "starting"):
        values |= {"waiting_on": [], "barred": []} | values
    if changes.phase in ENDS:
        values["ended_as"] = changes.phase
    if changes.engine_status is not None:
        values["finished_at"] = now if changes.engine_status in ENDED else None
    if progress:
        values["updated_at"] = now
    if not values:
        return get.on(transaction, instance_id) is not None
    update = _update(tuple(values), None if while_in is None else tuple(while_in), changes.engine_status in ENDED)
    done = update.run(transaction, values | {"wanted_id": instance_id}).rows
    if not done:
        return False
    created, callback = done[0]
    if changes.phase in ENDS and callback is not None:
        _tell_end(transaction, instance_id, now)
    if "waiting_on" in values and (listed is None or list(listed) != list(values["waiting_on"])):
        if listed is None or listed:
            NOT_WAITING.run(transaction, {"wanted_id": instance_id})
        _list_waiting(transaction, instance_id, created, values["waiting_on"])
    return True


def _tell_end(transaction: Transaction, instance_id: str, now: datetime) -> None:
    """Write what the other system is to be told, with the end that it is told of."""
    row = get.on(transaction, instance_id)
    if row is not None and row.callback is not None:
        known_as = message_id(instance_id, row.created_at)
        _tell(transaction, row, row.callback, known_as, f"request.{row.ended_as}", now)


@Plain
def tell_event(transaction: Transaction, instance_id: str, event: Event, key: str, now: datetime) -> None:
    """Write that a callback is told of an event, if it wants to be and the request has not ended. Once for each key."""
    row = get.on(transaction, instance_id)
    if row is None or row.callback is None or event not in row.callback.events or row.ended_as is not None:
        return
    known_as = event_id(instance_id, row.created_at, event, key)
    _tell(transaction, row, row.callback, known_as, f"request.{event}", now)


def _tell(  # noqa: PLR0913, PLR0917 a message's parts
    transaction: Transaction, row: Instance, callback: Callback, known_as: str, event: str, now: datetime
) -> None:
    number = webhooks.count.on(transaction, row.instance_id) if callback.events else 0  # else it is the only one
    told = webhooks.telling(callback, known_as, event, _told(row, now, number + 1), now)
    webhooks.enqueue.on(transaction, told)


def _told(row: Instance, now: datetime, number: int) -> dict[str, Any]:
    """Return a request as other systems are told of it. `number` counts the messages about it."""
    until = valid_until(row)
    approvals = row.state.approvals if row.state else ()
    return {
        "id": row.instance_id,
        "kind": row.kind,
        "subject": row.subject,
        "status": row.ended_as or "waiting",
        "amount": None if row.amount is None else str(row.amount),
        "currency": row.currency or None,
        "fields": row.request.fields if row.request else {},
        "requester": row.requester,
        "decided_by": [
            {"person": each.person.key, "name": each.name, "stage": each.stage + 1, "approved": each.approved}
            | {"reason": each.reason, "at": each.at.isoformat(), "through": each.through}
            for each in approvals
        ],
        "waiting_on": row.waiting_on,
        "deadline": row.deadline.isoformat() if row.deadline else None,
        "digest": row.digest,
        "created_at": row.created_at.isoformat(),
        "ended_at": (row.decided_at or now).isoformat() if row.ended_as else None,
        "valid_until": until.isoformat() if until else None,
        "sequence": number,
    }


@functools.cache
def _update(columns: tuple[str, ...], while_in: tuple[Phase, ...] | None, ended: bool) -> Prepared:  # noqa: FBT001
    """Return the UPDATE of some columns. A moment at which it ended stays, if there is one."""
    values: dict[str, Any] = {name: sa.bindparam(name, type_=instances.c[name].type) for name in columns}
    if ended:
        values["finished_at"] = sa.func.coalesce(instances.c.finished_at, values["finished_at"])
    allowed = [] if while_in is None else [instances.c.phase.in_([sa.literal(phase) for phase in while_in])]
    where = (instances.c.instance_id == sa.bindparam("wanted_id"), *allowed)
    return Prepared(
        sa.update(instances).where(*where).values(values).returning(instances.c.created_at, instances.c.callback)
    )


@Plain
def reserve_card(transaction: Transaction, seen: Instance, posting: str, stage: int) -> bool:
    """Note who posts the card of a stage, if its row waits and nobody has posted or reserved one since it was seen."""
    values = {"posting": posting, "wanted_id": seen.instance_id, "stage_asked": stage}
    stood = {"seen_posting": seen.posting, "seen_posted": seen.posted}
    return RESERVE.run(transaction, values | stood).changed == 1


RESERVE = Prepared(
    sa.update(instances)
    .where(
        instances.c.instance_id == sa.bindparam("wanted_id"),
        instances.c.posting == sa.bindparam("seen_posting"),
        instances.c.posted == sa.bindparam("seen_posted"),
        instances.c.phase == "waiting",
        instances.c.stage <= sa.bindparam("stage_asked"),
    )
    .values(posting=sa.bindparam("posting"))
)
NOT_WAITING = Prepared(sa.delete(waiting).where(waiting.c.instance_id == sa.bindparam("wanted_id")))


def _list_waiting(
    transaction: Transaction, instance_id: str, created_at: datetime, principals: Collection[str]
) -> None:
    row = {"created_at": created_at, "instance_id": instance_id}
    insert_all.on(transaction, waiting, [row | {"principal": principal} for principal in set(principals)])


FORGOTTEN: dict[str, Any] = {
    "phase": "purged",
    "description": "",
    "request": None,
    "state": None,
    "requester": "",
    "output": None,
    "callback": None,
    "waiting_on": [],
    "barred": [],
    "custom_status": "",
}


async def consume(connection: AsyncConnection, instance_id: str, by: str, now: datetime) -> bool:
    """Note the use of an approval. False if it was used before, or is none: of many at once, one wins."""
    unused = (instances.c.phase == "approved", instances.c.consumed_at.is_(None))
    update = sa.update(instances).where(instances.c.instance_id == instance_id, *unused)
    done = await connection.execute(update.values(consumed_at=now, consumed_by=by))
    return bool(done.rowcount)


async def forget(connection: AsyncConnection, instance_id: str, now: datetime) -> bool:
    """Erase a purged instance's content. Its id, its end and its audit stay. False if it is unknown."""
    row = await locked(connection, instance_id)  # else what is answered or told meanwhile kept its text
    await connection.execute(sa.delete(waiting).where(waiting.c.instance_id == instance_id))
    await search.drop(connection, instance_id)
    ended = sa.func.coalesce(instances.c.finished_at, sa.bindparam("ended", now, instances.c.finished_at.type))
    outcome = _without_words(row.outcome) if row is not None and row.outcome is not None else None
    update = sa.update(instances).where(instances.c.instance_id == instance_id)
    values = FORGOTTEN | {"outcome": outcome, "finished_at": ended, "updated_at": now}
    done = await connection.execute(update.values(values))
    answered = sa.and_(intake.c.instance_id == instance_id, intake.c.answered_at.is_not(None))
    await connection.execute(sa.update(intake).where(answered).values(payload={}))  # it holds the reason that was typed
    told = sa.and_(notifications.c.instance_id == instance_id, notifications.c.over_at.is_not(None))
    await connection.execute(sa.delete(notifications).where(told))
    await webhooks.forget(connection, instance_id)
    return bool(done.rowcount)


def _without_words(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without what people wrote, their names and addresses: who, what, when and by which rule."""
    by = [each.model_copy(update={"name": "", "emails": (), "acting_for": (), "reason": ""}) for each in outcome.by]
    reason = "" if outcome.by else outcome.reason  # without a person it is a code
    return outcome.model_copy(update={"by": tuple(by), "reason": reason}).model_dump(mode="json")
