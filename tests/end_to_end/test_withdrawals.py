"""Who asked takes a request back: by the card's menu, a slash command, REST and the command line. Nobody else can."""

from collections.abc import Callable

import httpx
import pytest

from cards import request_card
from tests.bot.cli.calling import run
from tests.end_to_end.control_room import key
from tests.end_to_end.system import MANAGER, REQUESTER, ROOT, Order, System, buttons_of, eventually

ASKED_BY = "U0REQUESTER"


def waiting(system: System, name: str) -> Order:
    order = system.order(name)
    order.card()
    return order


def by_menu(order: Order, user: str = ASKED_BY) -> None:
    order.system.act(
        order.system.slack.act_as(user).click("approvals", order.card().ts, request_card.MENU, request_card.WITHDRAW)
    )


def by_slash(order: Order, user: str = ASKED_BY) -> str:
    text = f"withdraw {order.id} no longer needed"
    return str(order.system.act(order.system.slack.act_as(user).slash("/approval", text)).body)


def by_rest(order: Order, who: str = REQUESTER, **headers: str) -> httpx.Response:
    found = {"Authorization": f"Bearer {order.system.token(who)}", **headers}
    path = f"/requests/{order.instance_id}/withdraw"
    return order.system.http.post(path, json={"reason": "No longer needed"}, headers=found)


def is_withdrawn(order: Order) -> None:
    assert order.result()["status"] == "withdrawn"
    assert order.output()["outcome"] == "withdrawn"
    card = order.card_says("Withdrawn")
    assert buttons_of(card) == {}
    assert order.processed() == ()
    assert order.actions().count("request.withdrawn") == 1
    assert not {"request.rejected", "request.approved"} & set(order.actions())


def by_rest_of_the_requester(order: Order) -> None:
    assert by_rest(order).json()["status"] == "withdrawn"


@pytest.mark.parametrize("how", [by_menu, by_slash, by_rest_of_the_requester])
def test_the_requester_takes_it_back(system: System, how: Callable[[Order], None]) -> None:
    order = waiting(system, how.__name__.replace("_", "-"))
    how(order)
    is_withdrawn(order)
    assert "withdrawal.submitted" in order.actions()
    eventually(lambda: any("Withdrawn" in text for text in order.thread()))


def test_the_reason_stands_on_the_card_and_in_the_audit(system: System) -> None:
    order = waiting(system, "reason")
    by_slash(order)
    order.card_says("no longer needed")
    [entry] = [each for each in order.audit() if each.action == "request.withdrawn"]
    assert (entry.reason, entry.actor) == ("no longer needed", "T0LOCAL/U0REQUESTER")


@pytest.mark.parametrize("user", ["U0MANAGER", "U0VP"])
def test_nobody_else_takes_it_back_by_the_menu_and_the_wait_goes_on(system: System, user: str) -> None:
    order = waiting(system, f"others-{user[2:].lower()}")
    by_menu(order, user)
    eventually(lambda: "withdrawal.refused" in order.actions())
    assert order.status() == "RUNNING"
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}


def test_an_approver_s_key_does_not_take_it_back(system: System) -> None:
    order = waiting(system, "key")
    answer = by_rest(order, MANAGER)
    assert answer.status_code == 403, answer.text
    assert "only the person who asks" in answer.text
    assert order.status() == "RUNNING"


def test_what_is_decided_is_not_taken_back_and_a_repeated_call_says_the_same(system: System) -> None:
    decided, order = waiting(system, "decided"), waiting(system, "repeated")
    decided.click("U0MANAGER")
    assert decided.result() == {"status": "completed"}
    late = by_rest(decided)
    assert (late.status_code, "Nothing was withdrawn because" in late.json()["detail"]) == (409, True), late.text
    assert "Nothing was withdrawn because" in by_slash(decided)
    assert len(decided.processed()) == 1
    answers = [by_rest(order, **{"Idempotency-Key": "one"}) for _ in range(2)]
    assert [(each.status_code, each.json()["status"]) for each in answers] == [(200, "withdrawn")] * 2
    is_withdrawn(order)


def test_a_click_after_it_does_not_count(system: System) -> None:
    order = waiting(system, "late-click")
    card = order.card()
    by_menu(order)
    is_withdrawn(order)
    refused = order.approve_by_rest()
    assert refused.status_code == 409
    assert order.processed() == ()
    assert card.ts == order.card().ts


def test_click_and_withdrawal_race_and_exactly_one_wins(system: System) -> None:
    ends = set()
    for number in range(4):
        order = waiting(system, f"race-{number}")
        first, second = (by_menu, lambda order: order.click("U0MANAGER"))[:: 1 if number % 2 else -1]
        first(order)
        second(order)
        status = order.result()["status"]
        ends.add(status)
        assert len(order.processed()) == (1 if status == "completed" else 0)
        assert len({"request.approved", "request.withdrawn"} & set(order.actions())) == 1
    assert ends <= {"completed", "withdrawn"}


def test_the_command_line_takes_it_back_and_who_watches_gets_its_exit_code(system: System) -> None:
    order = waiting(system, "console")
    remote = {"COUNTERSIGN_URL": system.url, "COUNTERSIGN_API_KEY": system.token()}
    found = run("withdraw", order.id, "--reason", "no longer needed", **remote)
    assert (found.code, "is withdrawn" in found.out) == (0, True), found.out + found.err
    assert run("watch", order.id, **remote).code == 12
    again = run("withdraw", order.id, **remote)
    assert (again.code, "is over" in again.err) == (4, True), again.out + again.err


def test_a_program_takes_back_what_it_has_asked_for_and_nothing_else(alone: Callable[..., System]) -> None:
    system = alone(policy=(ROOT / "policy.yml").read_text() + "\nservices: [ci]\n")
    headers = key(system, "requests:ask", person="ci")
    other = waiting(system, "of-a-person")
    asked = system.http.post(
        "/requests", json={"kind": "order", "subject": system.order_id("of-ci"), "amount": "2400"}, headers=headers
    )
    assert asked.status_code == 201, asked.text
    own = Order(system, system.order_id("of-ci"))
    own.card()
    assert system.http.post(f"/requests/{other.instance_id}/withdraw", headers=headers).status_code in {403, 404}
    answer = system.http.post(f"/requests/{own.instance_id}/withdraw", json={}, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (200, "withdrawn"), answer.text
    is_withdrawn(own)
    assert other.status() == "RUNNING"
