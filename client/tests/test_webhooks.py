"""Webhooks by Standard Webhooks, checked against the specification's own example and against changes of every part."""

import base64
import hmac
import json
from typing import Any

import countersign
import pytest

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
NOW = 1_790_000_000
BODY = json.dumps({"type": "request.approved", "timestamp": "2026-09-21T14:00:00Z", "data": {"id": "r-1"}}).encode()


def signed(body: bytes = BODY, at: int = NOW, secret: str = SECRET, webhook_id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.digest(key, f"{webhook_id}.{at}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(mac).decode()
    return {"Webhook-Id": webhook_id, "webhook-timestamp": str(at), "webhook-signature": f"v1a,zzzz {signature}"}


def verify(body: bytes, headers: dict[str, str], secret: Any = SECRET, now: float = NOW) -> countersign.Webhook:
    return countersign.verify_webhook(body, headers, secret, clock=lambda: now)


def test_the_example_of_the_specification_verifies() -> None:
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with pytest.raises(countersign.NotVerified, match="has no type"):
        verify(body, headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1614265330)


def test_a_webhook_says_what_happened() -> None:
    found = verify(BODY, signed())
    assert (found.id, found.type, found.data) == ("msg_1", "request.approved", {"id": "r-1"})


def test_while_a_secret_is_rotated_both_are_taken() -> None:
    new = "whsec_" + base64.b64encode(b"another-secret-of-24-chs").decode()
    assert verify(BODY, signed(secret=new), [SECRET, new]).id == "msg_1"
    two = signed()["webhook-signature"] + " " + signed(secret=new)["webhook-signature"]
    assert verify(BODY, signed() | {"webhook-signature": two}, new).id == "msg_1"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Webhook-Id": "msg_2"}, "No signature"),
        ({"webhook-timestamp": str(NOW + 1)}, "No signature"),
        ({"webhook-signature": "v1,AAAA"}, "No signature"),
        ({"webhook-signature": "v1,not base64"}, "No signature"),
        ({"webhook-signature": "v2,AAAA"}, "No signature"),
        ({"webhook-signature": ""}, "no webhook"),
        ({"webhook-timestamp": "soon"}, "last five minutes"),
        ({"webhook-timestamp": str(NOW - 301)}, "last five minutes"),
        ({"webhook-timestamp": "9" * 5000}, "last five minutes"),
    ],
)
def test_what_is_changed_is_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(countersign.NotVerified, match=said):
        verify(BODY, signed() | headers)


def test_every_changed_byte_of_the_body_is_refused() -> None:
    for place in range(len(BODY)):
        with pytest.raises(countersign.NotVerified):
            verify(BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :], signed())


def test_a_webhook_that_is_sent_again_later_is_refused() -> None:
    with pytest.raises(countersign.NotVerified, match="sent again"):
        countersign.verify_webhook(BODY, signed(), SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", []])
def test_a_secret_that_is_none_is_the_callers_mistake(secret: Any) -> None:
    with pytest.raises(ValueError, match="secret"):
        verify(BODY, signed(), secret)
