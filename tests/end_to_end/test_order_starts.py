"""An order starts a workflow, once for each id, and the policy says who is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from approvals.decision import Reason
from approvals.messages import message_for
from cards import request_card
from records import instances
from tests.end_to_end.conftest import both_transports
from tests.end_to_end.system import Order, System, buttons_of, eventually, text_of


@both_transports
def test_a_start_answers_the_instance_and_the_same_call_again_answers_the_same(system: System) -> None:
    first, second = system.start("same"), system.start("same")
    wanted = {"instance_id": f"order-{system.order_id('same')}-workflow", "status": "started"}
    for answer, new in ((first, True), (second, False)):
        found = answer.json()
        assert (answer.status_code, {name: found[name] for name in wanted}, found["new"]) == (200, wanted, new)
    order = Order(system, system.order_id("same"))
    order.card()
    assert len(order.cards()) == 1


def test_a_tutorials_query_form_starts_the_same_order(system: System) -> None:
    path = f"/orders/{system.order_id('query')}/start"
    first = system.post(f"{path}?amount=2400")
    assert (first.status_code, system.post(path, {"amount": 2400.00}).status_code) == (200, 200)
    assert system.post(f"{path}?amount=2400", {"amount": "1"}).status_code == 422


def test_an_id_with_other_content_is_a_conflict(system: System) -> None:
    system.order("conflict", "2400")
    answer = system.start("conflict", "2401")
    assert answer.status_code == 409
    assert "started before with other content" in answer.json()["detail"]


def test_a_finished_order_is_not_run_again(system: System) -> None:
    order = system.order("finished", "10")
    assert order.result() == {"status": "completed"}
    assert system.start("finished", "10").status_code == 200
    assert system.start("finished", "11").status_code == 409
    assert len(order.processed()) == 1


def test_an_orders_id_that_is_started_past_the_door_asks_nobody_and_processes_nothing(system: System) -> None:
    order_id = system.order_id("elsewhere")
    system.engine.schedule_new_workflow(
        _named("approval_workflow"),
        instance_id=f"order-{order_id}-workflow",
        input={"subject": order_id, "amount": "1", "currency": "USD", "requester": "requester@example.com"},
    )
    order = Order(system, order_id)
    output = order.output()
    assert output["status"] == "rejected"
    assert "started at a door of this app" in output["reason"]
    assert system.start("elsewhere", "1").status_code == 409
    assert order.processed() == ()
    assert "start.refused" in order.actions()


def _named(name: str) -> Callable[..., None]:
    def workflow() -> None: ...

    workflow.__name__ = name
    return workflow


@pytest.mark.parametrize(
    ("amount", "part"),
    [
        (None, "The amount is missing"),
        ("-1", "must not be negative"),
        ("abc", "not usable"),
        ("NaN", "not usable"),
        ("Infinity", "not usable"),
        ("1000000000001", "at most 1,000,000,000,000"),
        ("1e400", "at most 1,000,000,000,000"),
        ("10.001", "more than 2 decimal places"),
        (True, "must be a number"),
    ],
)
def test_an_unusable_amount_is_refused_with_a_sentence(system: System, amount: object, part: str) -> None:
    answer = system.post(f"/orders/{system.order_id('amount')}/start", {"amount": amount})
    assert answer.status_code == 422
    assert part in answer.json()["detail"]


@pytest.mark.parametrize("order_id", ["a%2Fb", "a%23b", "..", "%20a", "x" * 81])
def test_an_id_that_the_engine_would_refuse_is_refused_with_a_sentence(system: System, order_id: str) -> None:
    answer = system.post(f"/orders/{order_id}/start", {"amount": 1})
    assert answer.status_code in ({404, 405} if "/" in answer.url.path[8:-6] or order_id == ".." else {422})
    if answer.status_code == 422:
        assert "1 to 80 characters" in answer.json()["detail"]


@pytest.mark.parametrize("body", [{"currency": "dollars"}, {"requester": ""}, {"colour": "red"}, {"details": {"a": 1}}])
def test_a_body_that_says_something_else_is_refused(system: System, body: dict[str, object]) -> None:
    answer = system.post(f"/orders/{system.order_id('body')}/start", {"amount": 1, **body})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The request is not usable: body.")


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"note": "x" * 2001}, "The details is not usable: the detail 'note' has 2001 characters; 2000 at most"),
        ({"n" * 101: "x"}, "a detail's name has 101 characters; 100 at most"),
        ({str(number): "x" * 2000 for number in range(9)}, "16384 at most"),
    ],
)
def test_a_request_that_is_too_large_is_refused_at_the_door_and_nothing_starts(
    system: System, details: dict[str, str], message: str
) -> None:
    order_id = system.order_id("large")
    answer = system.post(f"/orders/{order_id}/start", {"amount": 1, "details": details})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert system.records(lambda connection: instances.get(connection, f"order-{order_id}-workflow")) is None


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer cs_0000_wrong"}, {"Authorization": "Basic eA=="}])
def test_without_a_good_key_nothing_starts(system: System, headers: dict[str, str]) -> None:
    answer = system.http.post("/orders/none/start", json={"amount": 1}, headers=headers)
    assert answer.status_code == 401
    assert "API key" in answer.json()["detail"]


def test_an_approver_alone_may_not_start_an_order(system: System) -> None:
    answer = system.post("/orders/none/start", {"amount": 1}, roles=("auditor",))
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_permitted")


ROUTES = [
    ("0", "automatic"),
    ("499.99", "automatic"),
    ("500", "S0MANAGERS"),
    ("2400", "S0MANAGERS"),
    ("5000", "S0MANAGERS"),
    ("5000.01", "S0VPS"),
    ("1000000000000", "S0VPS"),
]


@pytest.mark.parametrize(("amount", "asked"), ROUTES)
def test_the_policy_decides_who_is_asked(system: System, amount: str, asked: str) -> None:
    order = system.order(f"route-{amount}", amount)
    if asked == "automatic":
        assert order.result() == {"status": "completed"}
        assert order.cards() == []
        eventually(lambda: [text for text in system.private("U0REQUESTER") if f"order {order.id} " in text])
    else:
        assert asked in text_of(order.card())


def test_a_policy_with_a_single_threshold_works_too(alone: Callable[..., System], tmp_path: Path) -> None:
    policy = tmp_path / "single.yml"
    policy.write_text(
        "version: 1\nchannel: approvals\nrules:\n"
        "  - {name: small, when: {amount: {below: 1000}}, approve: automatic}\n"
        "  - {name: large, approve: [{email: vp@example.com}], within: 1 h}\n"
    )
    system = alone(policy=policy)
    assert system.order("below", "999.99").result() == {"status": "completed"}
    order = system.order("at", "1000")
    assert "<@U0VP>" in text_of(order.card())
    order.click("U0VP")
    assert order.result() == {"status": "completed"}


def test_a_broken_policy_stops_a_start_with_line_and_reason(alone: Callable[..., System], tmp_path: Path) -> None:
    policy = tmp_path / "changing.yml"
    policy.write_text("version: 1\nchannel: approvals\nrules:\n  - {name: all, approve: [{group: managers}]}\n")
    system = alone(policy=policy)
    waiting = system.order("before")
    waiting.card()
    policy.write_text("version: 1\nchannel: approvals\nrules:\n  - name: all\n    aprove: automatic\n")
    answer = system.start("broken")
    assert answer.status_code == 503
    assert "changing.yml:5: " in answer.json()["detail"]
    assert "aprove" in answer.json()["detail"]
    said = system.act(system.slack.act_as("U0OPERATOR").slash("/approval", f"pause {waiting.id} because", "approvals"))
    assert message_for(Reason.ROLES_UNKNOWN) in str(said.body)  # without a policy nobody has a role
    assert waiting.status() == "RUNNING"
    # A request keeps the route it was asked under.
    waiting.click("U0MANAGER")
    assert waiting.result() == {"status": "completed"}


def test_a_rule_that_leads_to_nobody_stops_the_start(alone: Callable[..., System], tmp_path: Path) -> None:
    policy = tmp_path / "nobody.yml"
    policy.write_text(
        "version: 1\nchannel: approvals\nreports_to: {requester@example.com: manager@example.com}\nrules:\n"
        "  - {name: own manager, approve: reports_to, within: 1 h}\n"
    )
    system = alone(policy=policy)
    answer = system.start("no-manager", by="vp@example.com")
    assert answer.status_code == 422
    assert "own manager" in answer.json()["detail"]
    order = system.order("manager")
    assert "<@U0MANAGER>" in text_of(order.card())
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}


@both_transports
def test_the_card_says_who_asks_for_what_and_why_and_until_when(system: System) -> None:
    order = system.order("card", "2400", description="Two <!channel> laptops & *a* <http://x|link>")
    card = order.card()
    said = text_of(card)
    for part in ("$2,400.00", "<@U0REQUESTER>", "<!subteam^S0MANAGERS>", "a manager within 3 days", "<!date^"):
        assert part in said
    assert card.text.startswith("requester@example.com asks for $2,400.00")
    assert set(card.pings) == {"S0MANAGERS", "U0REQUESTER"}
    buttons = buttons_of(card)
    *named, menu = buttons.values()
    assert [each["text"]["text"] for each in named] == ["Approve", "Reject", "Details"]
    assert all(each["accessibility_label"] for each in named)
    assert [each["text"]["text"] for each in menu["options"]] == ["Withdraw"]
    assert "confirm" in buttons[request_card.APPROVE]


def test_a_requester_who_is_nobody_is_refused_with_a_message(system: System) -> None:
    answer = system.post(f"/orders/{system.order_id('blank')}/start", {"amount": 1, "requester": "  "})
    assert (answer.status_code, "must name somebody" in answer.json()["detail"]) == (422, True)
