"""Another system is told of every end by a signed webhook: under one id, and again until it takes it."""

import json
from typing import Any

import httpx
import pytest
import standardwebhooks
from standardwebhooks.webhooks import WebhookVerificationError

from tests.end_to_end.receiving import Receiver
from tests.end_to_end.system import MANAGER, REQUESTER, Order, System, eventually

POLICY = """
version: 1
channel: approvals
groups: {managers: managers, vps: vps}
kinds:
  refund: {fields: [{name: order, label: Order}]}
  grant: {effect: {webhook: "https://iam.invalid/grants"}}
rules:
  - {name: at once, when: {kind: nothing}, approve: automatic}
  - {name: short, when: {kind: short}, approve: {group: managers}, within: 1 s}
  - name: twice
    when: {kind: twice}
    approve: [{group: managers}, {group: vps}]
    needed: 2
  - name: staged
    when: {kind: staged}
    stages: [{approve: {group: managers}}, {approve: {group: vps}}]
  - {name: all, when: {kind: any, currency: any}, approve: {group: managers}, valid_for: 1 day}
"""
ASK = ("requests:ask",)


@pytest.fixture(scope="module")
def settings(receiver: Receiver) -> dict[str, Any]:
    return {"policy": POLICY, "callback_hosts": receiver.host}


def get(system: System, path: str, *, roles: tuple[str, ...] = ASK, by: str = REQUESTER) -> httpx.Response:
    return system.http.get(path, headers={"Authorization": f"Bearer {system.token(by, *roles)}"})


def asked(system: System, receiver: Receiver, kind: str = "refund", **body: Any) -> str:
    fields = {"fields": {"order": "7"}} if kind == "refund" else {}
    wanted = {"kind": kind, "subject": system.order_id("hook"), "callback": receiver.url, **fields, **body}
    answer = system.post("/requests", wanted, by=REQUESTER, roles=ASK)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def card_of(system: System, request_id: str) -> Order:
    return Order(system, request_id, request_id)


def secrets(system: System) -> list[str]:
    return list(get(system, "/webhooks/secret").json()["secrets"])


def approved(system: System, receiver: Receiver) -> str:
    request_id = asked(system, receiver)
    card_of(system, request_id).click("U0MANAGER")
    return request_id


def test_an_approval_is_told_by_a_webhook_that_the_published_library_verifies(
    system: System, receiver: Receiver
) -> None:
    request_id = approved(system, receiver)
    headers, told = receiver.ended(request_id)
    raw = next(body for _, body in receiver.got if json.loads(body)["data"]["id"] == request_id)
    hook = standardwebhooks.Webhook(secrets(system)[0])
    assert hook.verify(raw, headers) == told
    assert (told["type"], told["data"]["status"], told["data"]["fields"]) == (
        "request.approved",
        "approved",
        {"order": "7"},
    )
    assert [each["person"].split("/")[1] for each in told["data"]["decided_by"]] == ["U0MANAGER"]
    shown = get(system, f"/requests/{request_id}").json()
    same = ("id", "kind", "subject", "status", "amount", "currency", "fields", "requester", "digest")
    assert {name: told["data"][name] for name in same} == {name: shown[name] for name in same}
    for changed in (raw.replace(b"approved", b"rejected"), raw + b" "):
        with pytest.raises(WebhookVerificationError):
            hook.verify(changed, headers)


def test_every_end_is_told_in_its_own_word_and_once(system: System, receiver: Receiver) -> None:
    yes = approved(system, receiver)
    no, late, stopped, back = (asked(system, receiver, kind) for kind in ("refund", "short", "x", "x"))
    card_of(system, no).card()
    system.post(f"/requests/{no}/decision", {"approved": False, "reason": "no"}, by=MANAGER, roles=("approver",))
    card_of(system, stopped).card()
    system.post(f"/workflows/{stopped}/terminate", {"reason": "an error"}, by=MANAGER, roles=("operator",))
    card_of(system, back).card()
    system.post(f"/requests/{back}/withdraw", {"reason": "not needed"}, by=REQUESTER, roles=ASK)
    ends = (yes, no, late, stopped, back)
    types = [receiver.ended(each)[1]["type"].removeprefix("request.") for each in ends]
    assert types == ["approved", "rejected", "timed_out", "terminated", "withdrawn"]
    assert [len(receiver.of(each)) for each in ends] == [1] * len(ends)


