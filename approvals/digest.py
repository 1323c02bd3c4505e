"""Canonical JSON and the digests on it: what a decision is bound to.

No keys here: a digest is no proof of who made it.
"""

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from approvals.request import ApprovalRequest, Binding, Route, semantic_fields
from approvals.values import in_utc

LONGEST_EXPONENT = 40
NONCE_DIGITS = 32


def canonical_json(value: Any) -> bytes:
    """Return the one way to write the value: sorted keys, no spaces, UTF-8.

    Decimals become strings without trailing zeros, moments ISO 8601 in UTC, durations their seconds. Keys must be
    strings. Raises ValueError for NaN and infinities, TypeError for what JSON has no form for.
    """
    # A lone surrogate has no UTF-8; its JSON escape is what backslashreplace writes, and no other text gives the same.
    return CANONICAL.encode(value).encode(errors="backslashreplace")


def _plain_form(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump()
        case Decimal():
            return decimal_text(value)
        case datetime():
            return in_utc(value).isoformat()
        case timedelta():
            return decimal_text(Decimal(value // timedelta(microseconds=1)).scaleb(-6))
        case set() | frozenset():
            return sorted(value)
        case _:
            raise TypeError(f"canonical JSON has no form for a {type(value).__name__}")


CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain_form
)


def decimal_text(value: Decimal) -> str:
    """Return the number without trailing zeros, exactly. Raises ValueError for NaN and infinities.

    `Decimal.normalize()` would round to 28 digits, and `format` would write a billion zeros for 1E+999999999.
    """
    if not value.is_finite():
        raise ValueError("canonical JSON has no form for NaN or an infinity")
    sign, digits, exponent = value.as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    shortest = written.rstrip("0")
    if not shortest:
        return "0"
    power = int(exponent) + len(written) - len(shortest)
    if abs(power) > LONGEST_EXPONENT:
        return f"{'-' * sign}{shortest}E{power}"
    return f"{Decimal((sign, tuple(map(int, shortest)), power)):f}"


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_of(request: ApprovalRequest, route: Route, instance_id: str) -> str:
    """Return the digest of a request under its route and instance: 64 hex digits."""
    return _sha256(semantic_fields(request, route, instance_id))


def content_digest(request: ApprovalRequest) -> str:
    """Return the digest of the request alone: the same id started again with another content is another order."""
    return _sha256(request)


def version_of(content: Any) -> str:
    """Return the version of a policy's canonical content: 12 hex digits."""
    return _sha256(content)[:12]


def bind(instance_id: str, run: datetime, stage: int, round_: int, digest: str) -> Binding:
    """Return what a card of this stage and round is bound to.

    The nonce is derived, not random: an activity that is retried posts the same card.
    """
    nonce = _sha256(["card", instance_id, in_utc(run), stage, round_, digest])[:NONCE_DIGITS]
    return Binding(instance_id=instance_id, run=run, stage=stage, round=round_, digest=digest, nonce=nonce)
