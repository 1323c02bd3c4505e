"""A click moves a workflow: approve, reject with a reason, details; then card, thread and requester tell of it."""

import asyncio
import contextlib
from typing import Any

from approvals.decision import Reason
from approvals.messages import message_for
from cards import reject_modal, request_card
from tests.end_to_end.conftest import both_transports
from tests.end_to_end.system import CHANNEL, Order, System, buttons_of, clicked_by, eventually, text_of


@both_transports
def test_an_approval_completes_the_order_and_everybody_is_told(system: System) -> None:
    order = system.order("approved")
    with system.hears("U0REQUESTER", f"order {order.id} "):
        assert order.click("U0MANAGER").ok
        assert order.result() == {"status": "completed"}
    card = order.card_says("Approved: order", "U0MANAGER")
    assert buttons_of(card) == {}
    [said] = eventually(order.thread)
    assert said.startswith(f"order {order.id} ($2,400.00): Approved. <@U0MANAGER> approved, 2")
    assert [row.order_id for row in order.processed()] == [order.id]
    actions = order.actions()
    kept = [each for each in actions if not each.startswith("policy.")]
    assert kept == [
        "order.started",
        "request.asked",
        "card.posted",
        "decision.submitted",
        "request.accepted",
        "request.approved",
        "effect.order_processed",
    ]


@both_transports
def test_a_rejection_asks_why_and_the_reason_reaches_everybody(system: System) -> None:
    order = system.order("rejected")
    order.open_rejection("U0MANAGER")
    manager = system.slack.act_as("U0MANAGER")
    empty = system.act(manager.submit(values={reject_modal.ACTION: "  \n "}))
    assert reject_modal.BLOCK in (empty.errors or {})
    with system.hears("U0REQUESTER", "Too dear for now"):
        assert system.act(manager.submit(values={reject_modal.ACTION: "Too dear for now"})).ok
        assert order.result() == {"status": "rejected", "reason": "Too dear for now"}
    card = order.card_says("Rejected: order", "Too dear for now")
    assert buttons_of(card) == {}
    assert any("Too dear for now" in text for text in eventually(order.thread))
    assert order.processed() == ()


@both_transports
def test_details_show_everything_in_a_modal(system: System) -> None:
    order = system.order("details", description="Two laptops")
    assert order.click("U0GUEST", request_card.DETAILS).ok
    eventually(lambda: [view for view in system.slack.modals("U0GUEST") if order.instance_id in str(view.blocks)])
    view = eventually(lambda: [view for view in system.slack.modals("U0GUEST") if "Two laptops" in str(view.blocks)])[0]
    for part in ("a manager within 3 days", "Rule", "What happened"):
        assert part in str(view.blocks)
    system.act(system.slack.act_as("U0GUEST").close(everything=True))


@both_transports
def test_a_second_click_counts_once_and_says_so_in_private(system: System) -> None:
    order = system.order("second")
    first = order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    with system.hears("U0MANAGER2", message_for(Reason.REQUEST_OVER)):
        again = clicked_by(first.payload, "U0MANAGER2")
        assert system.deliver(again).error is None
    assert [row.verdict["reason"] for row in order.decisions()] == ["request_over", "allowed"]
    assert len(order.processed()) == 1


@both_transports
def test_two_clicks_of_one_person_at_once_count_once(system: System) -> None:
    order = system.order("double")
    card, manager = order.card(), system.slack.act_as("U0MANAGER")

    async def both() -> list[Any]:
        return await asyncio.gather(*(manager.click(CHANNEL, card.ts, request_card.APPROVE) for _ in range(2)))

    assert [each.ok for each in system.act(both())] == [True, True]
    assert order.result() == {"status": "completed"}
    verdicts = eventually(lambda: (found := [row.verdict for row in order.decisions()]) and all(found) and found, 60)
    reasons = {each["reason"] for each in verdicts}
    assert (len(verdicts), reasons - {Reason.REQUEST_OVER, Reason.ALREADY_DECIDED}) == (2, {"allowed"})
    assert order.actions().count("request.accepted") == 1


