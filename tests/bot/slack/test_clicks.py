"""A click moves a workflow, in one loop: from the card's button to the order's processing and back to the card."""

import asyncio
import json

import pytest

from approvals.decision import Reason
from approvals.messages import message_for
from cards import reject_modal, request_card
from local.slack.transport import Envelope
from tests.in_process import CHANNEL, Program, eventually


async def text_of_card(program: Program, instance_id: str, part: str) -> str:
    async def text() -> str:
        card = program.card(instance_id)
        return card.text + json.dumps(card.blocks)

    return await eventually(text, lambda found: part in found)


async def test_an_approval_completes_the_order_and_everybody_is_told(program: Program) -> None:
    order = await program.asked()
    assert (await program.click("U0MANAGER", order)).ok
    assert (await program.ended(order))["status"] == "completed"
    assert [each for each in await program.audited(order) if not each.startswith("policy.")] == [
        "order.started",
        "request.asked",
        "card.posted",
        "decision.submitted",
        "request.accepted",
        "request.approved",
        "effect.order_processed",
    ]
    await text_of_card(program, order, "Approved: order")
    await program.hears("U0REQUESTER", "order 42 ")


async def test_a_rejection_asks_why_and_the_reason_is_the_outcome(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order, request_card.REJECT)
    manager = program.slack.act_as("U0MANAGER")
    await eventually(lambda: program.modals("U0MANAGER"))
    empty = await manager.submit(values={reject_modal.ACTION: "  \n "})
    assert reject_modal.BLOCK in (empty.errors or {})
    assert (await manager.submit(values={reject_modal.ACTION: "Too dear"})).ok
    assert (await program.ended(order))["reason"] == "Too dear"
    await text_of_card(program, order, "Too dear")


async def test_two_clicks_at_the_same_moment_count_once(program: Program) -> None:
    order = await program.asked()
    card = program.card(order)
    manager = program.slack.act_as("U0MANAGER")
    clicks = [manager.click(CHANNEL, card.ts, request_card.APPROVE) for _ in range(2)]
    first, second = await asyncio.gather(*clicks)
    assert (first.ok, second.ok) == (True, True)
    assert (await program.ended(order))["status"] == "completed"
    await program.later(seconds=31)  # what came too late for the workflow is answered at its next delivery
    await program.services.deliverer.round()
    verdicts = await eventually(lambda: program.verdicts(order), lambda found: len(found) == 2 and None not in found)
    assert "allowed" in verdicts
    assert set(verdicts) - {"allowed"} in ({Reason.REQUEST_OVER}, {Reason.ALREADY_DECIDED})
    assert (await program.audited(order)).count("request.accepted") == 1


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("U0VP", Reason.NOT_AN_APPROVER),
        ("U0REQUESTER", Reason.OWN_REQUEST),
        ("U0GUEST", Reason.GUEST),
        ("U0STRANGER", Reason.OTHER_TEAM),
    ],
)
async def test_a_wrong_person_decides_nothing_and_hears_why(program: Program, user: str, reason: Reason) -> None:
    order = await program.asked()
    assert (await program.click(user, order)).ok
    await program.hears(user, message_for(reason))
    assert (await program.row(order)).phase == "waiting"
    assert (await program.audited(order))[-1] == "decision.refused"


async def test_a_wrong_person_gets_no_form_for_a_rejection(program: Program) -> None:
    order = await program.asked()
    await program.click("U0VP", order, request_card.REJECT)
    await program.hears("U0VP", message_for(Reason.NOT_AN_APPROVER))
    assert reject_modal.ACTION not in str(program.slack.modals("U0VP"))


async def test_details_show_everything_in_a_modal(program: Program) -> None:
    order = await program.asked(description="Two laptops")
    assert (await program.click("U0GUEST", order, request_card.DETAILS)).ok
    view = await eventually(lambda: program.modals("U0GUEST"), lambda found: "Two laptops" in str(found))
    assert "a manager within 3 days" in str(view)


@pytest.mark.parametrize("action", [request_card.APPROVE, request_card.REJECT, request_card.DETAILS])
@pytest.mark.parametrize("value", ["", "{}", "nonsense", None])
async def test_a_card_that_is_none_of_ours_decides_nothing(program: Program, action: str, value: str | None) -> None:
    order = await program.asked()
    payload = dict((await program.click("U0MANAGER", order, request_card.DETAILS)).payload)
    payload["actions"][0] |= {"action_id": action, "value": value}
    await program.slack.on_loop(program.slack.workspace.deliver(Envelope("interactive", payload, None)))
    await program.hears("U0MANAGER", "othing was decided")
    assert (await program.row(order)).phase == "waiting"


async def test_a_form_that_is_none_of_ours_is_answered_in_the_form(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order, request_card.REJECT)
    await eventually(lambda: program.modals("U0MANAGER"))
    sent = await program.slack.act_as("U0MANAGER").submit(values={reject_modal.ACTION: " "})
    payload = dict(sent.payload)
    payload["view"]["private_metadata"] = "{}"
    answer = await program.slack.on_loop(program.slack.workspace.deliver(Envelope("interactive", payload, None)))
    assert json.loads(answer.body)["response_action"] == "update"
    assert (await program.row(order)).phase == "waiting"


async def test_a_modal_that_slack_does_not_open_is_told(program: Program) -> None:
    order = await program.asked()
    program.slack.fault(method="views.open", kind="error", error="expired_trigger_id", count=2)
    for action in (request_card.REJECT, request_card.DETAILS):
        await program.click("U0MANAGER", order, action)
    await eventually(lambda: program.told("U0MANAGER", "could not be opened in time"), lambda found: len(found) == 2)


async def test_a_click_on_a_paused_request_counts_when_it_goes_on(program: Program) -> None:
    order = await program.asked()
    await program.engine.pause(order)
    await program.mark(order, engine_status="SUSPENDED")
    await program.click("U0MANAGER", order)
    await eventually(lambda: program.verdicts(order), lambda found: found == [None])
    assert (await program.row(order)).phase == "waiting"
    await program.engine.resume(order)
    assert (await program.ended(order))["status"] == "completed"
