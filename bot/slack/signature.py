"""Verify Slack's signature, before parsing (docs/explanation/slack.md#unsigned-garbage-reaches-bolt)."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum

from approvals.values import Value

MAX_SLACK_BODY_BYTES = 1024 * 1024
"""Bytes. Slack's own payloads stay far below."""

WINDOW = 300
"""Seconds a timestamp may be off, as Slack's documentation on verifying requests advises."""

TIMESTAMP_DIGITS = 12


class Flaw(StrEnum):
    """The flaw of a request that is not from Slack, as the log names it."""

    MISSING = "signature headers missing"
    TIMESTAMP = "timestamp is not a plain number"
    WINDOW = "timestamp outside the window: the request is old, or this machine's clock is off"
    SIGNATURE = "signature does not match"


class SignedBytes(Value):
    """A request as it came: the body's bytes, and the two headers exactly as they were sent."""

    body: bytes
    timestamp: str
    signature: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 hex of the signed bytes: a repetition has the same fingerprint."""
        return hashlib.sha256(_base(self.timestamp, self.body)).hexdigest()


SIGNATURE = re.compile(rb"v0=[0-9a-f]{64}")


def early_flaw(timestamp: str, signature: str, now: float) -> Flaw | None:
    """Return the flaw of the headers alone, so that a body without valid ones is never read."""
    if not timestamp or not signature:
        return Flaw.MISSING
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_DIGITS):
        return Flaw.TIMESTAMP
    if abs(now - int(timestamp)) > WINDOW:
        return Flaw.WINDOW
    fits = SIGNATURE.fullmatch(signature.encode("utf-8", "surrogateescape"))
    return None if fits else Flaw.SIGNATURE


def flaw(signed: SignedBytes, secret: bytes, now: float) -> Flaw | None:
    """Return the flaw, None for Slack's own. `now` in Unix seconds. Raises: ValueError for an empty secret."""
    if not secret:
        raise ValueError("the signing secret is empty")
    if (early := early_flaw(signed.timestamp, signed.signature, now)) is not None:
        return early
    wanted = sign(signed.timestamp, signed.body, secret)
    # Compared as bytes: compare_digest refuses text that is not ASCII.
    good = hmac.compare_digest(wanted.encode(), signed.signature.encode("utf-8", "surrogateescape"))
    return None if good else Flaw.SIGNATURE


def flaw_of_any(signed: SignedBytes, secrets: Sequence[bytes], now: float) -> Flaw | None:
    """Return None if one of the secrets has signed the bytes: while it is rotated there are two.

    Raises: ValueError if there is no secret.
    """
    if not secrets:
        raise ValueError("there is no signing secret")
    found = [flaw(signed, secret, now) for secret in secrets]
    return None if None in found else found[0]


def sign(timestamp: str, body: bytes, secret: bytes) -> str:
    """Return Slack's v0 signature of a body."""
    return "v0=" + hmac.digest(secret, _base(timestamp, body), "sha256").hex()


def _base(timestamp: str, body: bytes) -> bytes:
    return b"v0:" + timestamp.encode() + b":" + body
