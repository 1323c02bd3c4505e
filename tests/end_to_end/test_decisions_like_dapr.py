"""A decision as Dapr's tutorials send it: without a body, with the approver's name, in the query."""

import httpx

from tests.end_to_end.system import Order, System


def approve(system: System, order: Order, query: str = "", by: str = "manager@example.com") -> httpx.Response:
    """Call as Dapr's tutorials do: without a body."""
    headers = {"Authorization": f"Bearer {system.token(by)}"}
    return system.http.post(f"/orders/{order.id}/approve{query}", headers=headers)


def test_a_call_without_a_body_approves(system: System) -> None:
    order = system.order("bare")
    order.card()
    assert approve(system, order).json()["outcome"] == "accepted"
    assert order.output()["status"] == "completed"


def test_a_rejection_may_stand_in_the_query(system: System) -> None:
    order = system.order("bare-no")
    order.card()
    assert approve(system, order, "?approved=false").status_code == 422
    assert approve(system, order, "?approved=false&reason=Over+budget").json()["outcome"] == "accepted"
    assert order.output()["reason"] == "Over budget"


def test_a_parameter_that_is_not_known_decides_nothing(system: System) -> None:
    order = system.order("bare-unknown")
    order.card()
    for query in ("?aproved=false&reason=x", "?approved=perhaps", "?approved=true&approved=false"):
        assert approve(system, order, query).status_code == 422
    twice = system.post(f"/orders/{order.id}/approve?approved=false", {"approved": True}, by="manager@example.com")
    assert twice.status_code == 422
    assert order.status() == "RUNNING"


def test_under_a_rule_of_high_risk_a_decision_says_what_was_seen(system: System) -> None:
    order = system.order("bare-risky", amount="9000")
    order.card()
    for answer in (approve(system, order, by="vp@example.com"), order.approve_by_rest(by="vp@example.com")):
        assert (answer.status_code, "digest" in answer.json()["detail"]) == (428, True)
    headers = {"Authorization": f"Bearer {system.token('vp@example.com')}"}
    digest = system.http.get(f"/orders/{order.id}", headers=headers).json()["digest"]
    assert approve(system, order, f"?digest={digest}", by="vp@example.com").json()["outcome"] == "accepted"
    assert order.output()["status"] == "completed"


def test_an_approver_who_is_the_caller_is_taken(system: System) -> None:
    for number, name in enumerate(("manager@example.com", "U0MANAGER", "<@U0MANAGER>", "Manager@Example.com")):
        order = system.order(f"named-{number}")
        order.card()
        other = order.approve_by_rest(approver="vp@example.com")
        assert (other.status_code, "always the caller's own" in other.json()["detail"]) == (403, True)
        assert order.approve_by_rest(approver=name).json()["outcome"] == "accepted"
