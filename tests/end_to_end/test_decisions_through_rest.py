"""A decision through REST takes the same path as a click: same checks, same sentences, one answer."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from approvals.decision import Reason
from approvals.messages import message_for
from tests.end_to_end.system import REQUESTER, Order, System, eventually


def test_an_approval_by_key_says_what_the_workflow_made_of_it(system: System) -> None:
    order = system.order("rest")
    order.card()
    answer = order.approve_by_rest(reason="Fine")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["event"], told["sent"], told["outcome"]) == ("approval_decision", True, "accepted")
    assert order.result() == {"status": "completed"}
    order.card_says("Approved: order", "U0MANAGER")


def test_a_rejection_by_key_needs_a_reason(system: System) -> None:
    order = system.order("rest-no")
    order.card()
    for nothing_to_see in ("", " \n", "\u200b\u2060"):
        refused = order.approve_by_rest(approved=False, reason=nothing_to_see)
        message = f"order {order.id}: {message_for(Reason.REASON_MISSING)}"
        assert (refused.status_code, refused.json()["detail"]) == (422, message)
    assert order.approve_by_rest(approved=False, reason="Over budget").json()["outcome"] == "accepted"
    assert order.result() == {"status": "rejected", "reason": "Over budget"}


@pytest.mark.parametrize(
    ("by", "status", "reason"),
    [
        ("requester@example.com", 403, Reason.OWN_REQUEST),
        ("nobody@example.com", 403, Reason.UNKNOWN_PERSON),
    ],
)
def test_a_wrong_person_by_key_hears_the_same_sentence(system: System, by: str, status: int, reason: Reason) -> None:
    order = system.order(f"rest-{reason}")
    order.card()
    answer = order.approve_by_rest(by=by)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason.value)
    assert answer.json()["detail"] == f"order {order.id}: {message_for(reason)}"
    assert order.status() == "RUNNING"


def test_whoever_submitted_by_key_does_not_approve_by_key(system: System) -> None:
    order = system.order("rest-own", by="manager@example.com", requester="requester@example.com")
    order.card()
    assert order.approve_by_rest().json()["reason"] == "own_request"


WAYS_TO_WRITE_ONE = {
    "mention": "<@U0MANAGER>",
    "mention-with-a-name": "<@U0MANAGER|manager>",
    "address-with-a-name": "Manager <manager@example.com>",
    "link": "mailto:manager@example.com",
    "unseen": "manager@example.com\u200b",
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE_ONE)
def test_the_requester_is_known_however_the_one_who_submits_wrote_them(system: System, way: str) -> None:
    order = system.order(f"written-{way}", requester=WAYS_TO_WRITE_ONE[way])
    order.card()
    answer = order.approve_by_rest()
    assert (answer.status_code, answer.json()["reason"]) == (403, Reason.OWN_REQUEST)


def test_a_key_without_the_role_decides_nothing(system: System) -> None:
    order = system.order("rest-role")
    for role in ("requester", "operator"):
        answer = order.approve_by_rest(roles=(role,))
        assert (answer.status_code, answer.json()["reason"]) == (403, "not_permitted")
        assert answer.json()["detail"].startswith(f"order {order.id}: ")
        assert "the role approver" in answer.json()["detail"]


def test_without_a_key_nothing_is_decided(system: System) -> None:
    answer = system.http.post("/orders/1/approve", json={"approved": True})
    assert answer.status_code == 401


def test_a_decision_on_what_never_started_is_not_found(system: System) -> None:
    answer = system.post("/orders/never-there/approve", {"approved": True}, by="manager@example.com")
    assert answer.status_code == 404


@pytest.mark.parametrize("body", [{}, {"approved": "yes"}, {"approved": 1}, {"approved": True, "person": "U0VP"}, []])
def test_a_body_that_is_no_decision_is_refused(system: System, body: Any) -> None:
    answer = system.post("/orders/1/approve", body, by="manager@example.com")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_same_call_again_is_the_same_decision(system: System) -> None:
    order = system.order("rest-again")
    order.card()
    body = {"decision_id": "only-once-1"}
    first, again = order.approve_by_rest(**body), order.approve_by_rest(**body)
    assert first.json() == again.json()
    assert len(order.decisions()) == 1
    other = order.approve_by_rest(decision_id="only-once-2")
    assert (other.status_code, other.json()["reason"]) == (409, "request_over")


def test_an_id_of_another_decision_decides_nothing(system: System) -> None:
    first, other = system.order("rest-first"), system.order("rest-other")
    other.card()
    first.card()
    assert first.approve_by_rest(decision_id="only-once-3").status_code == 200
    rejection = {"approved": False, "reason": "Over budget", "decision_id": "only-once-3"}
    for order, decision in ((first, rejection), (other, {"approved": True, "decision_id": "only-once-3"})):
        answer = system.post(f"/orders/{order.id}/approve", decision, by="manager@example.com")
        assert (answer.status_code, "used before for something else" in answer.json()["detail"]) == (409, True)
    assert other.status() == "RUNNING"
    assert other.decisions() == ()


def test_a_decision_bound_to_another_content_is_a_conflict(system: System) -> None:
    order = system.order("rest-digest")
    order.card()
    answer = order.approve_by_rest(digest="0" * 64)
    assert (answer.status_code, answer.json()["reason"]) == (409, "changed_request")


class Receiver(HTTPServer):
    """Another system's order service: fails the first time, and keeps the keys that it was sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.calls.append((self.headers["Idempotency-Key"], body))
        self.send_response(500 if len(self.server.calls) == 1 else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_configured_url_gets_the_order_with_one_key_however_often_it_is_tried(alone: Callable[..., System]) -> None:
    with receiving() as receiver:
        system = alone(process_order_url=f"http://127.0.0.1:{receiver.server_port}/orders")
        order = system.order("posted")
        order.click("U0MANAGER")
        assert order.result() == {"status": "completed"}
        keys = [key for key, _ in receiver.calls]
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert f'"subject":"{order.id}"' in receiver.calls[0][1]
        assert order.processed() == ()
        assert eventually(order.actions).count("effect.sent") == 1


def test_a_callback_is_called_once_after_the_yes_and_what_cannot_be_called_is_refused_at_the_start(
    alone: Callable[..., System],
) -> None:
    with receiving() as receiver:
        here = f"127.0.0.1:{receiver.server_port}"
        system = alone(callback_hosts=here, accept_unsigned_decisions=False)
        name = system.order_id("called-back")
        asked = {"kind": "order", "subject": name, "amount": "2400", "currency": "USD", "requester": REQUESTER}
        url = "/workflows"
        for bad in ("http://orders.example/", f"https://{here.replace('.1:', '.2:')}/", f"ftp://{here}/", "x"):
            answer = system.post(
                url,
                {"name": "approval_workflow", "input": asked | {"callback": bad}, "instance_id": name},
                roles=("operator",),
            )
            assert (answer.status_code, "callback" in answer.json()["detail"]) == (422, True), answer.text
        instance_id = f"order-{name}-workflow"
        answer = system.post(
            url,
            {
                "name": "approval_workflow",
                "input": asked | {"callback": f"http://{here}/a"},
                "instance_id": instance_id,
            },
            roles=("operator",),
        )
        assert answer.status_code in {200, 201, 202}, answer.text
        order = Order(system, name)
        order.click("U0MANAGER")
        assert order.result() == {"status": "completed"}
        assert len({key for key, _ in receiver.calls}) == 1
        assert eventually(order.actions).count("effect.sent") == 1
