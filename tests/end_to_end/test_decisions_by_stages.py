"""Several people, several stages, time that runs out, and requests that are passed on."""

import copy

from approvals.decision import Reason
from approvals.messages import message_for
from tests.end_to_end.control_room import key
from tests.end_to_end.system import System, buttons_of, clicked_by, eventually, text_of

SETTINGS = "story"


def test_nobody_answers_and_that_is_not_a_no(system: System) -> None:
    order = system.order("timeout", currency="EUR")
    assert buttons_of(order.card())
    with system.hears("U0REQUESTER", f"order {order.id} "):
        assert order.result() == {"status": "rejected", "reason": "approval_timeout"}
    card = order.card_says("Nobody answered")
    assert "This is not a no" in text_of(card)
    assert buttons_of(card) == {}
    reminders = [text for text in order.thread() if text.startswith("Reminder ")]
    assert [text[:11] for text in reminders] == ["Reminder 1:", "Reminder 2:"]
    actions = order.actions()
    assert actions.count("request.reminded") == 2
    assert actions[-1] == "request.timed_out"


def test_one_yes_of_two_is_told_as_one_of_two_when_the_time_is_up(system: System) -> None:
    """It was told as "nobody answered", and with a code for a reason."""
    order = system.order("one-of-two", currency="NOK")
    order.card()
    order.click("U0MANAGER")
    told = "1 of 2 approved (<@U0MANAGER>); the second did not answer by"
    with system.hears("U0REQUESTER", told):
        ended = order.output()
    assert (ended["outcome"], ended["approvers"]) == ("timed_out", ["manager"])
    card = order.card_says(told)
    assert any(told in text for text in eventually(order.thread))
    page = system.http.get(f"/workflows/{order.instance_id}", headers=key(system, "operator")).json()["workflow"]
    assert [(one["name"], one["approved"]) for one in page["decided_by"]] == [("manager", True)]
    heard = [text for text in system.private("U0REQUESTER") if order.id in text]
    for text in (text_of(card), *order.thread(), *heard):
        assert "obody" not in text
        assert "approval_timeout" not in text


def test_after_the_first_of_two_all_faces_say_one_of_two_and_who(system: System) -> None:
    """`why` said that nobody had answered, and status never showed 1 of 2."""
    order = system.order("first-of-two", currency="CHF")
    order.click("U0MANAGER")
    order.card_says("1 of 2 approved")
    rights, path = key(system, "operator"), f"/workflows/{order.instance_id}"
    told = system.http.get(f"{path}/diagnosis", headers=rights).json()["answers"][0]
    assert told["sentence"] == f"order {order.id} waits for a decision: 1 of 2 approved (manager)."
    line = system.http.get(path, headers=rights).json()["workflow"]
    assert (line["approved"], line["needed"], line["decided_by"][0]["name"]) == (1, 2, "manager")
    said = system.act(system.slack.act_as("U0REQUESTER").slash("/approval", f"status {order.id}", "approvals"))
    assert "1 of 2 approved" in str(said.body)


def test_a_late_click_hears_that_it_is_over(system: System) -> None:
    order = system.order("late", currency="EUR")
    late = order.click("U0VP").payload
    assert order.output()["reason"] == "approval_timeout"
    with system.hears("U0MANAGER", message_for(Reason.REQUEST_OVER)):
        system.deliver(clicked_by(late, "U0MANAGER"))


def test_two_stages_need_two_people(system: System) -> None:
    order = system.order("stages", "900", currency="GBP")
    order.click("U0MANAGER")
    second = order.card(stage=1)
    assert "<@U0MANAGER>" not in second.text
    assert buttons_of(order.card_says("On to the next stage")) == {}
    with system.hears("U0MANAGER", message_for(Reason.ALREADY_COUNTED)):
        order.click("U0MANAGER", stage=1)
    order.click("U0VP", stage=1)
    assert order.result() == {"status": "completed"}
    order.card_says("Approved: order", stage=1)
    first = order.card_says("Approved: order")
    assert buttons_of(first) == {}


