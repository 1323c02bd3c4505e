"""A day with Countersign, as docs/tutorial/daily-use.md tells it: manager, requester, operator and auditor."""

import csv
from pathlib import Path

import pytest

from tests.end_to_end.control_room import key
from tests.end_to_end.system import Order, System, buttons_of, eventually, text_of
from tests.end_to_end.waiting_rows import waiting

WAITING = 200
MANAGER = "manager@example.com"
SETTINGS = {}
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "daily-use.md"


@pytest.fixture(scope="module")
def day(system: System) -> System:
    """Give a morning on which 200 orders wait for the managers."""
    waiting(system, WAITING, "paper")
    return system


@pytest.fixture(scope="module")
def desks(day: System) -> Order:
    """Give the order that the walk follows."""
    order = day.order("desks", "2400", description="Two standing desks", details={"supplier": "Desks & More"})
    order.card()
    return order


@pytest.fixture(scope="module")
def decided(desks: Order) -> Order:
    """Give that order when the manager has approved it, whichever of these tests runs first in its process."""
    if buttons_of(desks.card()):
        desks.click("U0MANAGER")
    assert desks.output()["outcome"] == "approved"
    desks.card_says("Approved: order")
    return desks


def say(system: System, user: str, text: str) -> str:
    """Type a command; returns everything that its answer shows."""
    return str(system.act(system.slack.act_as(user).slash("/approval", text, "approvals")).body)


def test_the_manager_sees_all_that_waits_and_the_most_urgent_first(day: System, desks: Order) -> None:
    said = say(day, "U0MANAGER", "list")
    assert f"Waits for you (1-10 of {WAITING + 1})" in said
    assert said.index("paper-199") < said.index("paper-198")
    manager = day.slack.act_as("U0MANAGER")
    day.act(manager.open_home())
    assert eventually(lambda: manager.home and f"Waits for you (1-20 of {WAITING + 1})" in str(manager.home))


def test_the_requester_asks_where_it_stands(day: System, desks: Order) -> None:
    assert "0 of 1 approved" in say(day, "U0REQUESTER", f"why {desks.id}")
    assert "Waiting" in say(day, "U0REQUESTER", f"status {desks.id}")


def test_the_manager_reads_the_requesters_words_and_approves(day: System, desks: Order) -> None:
    card = text_of(desks.card())
    assert "In the requester's own words:" in card
    assert "Desks & More" in card
    desks.click("U0MANAGER")
    desks.output()
    assert "Waits for you" in say(day, "U0MANAGER", "list")
    assert desks.id not in say(day, "U0MANAGER", "list waiting")


def test_the_requester_is_told_who_approved_and_when(day: System, decided: Order) -> None:
    [told] = eventually(
        lambda: [text for text in day.private("U0REQUESTER") if decided.id in text and "Approved" in text]
    )
    assert "<@U0MANAGER> approved, 2" in told
    assert "Approved" in say(day, "U0REQUESTER", "mine")
    assert "ompleted" not in say(day, "U0REQUESTER", "mine")


def test_the_operator_finds_what_is_open_and_what_is_over_and_why(day: System, decided: Order) -> None:
    operator = key(day, "operator")
    found = day.http.get("/workflows", params={"outcome": "approved", "sort": "ended"}, headers=operator).json()
    [line] = [each for each in found["workflows"] if each["id"] == decided.instance_id]
    assert (line["standing"], line["outcome"]) == ("Approved", "approved")
    assert [(each["name"].lower(), each["stage"], each["approved"]) for each in line["decided_by"]] == [
        ("manager", 1, True)
    ]
    assert "is over: Approved" in say(day, "U0OPERATOR", f"why {decided.id}")
    history = day.http.get(f"/workflows/{decided.id}/history", params={"source": "business"}, headers=operator).json()
    assert [each["what"] for each in history["events"]][:2] == ["started", "asked"]


def test_an_order_is_read_by_its_id_and_is_not_started_twice(day: System, decided: Order) -> None:
    read = day.http.get(f"/orders/{decided.id}", headers=key(day, "operator")).json()
    assert read["workflow"]["outcome"] == "approved"
    again = day.start(decided.id, "2400", description="Two standing desks", details={"supplier": "Desks & More"})
    if again.json()["instance_id"] == decided.instance_id:
        assert again.json()["outcome"] == "approved"
    refused = day.http.get(f"/orders/{decided.id}?fromat=json", headers=key(day, "operator"))
    assert (refused.status_code, "fromat" in refused.json()["detail"]) == (422, True)


def test_the_auditor_finds_who_approved_what_above_an_amount_as_a_file_too(day: System, decided: Order) -> None:
    auditor = key(day, "auditor")
    query = {"above": "2000", "since": "1d", "by": MANAGER}
    found = day.http.get("/audit/decisions", params=query, headers=auditor).json()["decisions"]
    assert [(each["order"], each["amount"], each["answer"]) for each in found] == [(decided.id, "2400.00", "approved")]
    rows = list(csv.DictReader(day.http.get("/audit/decisions.csv", params=query, headers=auditor).text.splitlines()))
    assert [(row["order"], row["requester"], row["email"]) for row in rows] == [
        (decided.id, "requester@example.com", MANAGER)
    ]
    assert day.http.get("/audit/decisions", params=query, headers=key(day, "operator")).status_code == 403


def test_the_tutorial_names_what_the_walk_uses() -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    for part in (
        "/approval list",
        "/approval mine",
        "/approval decided",
        "/approval why",
        "waiting_on=me",
        "/audit/decisions",
    ):
        assert part in text
