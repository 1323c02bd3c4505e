"""A purge clears a request's texts, names and addresses from every table, and keeps what was decided."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from approvals.authority import Role
from approvals.verbs import VERBS
from approvals.webhooks import Callback
from bot.access.refusals import Refused
from bot.control.operations.calls import Given
from cards import reject_modal, request_card
from records import audit, instances, intake, notifications, tables, webhooks
from tests.in_process import Program, caller, eventually

OPERATOR = caller(Role.OPERATOR)
TYPED = {
    "description": "canary-description",
    "details": {"canary-detail": "canary-detail-text"},
    "requester": "requester@example.com",
    "submitted_by": "requester@example.com",
}
REASON = "canary-reason"
PERSONAL = ("canary", "requester@example.com", "manager@example.com", "Mia Manager")


async def rejected(program: Program) -> str:
    """Return an order that the manager has rejected, with all that was to be told of it sent."""
    order = await program.asked("17", **TYPED)
    await program.click("U0MANAGER", order, request_card.REJECT)
    await eventually(lambda: program.modals("U0MANAGER"))
    sent = await program.slack.act_as("U0MANAGER").submit(values={reject_modal.ACTION: REASON})
    assert sent.ok
    await program.ended(order)
    await eventually(lambda: unsent(program), lambda found: found == 0)
    return order


async def unsent(program: Program) -> int:
    async with program.services.database.read() as connection:
        return await notifications.unsent(connection)


async def purged(program: Program, order: str) -> None:
    done = await program.services.operations.act(OPERATOR, VERBS["purge"], order, Given(reason="old"))
    assert done.changed


async def found_in_tables(program: Program, *texts: str) -> list[tuple[str, str]]:
    """Return each table that holds one of the texts."""
    found = []
    async with program.services.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            if table.name in {"policies", "audit"}:
                continue  # a policy's text is the operators' own; nothing is ever taken out of the audit
            for row in (await connection.execute(sa.select(table))).mappings():
                text = json.dumps(dict(row), default=str, ensure_ascii=False)
                found += [(table.name, each) for each in texts if each in text]
    return sorted(set(found))


async def test_before_a_purge_the_texts_are_there(program: Program) -> None:
    await rejected(program)
    there = {table for table, _ in await found_in_tables(program, *PERSONAL)}
    assert {"instances", "intake", "instance_words"} <= there


async def test_a_purge_clears_the_texts_names_and_addresses_and_keeps_what_was_decided(program: Program) -> None:
    order = await rejected(program)
    before = await program.row(order)
    await purged(program, order)
    assert await found_in_tables(program, *PERSONAL) == []
    row = await program.row(order)
    kept = ("instance_id", "kind", "amount", "currency", "rule", "policy_version", "asked_at", "decided_at", "ended_as")
    assert {name: getattr(row, name) for name in kept} == {name: getattr(before, name) for name in kept}
    assert row.finished_at is not None
    assert row.outcome is not None
    assert before.outcome is not None
    assert [each.person for each in row.outcome.by] == [each.person for each in before.outcome.by] != []
    assert (await audit.verify(program.services.database)).ok
    assert "workflow.purge" in await program.audited(order)


async def test_a_start_of_what_was_purged_is_told_so_whatever_it_asks_for(program: Program) -> None:
    order = await rejected(program)
    await purged(program, order)
    for fields in (TYPED, TYPED | {"description": "another"}):
        with pytest.raises(Refused, match="has run and was purged"):
            await program.start("17", **fields)


async def test_what_is_answered_or_told_after_a_purge_leaves_no_text_behind(program: Program) -> None:
    order = await program.asked("18", **TYPED)
    await program.click("U0MANAGER", order)
    await program.ended(order)
    await eventually(lambda: unsent(program), lambda found: found == 0)
    now = program.clock()
    async with program.services.database.write() as connection:
        for name in ("first", "second"):
            payload = {"reason": REASON}
            late = intake.Submission(id=name, instance_id=order, payload=payload, person="T/U", through="slack")
            await intake.submit(connection, late, now, lease=timedelta(hours=1))
        told = notifications.Notification(id="told", instance_id=order, kind="thread", content={"text": REASON})
        await notifications.enqueue(connection, (told,), now)
        callback = Callback(url="https://hooks.example/", signer="key:1")
        delivery = webhooks.telling(
            callback, "late", "request.approved", {"id": order, "status": "approved", "reason": REASON}, now
        )
        await webhooks.enqueue(connection, delivery)
    await purged(program, order)
    over = {"accepted": False, "reason": "over"}
    async with program.services.database.write() as connection:
        await intake.answer(connection, "first", over, now)
        await intake.answer_last(connection, "second", over, order, now)
        await notifications.finish(connection, "told", "sent", now)
        await webhooks.settle(connection, delivery.id, now, state="sent", again_at=None, last_status=200, problem="")
    assert await found_in_tables(program, *PERSONAL) == []


async def test_a_card_that_showed_no_end_before_the_purge_loses_its_buttons_all_the_same(program: Program) -> None:
    # Purged before its card was rewritten it had nothing to show, and was noted as shown: anybody could click on.
    order = await program.asked("19", **TYPED)
    async with program.services.database.write() as connection:
        stopped = instances.Changes(engine_status="TERMINATED", phase="terminated", wanted="terminated")
        await instances.project(connection, order, stopped, program.clock())
        await instances.forget(connection, order, program.clock())
    await program.services.card_repair.show(order)
    card = program.card(order)
    assert "Order 19: Stopped." in card.text
    assert "approval_approve" not in json.dumps(card.blocks)
    assert not any(each in card.text + json.dumps(card.blocks) for each in PERSONAL)
    assert await program.services.card_repair.repair() == 0