def test_the_card_of_a_stage_that_is_over_loses_its_buttons_though_the_next_card_was_faster(system: System) -> None:
    order = system.order("slower", "900", currency="GBP")
    order.card()
    system.slack.fault(method="chat.update", kind="slow", delay=3.0, count=2)
    order.click("U0MANAGER")
    order.card(stage=1)
    assert buttons_of(order.card_says("On to the next stage", seconds=20)) == {}


def test_the_card_of_a_stage_that_is_complete_decides_nothing(system: System) -> None:
    order = system.order("old", "900", currency="GBP")
    old = order.click("U0MANAGER").payload
    order.card(stage=1)
    with system.hears("U0MANAGER2", message_for(Reason.OLD_CARD)):
        system.deliver(clicked_by(old, "U0MANAGER2"))
    order.click("U0VP", stage=1)
    assert order.result() == {"status": "completed"}


def test_one_person_counts_in_both_stages_where_the_policy_says_so(system: System) -> None:
    order = system.order("repeat", "2000", currency="GBP")
    order.click("U0MANAGER")
    order.card(stage=1)
    order.click("U0MANAGER", stage=1)
    assert order.result() == {"status": "completed"}


def test_two_of_a_group_must_say_yes_and_one_no_is_enough(system: System) -> None:
    order = system.order("both", currency="CHF")
    order.click("U0MANAGER")
    order.card_says("1 of 2")
    assert len(eventually(order.thread)) == 1
    order.click("U0MANAGER2")
    assert order.result() == {"status": "completed"}
    refused = system.order("one-no", currency="CHF")
    refused.click("U0MANAGER")
    refused.card_says("1 of 2")
    refused.reject("U0MANAGER2", "No")
    assert refused.result() == {"status": "rejected", "reason": "No"}


def test_an_escalation_rewrites_the_card_and_the_old_rendering_is_refused(system: System) -> None:
    order = system.order("escalated", currency="JPY", amount="100")
    before = order.click("U0GUEST").payload  # a rendering of the first round, as a slow client still shows it
    order.card_says("S0VPS")
    with system.hears("U0MANAGER", message_for(Reason.REROUTED_CARD)):
        system.deliver(clicked_by(before, "U0MANAGER"))
    assert any("<!subteam^S0VPS>" in text for text in eventually(order.thread))
    order.click("U0VP")
    assert order.result() == {"status": "completed"}


def test_a_rule_that_names_an_unknown_group_lets_nobody_approve(system: System) -> None:
    order = system.order("nobody", currency="SEK")
    with system.hears("U0MANAGER", message_for(Reason.UNKNOWN_GROUP)):
        order.click("U0MANAGER")
    assert order.status() == "RUNNING"


def test_a_card_of_another_order_or_with_changed_content_decides_nothing(system: System) -> None:
    first, other = system.order("mine", currency="CHF"), system.order("yours", currency="CHF")
    payload = clicked_by(first.click("U0GUEST").payload, "U0MANAGER")
    value = payload["actions"][0]["value"]
    theirs = buttons_of(other.card())["approval_approve"]["value"]
    digest, nonce = (_part(value, name) for name in ("digest", "nonce"))
    for changed, reason in (
        (value.replace(first.instance_id, other.instance_id), Reason.REUSED_ID),
        (value.replace(digest, "0" * 64), Reason.CHANGED_REQUEST),
        (value.replace(nonce, "0" * 32), Reason.FORGED_CARD),
        (value.replace('"stage":0', '"stage":1'), Reason.FORGED_CARD),
        (value.replace(nonce, _part(theirs, "nonce")), Reason.FORGED_CARD),
    ):
        sent = copy.deepcopy(payload)
        sent["actions"][0]["value"] = changed
        with system.hears("U0MANAGER", message_for(reason)):
            system.deliver(sent)
    assert first.status() == other.status() == "RUNNING"


def _part(value: str, name: str) -> str:
    return value.split(f'"{name}":"', 1)[1].split('"', 1)[0]
