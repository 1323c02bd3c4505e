"""The activities against an engine that lies, an id that is another's, a policy that is broken: nothing is believed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activities.inputs import AskInput, JudgeInput, ProcessInput, RecordInput, Routed, RouteInput
from activities.slack.failures import NonRetryableError
from approvals.request import ApprovalRequest
from approvals.values import in_utc
from tests.in_process import Program, in_process

REQUEST = ApprovalRequest(subject="42", amount="2400", currency="USD", requester="requester@example.com")


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    async with in_process(tmp_path) as found:
        yield found


async def routed(program: Program, instance_id: str = "own-42", **fields: Any) -> Routed:
    """Route a request that a workflow of another program asks for: it bears no seal of a door."""
    asked = RouteInput(instance_id=instance_id, request=REQUEST, run=program.clock(), **fields)
    return await program.services.activities.route_request(Any, asked)


async def test_a_request_without_a_seal_is_routed_and_marked_as_a_workflows(program: Program) -> None:
    found = await routed(program)
    assert found.state is not None
    assert (found.state.origin, found.state.route.rule) == ("workflow", "a manager within 3 days")
    again = await program.services.activities.route_request(
        Any, RouteInput(instance_id="own-42", request=REQUEST, run=in_utc(found.state.run))
    )
    assert again.state == found.state


async def test_an_id_that_belongs_to_an_order_is_refused_to_a_start_without_a_seal(program: Program) -> None:
    found = await routed(program, "order-42-workflow")
    assert "belongs to a request that is started at a door" in found.refused
    assert await program.audited("order-42-workflow") == ["start.refused"]


async def test_an_id_that_has_run_is_refused(program: Program) -> None:
    await routed(program)
    await program.later(seconds=1)
    assert "was started before" in (await routed(program)).refused


async def test_a_seal_of_nobodys_is_refused(program: Program) -> None:
    order = await program.asked()
    value = program.engine.given(order)
    found = await program.services.activities.route_request(
        Any,
        RouteInput(
            instance_id=order,
            request=REQUEST.model_copy(update={"amount": REQUEST.amount * 2}),
            run=program.clock(),
            sealed=value["sealed"],
        ),
    )
    assert "none of this app's doors made" in found.refused


async def test_a_policy_that_cannot_be_read_asks_nobody_and_says_why(program: Program) -> None:
    await program.services.policies.current()
    program.policy.write_text("version: 1\nrules: nonsense\n")
    found = await routed(program)
    assert found.state is not None
    assert (found.state.route.rule, found.state.route.stages) == ("unreadable", ())


async def test_a_requester_who_is_nobody_is_refused(program: Program) -> None:
    asked = RouteInput(
        instance_id="own-43",
        request=REQUEST.model_copy(update={"requester": "nobody@elsewhere.example"}),
        run=program.clock(),
    )
    assert "no person in Slack" in (await program.services.activities.route_request(Any, asked)).refused


async def test_evidence_that_was_changed_raises_the_alarm_at_every_activity(program: Program) -> None:
    order = await program.asked()
    evidence = program.engine.evidence_of(order)
    forged = evidence.model_copy(update={"opening": "0" * 64})
    activities = program.services.activities
    calls = (
        activities.request_approval(Any, AskInput(evidence=forged)),
        activities.judge_decision(Any, JudgeInput(evidence=forged, at=program.clock())),
        activities.record(Any, RecordInput(evidence=forged)),
        activities.process_order(Any, ProcessInput(evidence=forged)),
    )
    for call in calls:
        with pytest.raises(NonRetryableError, match="does not follow from sealed evidence"):
            await call
    assert (await program.audited(order)).count("evidence.refused") == len(calls)
    assert (await program.row(order)).phase == "waiting"


async def test_what_was_not_approved_is_not_processed(program: Program) -> None:
    order = await program.asked()
    activities = program.services.activities
    with pytest.raises(NonRetryableError):
        await activities.process_order(Any, ProcessInput(evidence=program.engine.evidence_of(order)))
    assert "effect.order_processed" not in await program.audited(order)


async def test_unsigned_events_are_dropped_with_one_entry_a_turn(program: Program) -> None:
    order = await program.asked()
    for payload in ({"approved": True}, {"decision": {}, "key_id": "k1", "mac": "0"}, {"x": 1}):
        await program.engine.raise_event(order, "approval_decision", payload)
    await program.becomes_audited(order, "request.refused")
    await program.click("U0MANAGER", order)
    assert (await program.ended(order))["status"] == "completed"


async def test_a_card_that_slack_does_not_take_is_reported_and_the_request_can_be_decided(program: Program) -> None:
    program.slack.fault(method="chat.postMessage", kind="error", error="channel_not_found", count=None)
    order = await program.start()
    await program.becomes_audited(order, "card.unposted")
    assert (await program.row(order)).phase == "waiting"
    program.slack.clear_faults()
    await program.later(minutes=3)
    await program.becomes_audited(order, "card.posted")
    await program.click("U0MANAGER", order)
    assert (await program.ended(order))["status"] == "completed"


async def test_nobody_who_answers_is_a_time_out_after_its_reminders(program: Program) -> None:
    order = await program.asked()
    await program.later(days=1.1)
    await program.becomes_audited(order, "request.reminded")
    await program.later(days=2)
    assert (await program.ended(order))["reason"] == "approval_timeout"
    assert (await program.row(order)).phase == "timed_out"


async def test_an_automatic_rule_asks_nobody(program: Program) -> None:
    order = await program.start("small", "20")
    assert (await program.ended(order))["status"] == "completed"
    assert "card.posted" not in await program.audited(order)
