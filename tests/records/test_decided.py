"""Who decided what: found by what the audit displays, and written as a file for a spreadsheet."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from approvals.audit_actions import AuditAction
from records import audit, decided, instances
from records.database import Database
from records.decided import DecisionFilter

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def decide(
    database: Database,
    order: str,
    amount: str | None,
    *,
    at: datetime = NOW,
    actor: str = "T1/U1",
    approved: bool = True,
    name: str = "Manager",
    reason: str = "",
    digest: str = "d",
) -> None:
    """Write a request's row and the audit entry of a decision on it."""
    decision = f"{order}-{actor}"
    approval = {"decision_id": decision, "name": name, "emails": [f"{name.lower()}@example.com"]}
    state: Any = {"approvals": [approval], "stage": 0, "route": {"stages": []}}
    known = instances.Known(
        instance_id=f"order-{order}", name="approval_workflow", kind="order", subject=order, digest="d",
        amount=Decimal(amount) if amount else None, currency="USD", requester="requester@example.com",
    )  # fmt: skip
    about = {"amount": amount, "currency": "USD"} if amount else {}
    data = {"decision_id": decision, "approved": approved, "rule": "manager", "stage": 0, "subject": order} | about
    async with database.write() as connection:
        await instances.insert(connection, known, at)
        table = instances.instances
        await connection.execute(table.update().where(table.c.instance_id == known.instance_id).values(state=state))
        entry = audit.Entry(
            at=at, actor=actor, action=AuditAction.REQUEST_ACCEPTED, instance_id=known.instance_id,
            request_digest=digest, reason=reason, through="slack", data=data,
        )  # fmt: skip
        await audit.append(connection, entry)


async def orders(database: Database, **wanted: Any) -> list[str]:
    async with database.read() as connection:
        return [one.order for one in await decided.page(connection, DecisionFilter(**wanted))]


async def test_who_approved_what_above_an_amount_since_a_day_is_one_search(database: Database) -> None:
    await decide(database, "old", "9000", at=NOW - 40 * DAY)
    await decide(database, "small", "5000")
    await decide(database, "large", "5000.01", reason="Good price")
    await decide(database, "vp", "7000", actor="T1/U2", name="Vice", approved=False)
    assert await orders(database, above=Decimal(5000), since=NOW - 30 * DAY) == ["vp", "large"]
    assert await orders(database, above=Decimal(5000), answer="approved", since=NOW - 30 * DAY) == ["large"]
    assert await orders(database, below=Decimal(5001), until=NOW) == []
    assert await orders(database, by="vice@EXAMPLE") == ["vp"]
    assert await orders(database, by="nobody", people=("T1/U2",)) == ["vp"]
    assert await orders(database, order="SMALL") == ["small"]
    assert await orders(database, requester="requester", currency="EUR") == []


async def test_the_file_has_order_amount_people_rule_moment_and_reason(database: Database) -> None:
    await decide(database, "42", "7000.00", reason="=1+1")
    rows = list(csv.DictReader([line async for line in decided.lines(database, DecisionFilter())]))
    assert [
        {name: row[name] for name in ("order", "amount", "requester", "approver", "email", "rule", "at", "reason")}
        for row in rows
    ] == [
        {
            "order": "42", "amount": "7000.00", "requester": "requester@example.com", "approver": "Manager",
            "email": "manager@example.com", "rule": "manager", "at": "2026-02-01T12:00:00+00:00", "reason": "'=1+1",
        }
    ]  # fmt: skip


async def test_an_id_that_runs_again_lends_its_row_to_no_earlier_decision(database: Database) -> None:
    await decide(database, "7", None, digest="of-an-earlier-run")
    async with database.read() as connection:
        [found] = await decided.page(connection, DecisionFilter())
    assert (found.order, found.requester, found.approver, found.person) == ("7", "", "", "T1/U1")


async def test_what_a_rule_approved_unasked_names_the_rule(database: Database) -> None:
    async with database.write() as connection:
        data = {"rule": "small orders", "subject": "9", "kind": "order", "amount": "12", "currency": "USD"}
        entry = audit.Entry(
            at=NOW, actor="workflow", action=AuditAction.REQUEST_APPROVED, instance_id="order-9", data=data
        )
        await audit.append(connection, entry)
    async with database.read() as connection:
        [found] = await decided.page(connection, DecisionFilter())
    assert (found.approver, found.person, found.amount) == ("rule small orders", "", "12")


@pytest.mark.parametrize("count", [3])
async def test_pages_go_on_where_the_last_one_ended(sqlite: Database, count: int) -> None:
    for number in range(count):
        await decide(sqlite, str(number), "10")
    async with sqlite.read() as connection:
        first = await decided.page(connection, DecisionFilter(), limit=2)
        second = await decided.page(connection, DecisionFilter(), before=first[-1].entry, limit=2)
    assert [one.order for one in (*first, *second)] == ["2", "1", "0"]