WRONG_PEOPLE = [
    ("U0VP", Reason.NOT_AN_APPROVER, {}),
    ("U0REQUESTER", Reason.OWN_REQUEST, {}),
    ("U0GUEST", Reason.GUEST, {}),
    ("U0GONE", Reason.DEACTIVATED, {}),
    ("U0STRANGER", Reason.OTHER_TEAM, {}),
    ("U0ELSEWHERE", Reason.STRANGER, {"is_stranger": True}),
    ("U0INVITED", Reason.INVITED, {"is_invited_user": True}),
    ("U0ROBOT", Reason.BOT, {"is_bot": True}),
]


@both_transports
def test_a_wrong_person_decides_nothing_and_hears_why(system: System) -> None:
    order = system.order("wrong")
    for user, reason, flags in WRONG_PEOPLE:
        if flags:
            system.act(
                system.slack.change_user(user, name=user.lower(), real_name=user, email=f"{user}@example.com", **flags)
            )
        # Slack takes no message for somebody who has left.
        with contextlib.nullcontext() if user == "U0GONE" else system.hears(user, message_for(reason)):
            assert order.click(user).ok
        refused = order.audit()[-1]
        assert (refused.action, refused.verdict) == ("decision.refused", reason.value)
        assert refused.actor.endswith(f"/{user}")
    assert order.status() == "RUNNING"
    assert buttons_of(order.card())
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}


@both_transports
def test_a_wrong_person_gets_no_form_for_a_rejection(system: System) -> None:
    order = system.order("no-form")
    with system.hears("U0VP", message_for(Reason.NOT_AN_APPROVER)):
        order.click("U0VP", request_card.REJECT)
    assert reject_modal.CALLBACK not in {view.callback_id for view in system.slack.modals("U0VP")}


@both_transports
def test_nobody_decides_on_what_they_submitted_for_somebody_else(system: System) -> None:
    order = system.order("submitted", by="manager@example.com", requester="requester@example.com")
    with system.hears("U0MANAGER", message_for(Reason.OWN_REQUEST)):
        order.click("U0MANAGER")
    order.click("U0MANAGER2")
    assert order.result() == {"status": "completed"}


def test_a_second_account_with_the_requesters_email_is_the_requester(system: System) -> None:
    twin = {"name": "twin", "real_name": "Twin", "email": "Requester@Example.com"}
    system.act(system.slack.change_user("U0TWINOFREQUESTER", **twin))
    order = system.order("twin")
    with system.hears("U0TWINOFREQUESTER", message_for(Reason.OWN_REQUEST)):
        order.click("U0TWINOFREQUESTER")


def test_a_requester_who_is_nobody_is_refused_by_every_door(system: System) -> None:
    answer = system.start("unknown", requester="nobody@elsewhere.example")
    assert (answer.status_code, "no person in Slack" in answer.text) == (422, True)
    order = system.order_id("unknown-by-name")
    value = {"kind": "order", "subject": order, "amount": "2400", "currency": "USD", "requester": "nobody@x.example"}
    system.engine.schedule_new_workflow("approval_workflow", input=value, instance_id=order)
    eventually(lambda: system.engine.get_workflow_state(order).runtime_status.name == "COMPLETED")
    assert not [each for each in system.slack.messages("approvals") if order in text_of(each)]


def test_a_click_on_what_is_no_card_of_ours_decides_nothing(system: System) -> None:
    order = system.order("garbled")
    payload = _clicked(system, order)
    for value in ("", "{}", "nonsense", None, '{"instance_id": "order-1-workflow"}'):
        payload["actions"][0]["value"] = value
        with system.hears("U0MANAGER", "othing was decided"):
            assert system.deliver(payload).error is None
    assert order.status() == "RUNNING"


def _clicked(system: System, order: Order) -> dict[str, Any]:
    """Return the payload of a click on a card by somebody who may not, to change it and send it again."""
    return clicked_by(order.click("U0VP").payload, "U0MANAGER")
