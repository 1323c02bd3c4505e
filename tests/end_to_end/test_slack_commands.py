"""/approval and the App Home, as people in Slack meet them, on real parts."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from records import bulk
from tests.end_to_end.control_room import key as make_key
from tests.end_to_end.system import System, eventually

SETTINGS = {}


@pytest.fixture(scope="module")
def key(system: System) -> dict[str, str]:
    return make_key(system, "requester")


def start(system: System, key: dict[str, str], name: str, amount: int = 2400) -> tuple[str, str]:
    """Start an order; returns its id and the ts of its card."""
    order_id = system.order_id(name)
    assert system.http.post(f"/orders/{order_id}/start", json={"amount": amount}, headers=key).status_code == 200
    card = eventually(
        lambda: next((each for each in system.slack.messages("approvals") if f"order {order_id})" in each.text), None)
    )
    return order_id, card.ts


def say(system: System, user: str, text: str) -> str:
    """Type a command; returns everything that its answer shows."""
    outcome = system.act(system.slack.act_as(user).slash("/approval", text, "approvals"))
    assert outcome.status == 200, outcome
    return str(outcome.body)


def confirm(system: System, user: str, **values: Any) -> str:
    """Submit the confirmation that is open; returns what the modal then shows."""
    actor = system.slack.act_as(user)
    outcome = system.act(actor.submit(values=values))
    assert outcome.status == 200, outcome
    return str(outcome.body)


def card_text(system: System, order_id: str) -> str:
    return next(each.text for each in system.slack.messages("approvals") if f"order {order_id})" in each.text)


def test_help_names_every_verb(system: System) -> None:
    assert "/approval terminate" not in say(system, "U0REQUESTER", "help")
    said = say(system, "U0OPERATOR", "help")
    for verb in (
        "status",
        "list",
        "mine",
        "decided",
        "history",
        "why",
        "stats",
        "pause",
        "resume",
        "terminate",
        "purge",
    ):
        assert f"/approval {verb}" in said


def test_a_guest_is_told_that_no_role_can_be_had_and_gets_no_list_of_verbs(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "guests")
    asked = ("help", "list", "stats", f"status {order_id}", f"terminate {order_id} because", "status", "statsu 42")
    for words in (*asked, "status no-such-order", "why no-such-order", "withdraw no-such-order", "pause no-such-order"):
        said = say(system, "U0GUEST", words)
        assert "only full members" in said, words
        assert "known as" not in said, words
        assert "Ask an admin" not in said, words
        assert "/approval status" not in said, words


def test_an_unknown_verb_gets_the_nearest_one(system: System) -> None:
    assert "/approval history" in say(system, "U0REQUESTER", "histroy 42")


def test_a_command_may_hold_the_word_payload(system: System) -> None:
    assert "There is no /approval payload" in say(system, "U0REQUESTER", "payload=1 payload")


def test_status_takes_an_order_id_as_well_as_an_instance_id(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "status")
    for reference in (order_id, f"order-{order_id}-workflow"):
        said = say(system, "U0REQUESTER", f"status {reference}")
        assert "Waiting" in said
        assert "unning" not in said
        assert "$2,400.00" in said


def test_somebody_who_has_nothing_to_do_with_it_sees_nothing(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "private")
    assert "$2,400.00" not in say(system, "U0GUEST", f"status {order_id}")


def test_an_order_that_is_anothers_and_one_that_is_not_known_get_the_same_answer(
    system: System, key: dict[str, str]
) -> None:
    """A member could try which ids there are."""
    order_id, _ = start(system, key, "foreign")
    for verb in ("status", "history", "why", "withdraw", "pause"):
        foreign = say(system, "U0VP", f"{verb} {order_id}")
        assert foreign.replace(order_id, "ID") == say(system, "U0VP", f"{verb} nobody-knows").replace(
            "nobody-knows", "ID"
        )
        assert "Operators, auditors and admins see every request" in foreign or verb == "pause"


def test_an_unknown_id_is_a_sentence(system: System) -> None:
    assert "No workflow is known as nothing-like-this" in say(system, "U0OPERATOR", "status nothing-like-this")


def test_the_list_pages_and_mine_is_only_mine(system: System, key: dict[str, str]) -> None:
    for number in range(12):
        start(system, key, f"page{number}")
    first = say(system, "U0OPERATOR", "list all")
    assert "list_page_next" in first
    assert "page11" in first
    assert "page11" in say(system, "U0REQUESTER", "list mine")
    assert "page11" not in say(system, "U0VP", "list mine")


def test_history_shows_the_business_and_the_engine_on_demand(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "history")
    said = say(system, "U0OPERATOR", f"history {order_id}")
    assert "asked" in said
    assert "ExecutionStarted" not in said
    assert "ExecutionStarted" in say(system, "U0OPERATOR", f"history {order_id} engine")


def test_a_command_that_a_role_does_not_include_is_no_event_of_the_request(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "tried")
    say(system, "U0MANAGER", f"terminate {order_id} because")
    assert "refused" not in say(system, "U0OPERATOR", f"history {order_id}")


def test_pausing_twice_is_one_pause_and_resuming_what_runs_is_a_sentence(system: System, key: dict[str, str]) -> None:
    order_id, ts = start(system, key, "pause")
    assert "It is running already" in say(system, "U0OPERATOR", f"resume {order_id}")
    say(system, "U0OPERATOR", f"pause {order_id} stocktaking")
    assert "It is paused" in confirm(system, "U0OPERATOR")
    assert "It is paused already" in say(system, "U0OPERATOR", f"pause {order_id} again")
    system.act(system.slack.act_as("U0MANAGER").click("approvals", ts, "approval_approve"))
    assert "It goes on" in resume(system, order_id)
    eventually(lambda: "Approved" in card_text(system, order_id))


def resume(system: System, order_id: str) -> str:
    say(system, "U0OPERATOR", f"resume {order_id}")
    return confirm(system, "U0OPERATOR")


def test_terminate_asks_to_confirm_and_rewrites_the_card(system: System, key: dict[str, str]) -> None:
    order_id, ts = start(system, key, "terminate")
    say(system, "U0OPERATOR", f"terminate {order_id} ordered twice")
    assert "It is terminated" in confirm(system, "U0OPERATOR")
    card = eventually(
        lambda: next((m for m in system.slack.messages("approvals") if m.ts == ts and "stopped" in m.text), None)
    )
    assert "approval_approve" not in str(card.blocks)
    assert "Stopped (Terminated in Dapr)" in say(system, "U0OPERATOR", f"status {order_id}")


def test_only_operators_manage(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "denied")
    said = say(system, "U0MANAGER", f"terminate {order_id} because")
    assert not system.slack.modals("U0MANAGER")
    assert "role" in said
    assert "Waiting (Running in Dapr)" in say(system, "U0OPERATOR", f"status {order_id}")


def test_what_cannot_be_is_said_at_once_in_place_of_a_modal(system: System, key: dict[str, str]) -> None:
    order_id, ts = start(system, key, "cannot")
    running = {"resume": "It is running already", "purge": "Only a workflow that is over can be purged"}
    for verb, text in running.items():
        assert_told(system, f"{verb} {order_id} so", f"order {order_id}: {text}")
    system.act(system.slack.act_as("U0MANAGER").click("approvals", ts, "approval_approve"))
    eventually(lambda: "Completed in Dapr" in say(system, "U0OPERATOR", f"status {order_id}"))
    over = {
        "terminate": "It is over already: Approved. Nothing was done.",
        "pause": f"Only a running workflow can be paused, and order {order_id} is over: Approved.",
        "resume": f"Only a paused workflow can be resumed, and order {order_id} is over: Approved.",
    }
    for verb, text in over.items():
        assert_told(system, f"{verb} {order_id} so", f"order {order_id}: {text}")
    say(system, "U0OPERATOR", f"purge {order_id}")
    assert "purged" in confirm(system, "U0OPERATOR")
    for verb in ("purge", "terminate", "pause", "resume"):
        assert_told(system, f"{verb} {order_id} so", "Its history is purged")


def assert_told(system: System, words: str, text: str) -> None:
    """Hold that the operator gets the message at once, and no modal."""
    operator = system.slack.act_as("U0OPERATOR")
    while operator.modals():
        system.act(operator.close())
    said = say(system, "U0OPERATOR", words)
    assert text in said, (words, said)
    assert not operator.modals(), words
    assert "ompleted" not in said.lower(), said


def test_a_refused_command_names_what_was_typed(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "names")
    assert f"{order_id}: Nothing was done because your role" in say(
        system, "U0MANAGER", f"terminate {order_id} why not"
    )
    assert "list: " not in say(system, "U0GUEST", "list")


def test_a_refused_click_opens_a_modal_that_names_the_order(system: System, key: dict[str, str]) -> None:
    order_id, ts = start(system, key, "modal")
    before = len(system.slack.ephemerals("U0VP"))
    system.act(system.slack.act_as("U0VP").click("approvals", ts, "approval_approve"))
    shown = eventually(lambda: system.slack.modals("U0VP"))[-1]
    assert shown.body["title"]["text"] == "Not counted"
    assert f"order {order_id}: The answer does not count because the policy does not name you" in str(shown.blocks)
    assert len(system.slack.ephemerals("U0VP")) == before
    system.act(system.slack.act_as("U0VP").close())
    system.act(system.slack.act_as("U0VP").click("approvals", ts, "approval_reject"))
    shown = eventually(lambda: system.slack.modals("U0VP"))[-1]
    assert shown.body["title"]["text"] == "Not counted"


def test_a_rejection_that_comes_too_late_is_told_in_its_own_form(system: System, key: dict[str, str]) -> None:
    order_id, ts = start(system, key, "form")
    manager, other = system.slack.act_as("U0MANAGER"), system.slack.act_as("U0MANAGER2")
    system.act(other.click("approvals", ts, "approval_reject"))
    eventually(other.modals)
    system.act(manager.click("approvals", ts, "approval_approve"))
    eventually(lambda: "Approved" in card_text(system, order_id))
    outcome = system.act(other.submit(values={"reason": "Too dear"}))
    assert f"order {order_id}: " in str(outcome.body)
    assert "Not counted" in str(outcome.body)


def test_purge_forgets_the_history_and_never_the_audit(system: System, key: dict[str, str]) -> None:
    order_id, ts = start(system, key, "purge")
    system.act(system.slack.act_as("U0MANAGER").click("approvals", ts, "approval_approve"))
    eventually(lambda: "Completed in Dapr" in say(system, "U0OPERATOR", f"status {order_id}"))
    say(system, "U0OPERATOR", f"purge {order_id}")
    assert "purged" in confirm(system, "U0OPERATOR")
    assert "approved" in say(system, "U0OPERATOR", f"history {order_id}")


def test_the_home_tab_shows_what_waits_for_me(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "home", 9000)
    vp = system.slack.act_as("U0VP")
    system.act(vp.open_home())
    assert eventually(lambda: vp.home and f"order {order_id}" in str(vp.home))
    requester = system.slack.act_as("U0REQUESTER")
    system.act(requester.open_home())
    assert eventually(lambda: requester.home and "You asked for" in str(requester.home))


def test_why_says_what_it_waits_for(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "why")
    assert order_id in say(system, "U0OPERATOR", f"why {order_id}")


def test_stats_counts_what_waits(system: System, key: dict[str, str]) -> None:
    start(system, key, "stats")
    assert "wait now" in say(system, "U0OPERATOR", "stats")


def test_terminating_what_is_stuck_shows_the_dry_run_and_hits_only_that(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "stuck")
    assert "Nothing would be hit" in modal_of(system, "terminate --stuck --older-than 365d")
    instance_id, words = f"order-{order_id}-workflow", "terminate --stuck --older-than 1s"
    found = eventually(lambda: lists(instance_id, planned(system, words)))
    assert f"This would terminate {len(found)} workflow" in str(system.slack.act_as("U0OPERATOR").modal)
    later, _ = start(system, key, "later")
    assert "has begun" in confirm(system, "U0OPERATOR", reason="clean up")
    eventually(lambda: "Stopped" in say(system, "U0OPERATOR", f"status {order_id}"), 60)
    assert "bulk-" not in say(system, "U0OPERATOR", "list all")
    listed = say(system, "U0OPERATOR", "bulk list")
    assert "Done in bulk" in listed
    assert "Terminate" in listed
    assert "Reason: clean up" in listed
    assert "role" in say(system, "U0MANAGER", "bulk")
    assert "Waiting" in say(system, "U0OPERATOR", f"status {later}")


def planned(system: System, text: str) -> tuple[str, tuple[str, ...]]:
    """Ask for a dry run; returns the modal, and all that it found: a modal has no room for what a used engine holds."""
    shown = modal_of(system, text)

    async def kept(connection: AsyncConnection) -> tuple[str, ...]:
        (newest,) = await bulk.page(connection, limit=1)
        return tuple(each.instance_id for each in await bulk.items(connection, newest.id, limit=100_000))

    return shown, system.records(kept)


def lists(instance_id: str, plan: tuple[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return all that a dry run found where this is among it, and the modal shows it or says that there is more."""
    shown, found = plan
    return found if instance_id in found and (instance_id in shown or "has no room for" in shown) else ()


def modal_of(system: System, text: str) -> str:
    """Type a command as the operator; returns the modal that it opens."""
    operator = system.slack.act_as("U0OPERATOR")
    while operator.modals():
        system.act(operator.close())
    said = say(system, "U0OPERATOR", text)
    assert operator.modals(), said
    return str(operator.modal)


def test_options_that_do_not_exist_are_a_sentence(system: System) -> None:
    assert "There is no option --everything" in say(system, "U0OPERATOR", "terminate --everything")
    assert "is no time" in say(system, "U0OPERATOR", "purge --older-than yesterday")


def test_only_operators_see_a_dry_run(system: System) -> None:
    assert "role" in say(system, "U0MANAGER", "terminate --stuck")


def test_deciding_what_was_terminated_is_told_that_it_is_over(system: System, key: dict[str, str]) -> None:
    order_id, _ = start(system, key, "ended")
    say(system, "U0OPERATOR", f"terminate {order_id} ordered twice")
    confirm(system, "U0OPERATOR")
    approver = make_key(system, "approver", person="manager@example.com")
    answer = system.http.post(f"/orders/{order_id}/approve", json={"approved": True}, headers=approver)
    assert answer.status_code == 409
    assert "request is over" in answer.json()["detail"]
