"""A stage that needs a yes of each kind: each person fills one seat, in whatever order they click."""

from approvals.decision import Reason
from approvals.messages import message_for
from tests.end_to_end.control_room import key
from tests.end_to_end.system import System, eventually, text_of

SETTINGS = "story"


def test_all_faces_say_which_seat_is_filled_and_a_yes_for_no_seat_is_refused(system: System) -> None:
    order = system.order("seats", currency="DKK")
    assert "money: <!subteam^S0MANAGERS>; leadership: <!subteam^S0VPS> or <@U0MANAGER2>" in text_of(order.card())
    order.click("U0MANAGER")
    order.card_says("1 of 2 approved: money 1 of 1, leadership 0 of 1")
    eventually(lambda: any("1 more needed, for leadership" in text for text in order.thread()))
    rights, path = key(system, "operator"), f"/requests/{order.instance_id}"
    asked = system.http.get(path, headers=rights).json()
    assert (asked["approved"], asked["needed"]) == (1, 2)
    assert [(one["seat"], one["filled"], one["needed"], one["by"]) for one in asked["seats"]] == [
        ("money", 1, 1, ["manager"]),
        ("leadership", 0, 1, []),
    ]
    said = system.act(system.slack.act_as("U0REQUESTER").slash("/approval", f"status {order.id}", "approvals"))
    assert "1 of 2 approved (money 1 of 1, leadership 0 of 1)" in str(said.body)
    with system.hears("U0MANAGER", message_for(Reason.ALREADY_COUNTED)):
        order.click("U0MANAGER")
    order.click("U0VP")
    assert order.output()["outcome"] == "approved"


def test_who_fits_both_seats_makes_room_for_who_fits_one(system: System) -> None:
    order = system.order("both-seats", currency="DKK")
    order.card()
    order.click("U0MANAGER2")
    order.card_says("money 1 of 1, leadership 0 of 1")
    order.click("U0MANAGER")
    assert order.output()["approvers"] == ["manager2", "manager"]


def test_a_yes_for_a_seat_that_is_filled_is_told_so_and_the_same_persons_no_counts(system: System) -> None:
    order = system.order("filled-seat", currency="DKK")
    order.card()
    order.click("U0VP")
    order.card_says("money 0 of 1, leadership 1 of 1")
    order.click("U0MANAGER2")
    assert order.output()["outcome"] == "approved"
    other = system.order("no-of-a-seat", currency="DKK")
    other.card()
    other.click("U0MANAGER")
    other.reject("U0MANAGER2", "Too dear")
    assert other.output()["outcome"] == "rejected"


def test_the_preview_names_the_seats_and_their_people(system: System) -> None:
    body = {"kind": "order", "subject": system.order_id("preview-seats"), "amount": "700", "currency": "DKK"}
    [stage] = system.post("/requests/preview", body, by="requester@example.com", roles=("requests:ask",)).json()[
        "stages"
    ]
    assert stage["needed"] == 2
    assert [(one["name"], one["approvers"], one["needed"]) for one in stage["seats"]] == [
        ("money", ["group:managers"], 1),
        ("leadership", ["group:vps", "email:manager2@example.com"], 1),
    ]