def test_a_receiver_that_fails_gets_it_again_under_the_same_id_and_the_request_has_ended_long_before(
    system: System, receiver: Receiver
) -> None:
    receiver.answers = [500]
    request_id = approved(system, receiver)
    receiver.ended(request_id)
    assert get(system, f"/requests/{request_id}").json()["status"] == "approved"
    eventually(lambda: len(receiver.of(request_id)) == 2, 20)
    ids = {headers["webhook-id"] for headers, _ in receiver.of(request_id)}
    bodies = {body for _, body in receiver.got if json.loads(body)["data"]["id"] == request_id}
    assert (len(ids), len(bodies)) == (1, 1)
    path = f"/webhooks/deliveries?request={request_id}"
    eventually(lambda: get(system, path).json()["deliveries"][0]["state"] == "sent")
    shown = get(system, path).json()["deliveries"][0]
    assert (shown["id"], shown["attempts"], shown["last_status"]) == (ids.pop(), 2, 204)


def test_a_receiver_that_wants_no_more_is_left_alone_and_an_operator_can_begin_again(
    system: System, receiver: Receiver
) -> None:
    receiver.answers = [410]
    request_id = approved(system, receiver)
    path = f"/webhooks/deliveries?request={request_id}&state=given_up"
    eventually(lambda: len(get(system, path).json()["deliveries"]) == 1)
    delivery = get(system, path).json()["deliveries"][0]["id"]
    other = system.post(f"/webhooks/deliveries/{delivery}/redrive", by=MANAGER, roles=ASK)
    assert other.status_code == 404
    again = system.post(f"/webhooks/deliveries/{delivery}/redrive", by=MANAGER, roles=("operator",))
    assert (again.status_code, again.json()["state"]) == (200, "due")
    eventually(lambda: len(receiver.of(request_id)) == 2)
    assert len({headers["webhook-id"] for headers, _ in receiver.of(request_id)}) == 1
    twice = system.post(f"/webhooks/deliveries/{'x' * 9}/redrive", by=MANAGER, roles=("operator",))
    assert twice.status_code == 404


def test_a_rotated_secret_and_the_one_before_both_sign(system: System, receiver: Receiver) -> None:
    before = secrets(system)
    rotated = system.post("/webhooks/secret/rotate", by=REQUESTER, roles=ASK).json()["secrets"]
    assert (rotated[1:], rotated[0] in before) == (before[:1], False)
    answer = system.post("/webhooks/test", {"url": receiver.url}, by=REQUESTER, roles=ASK)
    assert answer.json() == {"taken": True, "status": 204, "problem": ""}
    headers, raw = receiver.got[-1]
    for secret in rotated:
        assert standardwebhooks.Webhook(secret).verify(raw, headers)["type"] == "test"
    others = get(system, "/webhooks/secret", by=MANAGER).json()["secrets"]
    with pytest.raises(WebhookVerificationError):
        standardwebhooks.Webhook(others[0]).verify(raw, headers)


def test_a_callback_is_told_of_what_counts_and_of_who_is_asked_if_it_wants_to_be(
    system: System, receiver: Receiver
) -> None:
    request_id = asked(system, receiver, "staged", callback_events=["counted", "changed"])
    card_of(system, request_id).click("U0MANAGER")
    eventually(lambda: len(receiver.of(request_id)) == 2)
    told = {body["type"]: body["data"] for _, body in receiver.of(request_id)}
    assert set(told) == {"request.counted", "request.changed"}
    assert [each["status"] for each in told.values()] == ["waiting"] * 2
    assert told["request.changed"]["waiting_on"] == get(system, f"/requests/{request_id}").json()["waiting_on"]
    assert [len(each["decided_by"]) for each in told.values()] == [1, 1]
    card_of(system, request_id).click("U0VP", stage=1)
    eventually(lambda: len(receiver.of(request_id)) == 3)
    bodies = [body for _, body in receiver.of(request_id)]
    assert bodies[-1]["type"] == "request.approved"
    assert sorted(each["data"]["sequence"] for each in bodies) == [1, 2, 3]
    assert len({headers["webhook-id"] for headers, _ in receiver.of(request_id)}) == 3


