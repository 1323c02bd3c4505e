"""A request that is no order and has no amount: nothing runs unasked, and nothing speaks of money."""

import httpx
import pytest

from cards.request_card import APPROVE
from tests.end_to_end.system import Order, System, buttons_of, eventually, text_of

OPERATOR = "operator@example.com"

SETTINGS = "story"


def deploy(system: System, name: str) -> Order:
    found = Order(system, system.order_id(name))
    answer = start(system, found)
    assert answer.status_code == 201, answer.text
    return found


def start(system: System, found: Order) -> httpx.Response:
    found.instance_id = f"deploy-{found.id}"
    request = {
        "kind": "deploy", "subject": found.id, "requester": "requester@example.com",
        "description": "Roll out release 7", "details": {"statement": "ALTER TABLE orders ADD COLUMN note text"},
    }  # fmt: skip
    body = {"name": "approval_workflow", "instance_id": found.instance_id, "input": request}
    return system.post("/workflows", body, by=OPERATOR, roles=("operator",))


def test_a_deploy_without_an_amount_waits_for_a_click_and_shows_no_money(system: System) -> None:
    request = deploy(system, "release")
    card = request.card()
    text = text_of(card)
    assert ("Amount" in text, "$" in text, "Roll out release 7" in text) == (False, False, True)
    assert APPROVE in buttons_of(card)
    request.click("U0MANAGER")
    eventually(lambda: "Approved" in text_of(request.card()))
    assert request.output()["status"] == "completed"
    (found,) = request.processed()
    assert (found.amount, found.currency) == (None, "")
    line = system.http.get(
        f"/workflows/{request.instance_id}", headers={"Authorization": f"Bearer {system.token(OPERATOR, 'operator')}"}
    ).json()["workflow"]
    assert (line["amount"], line["kind"]) == (None, "deploy")


@pytest.mark.parametrize("system", ["http"], indirect=True)
def test_the_shipped_policy_starts_no_deploy_unasked(system: System) -> None:
    """A deploy of 0 USD was approved by the rule for small orders, and nobody was asked."""
    answer = start(system, Order(system, system.order_id("unasked")))
    assert (answer.status_code, "No rule of the policy applies" in answer.text) == (422, True)
