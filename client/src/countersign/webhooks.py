"""Webhooks by the Standard Webhooks specification: HMAC-SHA256 over id, timestamp and body, with rotation."""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from countersign.errors import NotVerified
from countersign.values import Value

TOLERANCE_S: Final = 300
"""How old a webhook may be, and how far the sender's clock may be ahead."""

PREFIX: Final = "whsec_"


class Webhook(Value):
    """A webhook. `id` stays the same over all attempts: keep it, and do nothing for one that you have seen."""

    id: str
    type: str
    timestamp: datetime
    data: dict[str, Any]


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    clock: Callable[[], float] = time.time,
) -> Webhook:
    """Return what a webhook says, if one of your secrets has signed exactly these bytes in the last five minutes.

    `body` is the raw body, not what was parsed from it. While you rotate, give the old secret and the new one.
    Raises: NotVerified, and ValueError for a secret that is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    sent = [lower.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
    webhook_id, timestamp, signatures = sent
    if not all(sent):
        raise NotVerified(
            "This is no webhook: the headers webhook-id, webhook-timestamp and webhook-signature are needed."
        )
    _demand_now(timestamp, clock())
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    ours = [hmac.digest(key, signed, "sha256") for key in _keys(secret)]
    theirs = [_decoded(each.removeprefix("v1,")) for each in signatures.split(" ") if each.startswith("v1,")]
    if not any(hmac.compare_digest(one, other) for one in ours for other in theirs):
        raise NotVerified("No signature of this webhook is from your secret: it was changed, or another key sent it.")
    try:
        return _Body.model_validate_json(body).webhook(webhook_id)
    except ValidationError as error:
        raise NotVerified("The webhook is signed, and has no type, timestamp and data.") from error


class _Body(Value):
    type: str
    timestamp: datetime
    data: dict[str, Any]

    def webhook(self, webhook_id: str) -> Webhook:
        return Webhook(id=webhook_id, type=self.type, timestamp=self.timestamp, data=self.data)


def _demand_now(timestamp: str, now: float) -> None:
    if not timestamp.isascii() or not timestamp.isdecimal() or abs(now - int(timestamp[:20])) > TOLERANCE_S:
        raise NotVerified("The webhook is not of the last five minutes: it was sent again, or a clock is wrong.")


def _keys(secret: str | Iterable[str]) -> list[bytes]:
    found = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not found:
        raise ValueError("there is no secret to verify the webhook with")
    return found


def _key(secret: str) -> bytes:
    key = _decoded(secret.strip().removeprefix(PREFIX))
    if len(key) < 16:  # noqa: PLR2004 a shorter one can be guessed; the specification's least is 24
        raise ValueError("the secret of a webhook is a text like whsec_…, as Countersign printed it")
    return key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