def test_a_callback_that_wants_ends_alone_hears_nothing_before(system: System, receiver: Receiver) -> None:
    request_id = asked(system, receiver, "twice")
    card_of(system, request_id).click("U0MANAGER")
    card_of(system, request_id).click("U0VP")
    assert receiver.ended(request_id)[1]["type"] == "request.approved"
    assert (len(receiver.of(request_id)), receiver.of(request_id)[0][1]["data"]["sequence"]) == (1, 1)


@pytest.mark.parametrize("wanted", [["question"], "counted", ["counted", "changed", "counted"]])
def test_events_that_are_not_offered_are_refused(system: System, receiver: Receiver, wanted: Any) -> None:
    body = {"kind": "x", "subject": "x", "callback": receiver.url, "callback_events": wanted}
    assert system.post("/requests", body, by=REQUESTER, roles=ASK).status_code == 422
    alone = {"kind": "x", "subject": "x", "callback_events": ["counted"]}
    refused = system.post("/requests", alone, by=REQUESTER, roles=ASK)
    assert (refused.status_code, "no callback" in refused.json()["detail"]) == (422, True)


@pytest.mark.parametrize("url", ["https://evil.example/", "http://127.0.0.1:1/", "ftp://127.0.0.1/", "x"])
def test_a_callback_to_a_host_that_is_not_allowed_asks_nobody(system: System, url: str) -> None:
    body = {"kind": "deploy", "subject": "x", "callback": url}
    refused = system.post("/requests", body, by=REQUESTER, roles=ASK)
    assert (refused.status_code, "callback" in refused.json()["detail"]) == (422, True)
    assert system.post("/webhooks/test", {"url": url}, by=REQUESTER, roles=ASK).status_code == 422


def test_a_callback_is_part_of_what_an_idempotency_key_repeats(system: System, receiver: Receiver) -> None:
    headers = {"Authorization": f"Bearer {system.token(REQUESTER, *ASK)}", "Idempotency-Key": "the same callback"}
    body = {"kind": "deploy", "subject": "keyed", "callback": receiver.url}
    answers = [system.http.post("/requests", json=body, headers=headers).status_code for _ in range(2)]
    other = system.http.post("/requests", json=body | {"callback": f"{receiver.url}/other"}, headers=headers)
    assert (answers, other.status_code) == ([201, 200], 409)


def test_the_effect_of_a_kind_is_told_with_a_secret_that_operators_read(system: System) -> None:
    """The name has no address, so nothing is reached; the request ends all the same."""
    answer = system.post("/requests", {"kind": "grant", "subject": "db"}, by=REQUESTER, roles=ASK)
    request_id = answer.json()["id"]
    card_of(system, request_id).click("U0MANAGER")
    path = f"/webhooks/deliveries?request={request_id}"

    def tried() -> Any:
        return next(iter(get(system, path, roles=("operator",)).json()["deliveries"]), {"attempts": 0})

    eventually(lambda: tried()["attempts"] > 0, 20)
    shown = tried()
    assert (shown["url"], shown["state"], shown["last_status"]) == ("https://iam.invalid/grants", "due", None)
    assert "has no address" in shown["problem"]
    assert get(system, f"/requests/{request_id}").json()["status"] == "approved"
    assert get(system, path).json()["deliveries"] == [], "it is no delivery of this key"
    assert len(get(system, "/webhooks/secret?kind=grant", roles=("operator",)).json()["secrets"]) == 1
    assert get(system, "/webhooks/secret?kind=grant").status_code == 403
