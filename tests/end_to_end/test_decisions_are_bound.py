"""Reaching the sidecar's port is not enough to approve, and nothing that was signed once works twice."""

import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode

import httpx
import pytest

from approvals.signing import parse_key_ring
from local.slack import Delivery
from tests.end_to_end.forging import a_yes, state_of
from tests.end_to_end.system import AppServer, Order, System, eventually

FORGERIES: list[object] = [
    {"approved": True},
    {"approved": True, "reason": "please"},
    {"approved": 1},
    "yes",
    ["approved"],
    {"decision": {"approved": True}},
    {"decision": None, "key_id": "k1", "mac": "0" * 64},
]


def refused(order: Order) -> Counter[str]:
    """Return how many events the audit counts as refused, by the reason."""
    entries = [entry for entry in order.audit() if entry.action == "request.refused"]
    return sum((Counter(entry.data["reasons"]) for entry in entries), Counter())


def test_an_unsigned_event_is_refused_and_audited_and_the_wait_goes_on(system: System) -> None:
    order = system.order("unsigned")
    order.card()
    for payload in FORGERIES:
        order.raise_event(payload)
    order.raise_event({"approved": True}, "APPROVAL_Decision")

    eventually(lambda: refused(order).total() == len(FORGERIES) + 1)
    assert refused(order) == {"unsigned": 3, "malformed": 5}
    assert order.status() == "RUNNING"
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}


def test_an_event_signed_with_another_key_is_refused_and_takes_no_id_away(system: System) -> None:
    order = system.order("forged")
    order.card()
    decision = a_yes(state_of(system, order))
    forged = parse_key_ring("x" * 40).sign(decision).model_dump(mode="json")
    order.raise_event(forged)
    good = system.settings.keys.sign(decision).model_dump(mode="json")
    order.raise_event(good | {"decision": good["decision"] | {"approved": False, "reason": "changed on the way"}})
    eventually(lambda: refused(order) == {"bad_signature": 2})
    order.raise_event(good)
    assert order.result() == {"status": "completed"}


def test_the_tutorials_setting_takes_a_plain_event(alone: Callable[..., System]) -> None:
    system = alone(accept_unsigned_decisions=True)
    order = system.order("plain")
    order.card()
    order.raise_event({"approved": True})
    assert order.result() == {"status": "completed"}
    refused = system.order("plain-no")
    refused.card()
    refused.raise_event({"approved": False, "reason": "Not today"})
    assert refused.result() == {"status": "rejected", "reason": "Not today"}
    assert {entry.actor for entry in refused.audit() if entry.action == "request.accepted"} == {"sidecar/unsigned"}


def test_the_same_signed_bytes_again_have_no_second_effect(system: System) -> None:
    order = system.order("replayed")
    order.click("U0VP")
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    before = len(order.audit())
    for delivery in _clicks(system, order):
        again: Delivery = system.act(system.slack.replay(delivery))
        assert (again.status, again.body) == (delivery.status, delivery.body)
    assert len(order.audit()) == before
    assert len(order.decisions()) == 2


def _clicks(system: System, order: Order) -> list[Delivery]:
    return [each for each in system.slack.deliveries("interactive") if order.instance_id in str(each.payload)]


@pytest.mark.parametrize("kind", ["decision", "details"])
def test_bytes_replayed_after_a_restart_and_at_a_second_process_do_nothing(
    alone: Callable[..., System], kind: str
) -> None:
    system = alone()
    with AppServer(system.settings) as second:
        order = system.order("restart")
        order.click("U0MANAGER", "approval_approve" if kind == "decision" else "approval_details")
        if kind == "decision":
            assert order.result() == {"status": "completed"}
        eventually(lambda: system.slack.modals("U0MANAGER") or kind == "decision")
        first = _clicks(system, order)[0]
        opened = len(system.slack.calls("views.open"))
        with AppServer(system.settings) as third:
            for url in (second, third):
                system.slack.deliver_to = f"{url}/slack/events"
                again: Delivery = system.act(system.slack.replay(first))
                assert (again.status, again.body) == (first.status, first.body)
        assert len(order.decisions()) == (kind == "decision")
        assert len(system.slack.calls("views.open")) == opened


def test_two_processes_on_one_database_count_one_click_once(alone: Callable[..., System]) -> None:
    system = alone()
    with AppServer(system.settings) as second:
        order = system.order("two")
        first = order.click("U0MANAGER")
        system.slack.deliver_to = f"{second}/slack/events"
        system.deliver(dict(first.payload or {}))
        assert order.result() == {"status": "completed"}
        assert order.actions().count("request.accepted") == 1


def signed(secret: str, body: bytes, **changes: str) -> dict[str, str]:
    stamp = changes.get("stamp", str(int(time.time()) + int(changes.get("off_by", "0"))))
    mac = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": changes.get("signature", f"v0={mac}"),
        "Content-Type": changes.get("type", "application/x-www-form-urlencoded"),
    }


PAYLOAD = urlencode({"payload": '{"type": "block_actions"}'}).encode()
DOOR = [
    ("no headers", {}, PAYLOAD, 401),
    ("a wrong signature", {"signature": "v0=" + "0" * 64}, PAYLOAD, 401),
    ("a signature that is not ASCII", {"signature": "v0=é"}, PAYLOAD, 401),
    ("a timestamp in words", {"stamp": "now"}, PAYLOAD, 401),
    ("a timestamp of 400 digits", {"stamp": "1" * 400}, PAYLOAD, 401),
    ("a timestamp in other digits", {"stamp": "\uff11\uff17"}, PAYLOAD, 401),
    ("an old timestamp", {"off_by": "-301"}, PAYLOAD, 401),
    ("a future timestamp", {"off_by": "400"}, PAYLOAD, 401),
    ("a large body", {"large": "1"}, b"x" * (1024 * 1024 + 1), 413),
    ("a body that is not UTF-8", {"sign": "1"}, b"\xff\xfe", 400),
    ("a JSON list", {"sign": "1", "type": "application/json"}, b"[1]", 400),
    ("deep JSON", {"sign": "1", "type": "application/json"}, b"[" * 100_000, 400),
    ("a lone surrogate", {"sign": "1", "type": "application/json"}, b'{"command": "\\ud800"}', 400),
    ("no person", {"sign": "1"}, PAYLOAD, 400),
    ("nothing", {"sign": "1"}, b"", 400),
    ("a person who is a number", {"sign": "1", "type": "application/json"}, b'{"type":"x","user":{"id":5}}', 400),
    ("an action without a name", {"sign": "1", "type": "application/json"},
     b'{"type":"block_actions","user":{"id":"U1"},"actions":[{}]}', 400),
]  # fmt: skip


@pytest.mark.parametrize(("name", "how", "body", "status"), DOOR, ids=[each[0] for each in DOOR])
def test_what_is_not_slacks_stops_at_the_door(
    system: System, name: str, how: dict[str, str], body: bytes, status: int
) -> None:
    headers = {} if name == "no headers" else signed(system.slack.signing_secret, body, **how)
    encoded = {key: value.encode() for key, value in headers.items()}
    answer = httpx.post(f"{system.url}/slack/events", content=body, headers=encoded)
    assert answer.status_code == status
    assert answer.text.endswith(".")


def test_slacks_check_of_the_request_url_is_answered(system: System) -> None:
    assert system.act(system.slack.verify_request_url()) is True
