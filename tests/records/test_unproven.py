"""What the audit says was done without the entry that has to stand before it."""

from datetime import datetime
from typing import Any

import pytest

from approvals.audit_actions import AuditAction
from records import audit, unproven
from records.audit import Entry
from records.database import Database
from records.unproven import Lack, of_lines

ORDER = "order-1-workflow"
STARTED = (AuditAction.ORDER_STARTED, {})
UNSIGNED = (AuditAction.START_UNSIGNED, {})
ASKED = (AuditAction.REQUEST_ASKED, {})
SUBMITTED = (AuditAction.DECISION_SUBMITTED, {"decision_id": "d1"})
ACCEPTED = (AuditAction.REQUEST_ACCEPTED, {"decision_id": "d1"})
APPROVED = (AuditAction.REQUEST_APPROVED, {})
PROCESSED = (AuditAction.EFFECT_ORDER_PROCESSED, {})
SENT = (AuditAction.EFFECT_SENT, {})
WHOLE = [STARTED, ASKED, SUBMITTED, ACCEPTED, APPROVED, PROCESSED]


def without(*left_out: Any) -> list[Any]:
    return [each for each in WHOLE if each not in left_out]


def told(story: list[Any], instance_id: str = ORDER, digest: str = "a" * 64) -> list[dict[str, Any]]:
    return [
        {"seq": seq, "action": action, "instance_id": instance_id, "request_digest": digest, "data": data}
        for seq, (action, data) in enumerate(story, 1)
    ]


def lacks(story: list[dict[str, Any]]) -> list[tuple[str, Lack]]:
    return [(each.action, each.lack) for each in of_lines(story)]


@pytest.mark.parametrize("effect", [PROCESSED, SENT], ids=["processed", "sent"])
def test_a_whole_story_lacks_nothing(effect: Any) -> None:
    assert lacks(told([*without(PROCESSED), effect, effect])) == []


def test_a_request_that_a_workflow_asks_in_its_own_name_lacks_nothing() -> None:
    assert lacks(told([UNSIGNED, ASKED, SUBMITTED, ACCEPTED, APPROVED])) == []


@pytest.mark.parametrize(
    ("story", "found"),
    [
        (without(SUBMITTED), [("request.accepted", Lack.NOT_SUBMITTED)]),
        (without(APPROVED), [("effect.order_processed", Lack.NOT_APPROVED)]),
        (without(STARTED), [("request.asked", Lack.NOT_STARTED), ("effect.order_processed", Lack.NOT_SIGNED)]),
        ([UNSIGNED, *without(STARTED)], [("effect.order_processed", Lack.NOT_SIGNED)]),
        (
            [STARTED, ASKED, (SUBMITTED[0], {"decision_id": "another"}), ACCEPTED],
            [("request.accepted", Lack.NOT_SUBMITTED)],
        ),
        ([STARTED, ASKED, ACCEPTED, SUBMITTED], [("request.accepted", Lack.NOT_SUBMITTED)]),
    ],
    ids=["not submitted", "not approved", "not started", "started by a workflow", "another's", "submitted afterwards"],
)
def test_what_is_missing_is_named(story: list[Any], found: list[Any]) -> None:
    assert lacks(told(story)) == found


def test_the_approval_of_another_content_or_instance_is_none() -> None:
    other = told([PROCESSED], digest="b" * 64)
    assert lacks([*told(WHOLE), *other]) == [("effect.order_processed", Lack.NOT_APPROVED)]
    elsewhere = told([STARTED, PROCESSED], instance_id="order-2-workflow")
    assert lacks([*told(WHOLE), *elsewhere]) == [("effect.order_processed", Lack.NOT_APPROVED)]


async def test_the_stored_audit_is_read_in_its_order_and_by_parts(database: Database, now: datetime) -> None:
    for action, data in [*WHOLE, ACCEPTED, (AuditAction.WORKFLOW_NOTE, {}), without(SUBMITTED)[2]]:
        async with database.write() as connection:
            await audit.append(
                connection,
                Entry(at=now, actor="a", action=action, instance_id=ORDER, request_digest="a" * 64, data=data),
            )
    async with database.write() as connection:
        entry = Entry(at=now, actor="a", action=PROCESSED[0], instance_id="order-9-workflow", request_digest="c" * 64)
        await audit.append(connection, entry)
    found = [each async for each in unproven.find(database, batch=2)]
    assert [(each.seq, each.lack) for each in found] == [(10, Lack.NOT_APPROVED), (10, Lack.NOT_SIGNED)]
    assert "Entry 10 (effect.order_processed of order-9-workflow)" in found[0].sentence
