"""The audit's decisions with the requests that they were about, for search and for a spreadsheet. Reads only.

Amount and subject stand in the audit entry. Names, e-mails and the requester are personal data and stand in the
request's row alone: once that is purged, a decision shows its person's id.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.audit_actions import AuditAction
from approvals.values import Moment, Value
from records.audit_export import csv_line, harmless
from records.columns import UNREADABLE
from records.database import Database
from records.tables import audit, instances

DECISIONS_PER_READ = 500
AUTOMATIC = "workflow"
"""The audit's actor if a rule approves by itself."""

Answer = Literal["approved", "rejected"]


class DecisionFilter(Value):
    """A filter of decisions; all that are set must match. `above` and `below` are exclusive, `until` too.

    `by` and `requester` are parts of a name, an e-mail or an id, in any case; `order` is the whole of a subject or id.
    `people` are the person keys that `by` means besides: the row of a purged request has no names to compare.
    """

    above: Decimal | None = None
    below: Decimal | None = None
    currency: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    answer: Answer | None = None
    order: str | None = None
    by: str | None = None
    people: tuple[str, ...] = ()
    requester: str | None = None
    rule: str | None = None


class Decided(Value):
    """One decision. `person` is `T…/U…`, empty if a rule approved unasked; `stage` counts from 1."""

    entry: int
    at: Moment
    answer: Answer
    order: str
    kind: str = ""
    amount: str | None = None
    currency: str = ""
    requester: str = ""
    approver: str = ""
    email: str = ""
    person: str = ""
    rule: str = ""
    stage: int = 1
    reason: str = ""
    through: str = ""
    instance_id: str
    policy_version: str = ""


COLUMNS = tuple(Decided.model_fields)


async def page(
    connection: AsyncConnection, wanted: DecisionFilter, *, before: int | None = None, limit: int = 50
) -> tuple[Decided, ...]:
    """Return decisions, newest first; `before` is the `entry` of the last one seen."""
    found: list[Decided] = []
    while len(found) < limit:
        batch = await _batch(connection, wanted, before)
        found += [one for one in map(_decided, batch) if fits(one, wanted)]
        if len(batch) < DECISIONS_PER_READ:
            break
        before = batch[-1]["seq"]
    return tuple(found[:limit])


async def every(database: Database, wanted: DecisionFilter) -> AsyncIterator[Decided]:
    """Yield all decisions, newest first, in short transactions."""
    before: int | None = None
    while True:
        async with database.read() as connection:
            batch = await _batch(connection, wanted, before)
        for one in map(_decided, batch):
            if fits(one, wanted):
                yield one
        if len(batch) < DECISIONS_PER_READ:
            return
        before = batch[-1]["seq"]


async def lines(database: Database, wanted: DecisionFilter) -> AsyncIterator[str]:
    """Give a CSV file line by line, newest first, each with its newline; what a spreadsheet would run is made text."""
    yield csv_line(COLUMNS)
    async for one in every(database, wanted):
        yield csv_line([_cell(one, name) for name in COLUMNS])


def _cell(one: Decided, name: str) -> str:
    value = getattr(one, name)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "" if value is None else harmless(str(value))


async def _batch(connection: AsyncConnection, wanted: DecisionFilter, before: int | None) -> Sequence[Any]:
    a, i = audit.c, instances.c
    unasked = sa.and_(a.action == AuditAction.REQUEST_APPROVED, a.actor == AUTOMATIC)
    query = (
        sa.select(a.seq, a.at, a.actor, a.instance_id, a.request_digest, a.reason, a.through, a.policy_version, a.data)
        .add_columns(i.digest, i.kind, i.subject, i.amount, i.currency, i.requester, i.state)
        .select_from(audit.outerjoin(instances, i.instance_id == a.instance_id))
        .where(sa.or_(a.action == AuditAction.REQUEST_ACCEPTED, unasked))
    )
    bounds = [
        *([] if wanted.since is None else [a.at >= wanted.since]),
        *([] if wanted.until is None else [a.at < wanted.until]),
        *([] if before is None else [a.seq < before]),
    ]
    found = await connection.execute(query.where(*bounds).order_by(a.seq.desc()).limit(DECISIONS_PER_READ))
    return found.mappings().all()


def _decided(row: Any) -> Decided:
    """Return a row's decision. An id can be used again: the instance's row counts only if it is the same request's."""
    data = row["data"] if isinstance(row["data"], dict) else {}
    same = row["digest"] == row["request_digest"]
    approval = _approval(row["state"], data.get("decision_id")) if same else {}
    person = "" if row["actor"] == AUTOMATIC else str(row["actor"])
    known = {
        name: row[name] if same and row[name] is not UNREADABLE else None for name in ("kind", "amount", "currency")
    }
    return Decided(
        entry=row["seq"],
        at=row["at"],
        answer="approved" if data.get("approved", True) else "rejected",
        order=str(data.get("subject") or (same and row["subject"]) or row["instance_id"]),
        kind=str(data.get("kind") or known["kind"] or ""),
        amount=data.get("amount") or known["amount"],
        currency=str(data.get("currency") or known["currency"] or ""),
        requester=str((same and row["requester"]) or ""),
        approver=str(approval.get("name") or "") or ("" if person else f"rule {data.get('rule', '')}"),
        email=next(iter(approval.get("emails") or ()), ""),
        person=person,
        rule=str(data.get("rule") or ""),
        stage=int(data.get("stage") or 0) + 1,
        reason=row["reason"],
        through=row["through"],
        instance_id=row["instance_id"],
        policy_version=row["policy_version"],
    )


def _approval(state: Any, decision_id: object) -> dict[str, Any]:
    approvals = state.get("approvals", ()) if isinstance(state, dict) else ()
    return next((one for one in approvals if one.get("decision_id") == decision_id), {})


def fits(one: Decided, wanted: DecisionFilter) -> bool:
    """Whether a decision is wanted, apart from its moment."""
    return (
        _fits_amount(one, wanted)
        and wanted.answer in {None, one.answer}
        and wanted.rule in {None, one.rule}
        and (
            wanted.order is None
            or wanted.order.strip().casefold() in {one.order.casefold(), one.instance_id.casefold()}
        )
        and (_named(wanted.by, (one.approver, one.email, one.person)) or one.person in wanted.people)
        and _named(wanted.requester, (one.requester,))
    )


def _named(part: str | None, names: tuple[str, ...]) -> bool:
    return part is None or any(part.strip().casefold() in name.casefold() for name in names)


def _fits_amount(one: Decided, wanted: DecisionFilter) -> bool:
    if wanted.currency is not None and one.currency != wanted.currency:
        return False
    if wanted.above is None and wanted.below is None:
        return True
    try:
        amount = Decimal(one.amount or "")
    except InvalidOperation:
        return False
    return (wanted.above is None or amount > wanted.above) and (wanted.below is None or amount < wanted.below)
