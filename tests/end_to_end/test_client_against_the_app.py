"""The client package against the app itself: what it asks, its webhook, its receipt, its use once."""

import threading
from collections.abc import Iterator
from typing import Any

import countersign
import pytest

from bot.control.reconciling.checkpoints import signers_of
from tests.end_to_end.system import MANAGER, REQUESTER, Order, System, eventually
from tests.end_to_end.test_webhooks import ASK, POLICY, Receiver


@pytest.fixture(scope="module")
def settings(receiver: Receiver) -> dict[str, Any]:
    return {"policy": POLICY, "callback_hosts": receiver.host}


@pytest.fixture
def client(system: System) -> Iterator[countersign.Client]:
    with countersign.Client(system.url, system.token(REQUESTER, *ASK)) as found:
        yield found


def request(system: System, asked: countersign.Request) -> Order:
    return Order(system, asked.id, asked.id)


def test_a_click_a_webhook_a_receipt_and_one_use(
    system: System, client: countersign.Client, receiver: Receiver
) -> None:
    key = system.order_id("refund")
    about: dict[str, Any] = {"kind": "refund", "amount": "250.00", "currency": "USD", "fields": {"order": "9"}}
    about["callback"] = receiver.url
    asked = client.start("Refund", key=key, **about)
    clicking = threading.Thread(target=request(system, asked).click, args=("U0MANAGER",))
    clicking.start()
    approval = client.ask("Refund", key=key, wait="30s", **about)
    clicking.join()
    assert (approval.id, approval.approved, str(approval.amount)) == (asked.id, True, "250.00")

    receiver.ended(asked.id)
    headers, body = next(each for each in receiver.got if asked.id.encode() in each[1])
    own = {"Authorization": f"Bearer {system.token(REQUESTER, *ASK)}"}
    secret = system.http.get("/webhooks/secret", headers=own).json()["secrets"]
    assert countersign.verify_webhook(body, headers, secret).type == "request.approved"
    with pytest.raises(countersign.NotVerified):
        countersign.verify_webhook(body + b" ", headers, secret)

    public = signers_of(system.settings.keys)[0].public_key.hex()
    receipt = client.receipt(asked.id)
    said = countersign.verify_receipt(receipt, public, request_id=asked.id, digest=approval.digest)
    assert (said.status, said.valid_until is None) == ("approved", False)
    with pytest.raises(countersign.NotVerified):
        countersign.verify_receipt(receipt, "00" * 32)

    used = client.consume(asked.id, "pay:9")
    assert client.consume(asked.id, "pay:9") == used
    with pytest.raises(countersign.Refused) as twice:
        client.consume(asked.id, "pay:again")
    assert twice.value.status == 409


def test_a_rejection_and_a_deadline_have_their_own_errors(system: System, client: countersign.Client) -> None:
    asked = client.start("Refund", kind="refund", key=system.order_id("no"), fields={"order": "9"})
    request(system, asked).reject("U0MANAGER", "the parcel did arrive")
    with pytest.raises(countersign.Rejected, match="the parcel did arrive"):
        client.wait(asked, "30s")
    with pytest.raises(countersign.TimedOut):
        client.ask("x", kind="short", key=system.order_id("late"), wait="60s")
    with pytest.raises(countersign.Refused, match="not approved, so there is nothing to use"):
        client.consume(asked.id, "pay")


def test_the_decorator_runs_after_a_click(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_URL", system.url)
    monkeypatch.setenv("COUNTERSIGN_API_KEY", system.token(REQUESTER, *ASK))
    subject = system.order_id("deploy")

    @countersign.requires_approval(kind="deploy", subject="{what}", key="deploy:{what}", wait="30s")
    def deploy(what: str) -> str:
        return f"{what} is live"

    def click() -> None:
        eventually(lambda: [each for each in system.slack.messages("approvals") if subject in each.text])
        headers = {"Authorization": f"Bearer {system.token('operator@example.com', 'operator')}"}
        line = system.http.get("/workflows", params={"q": subject}, headers=headers).json()["workflows"][0]
        found = Order(system, line["id"], line["id"])
        found.click("U0MANAGER")

    clicking = threading.Thread(target=click)
    clicking.start()
    assert deploy(subject) == f"{subject} is live"
    clicking.join()


def test_a_wrong_key_and_an_unknown_id_are_refused_with_the_apps_message(system: System) -> None:
    with countersign.Client(system.url, "cs_wrong") as nobody, pytest.raises(countersign.Refused, match="not valid"):
        nobody.get("refund-x")
    with countersign.Client(system.url, system.token(MANAGER, *ASK)) as other:
        with pytest.raises(countersign.Refused) as caught:
            other.get("refund-x")
        assert (caught.value.status, bool(caught.value.correlation_id)) == (404, True)
