"""Webhooks by the Standard Webhooks specification: who signs, with what, and which events there are. No I/O.

A secret is derived from COUNTERSIGN_SECRET_KEY, so none is kept anywhere: one for each API key and round. A rotation
begins a new round, and until the next one both sign, as do all keys of COUNTERSIGN_SECRET_KEY while it is rotated.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final, Literal

from approvals.canonical import canonical_json
from approvals.signing import KeyRing, Purpose
from approvals.values import Moment, Value

PREFIX: Final = "whsec_"
PAUSES: Final = (
    *(timedelta(seconds=each) for each in (5, 30)),
    *(timedelta(minutes=each) for each in (1, 2, 5, 15, 30)),
    *(timedelta(hours=each) for each in (1, 2, 4, 8)),
)
"""The pauses after failed attempts; the last one is repeated."""

GIVEN_UP_AFTER: Final = timedelta(days=3)


Event = Literal["counted", "changed"]
"""The events before the end: `counted`, a yes of several; `changed`, another stage or an escalation asks others."""


class Callback(Value):
    """The address to which the end of a request is sent, and the `events` before it that are sent too.

    `signer` is the API key's id, or `kind:NAME` for an effect of the policy.
    """

    url: str
    signer: str
    events: tuple[Event, ...] = ()


def secrets_of(keys: KeyRing, signer: str, round_: int) -> tuple[str, ...]:
    """Return the secrets that sign for a signer, the newest first: of this round and, after a rotation, the last."""
    rounds = (round_, round_ - 1) if round_ > 1 else (round_,)
    return tuple(_secret(keys, key_id, signer, each) for each in rounds for key_id in keys.ids)


def _secret(keys: KeyRing, key_id: str, signer: str, round_: int) -> str:
    derived = keys.mac(Purpose.WEBHOOK, canonical_json({"signer": signer, "round": round_}), key_id)
    return PREFIX + base64.b64encode(bytes.fromhex(derived)).decode()


def headers(secrets: tuple[str, ...], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of a message; the signature header has one signature for each secret."""
    seconds = str(int(at.timestamp()))
    signed = f"{message_id}.{seconds}.{body}".encode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{_mac(each, signed)}" for each in secrets),
    }


def _mac(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def message_id(instance_id: str, began: Moment) -> str:
    """Return the id of the message that tells an end: one for each run of an instance, whatever happens twice."""
    return f"msg_{hashlib.sha256(canonical_json(['end', instance_id, began])).hexdigest()[:32]}"


def event_id(instance_id: str, began: Moment, event: Event, key: str) -> str:
    """Return the id of the message that tells an event; `key` is of the step that it was part of."""
    return f"msg_{hashlib.sha256(canonical_json([event, instance_id, began, key])).hexdigest()[:32]}"


def next_attempt(attempts: int, created_at: datetime, now: datetime) -> datetime | None:
    """Return when it is tried again after so many attempts; None if three days have passed."""
    pause = PAUSES[min(attempts, len(PAUSES)) - 1]
    again = now + pause
    return again if again <= created_at + GIVEN_UP_AFTER else None
