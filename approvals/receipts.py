"""Receipts: a signed statement that a request was approved, which another system verifies offline by one public key.

A compact JWS (RFC 7515) with Ed25519 (RFC 8037). Only an approval has a receipt, so that a reader who forgets to look
at the status is not misled.
"""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ConfigDict, Field, ValidationError

from approvals.canonical import canonical_json
from approvals.values import Moment, Value

FORMAT: Final = 1
TYPE: Final = "countersign-receipt+jws"
LONGEST_RECEIPT: Final = 64 * 1024
PARTS: Final = 3


class BadReceiptError(ValueError):
    """A receipt that proves nothing. The message says why."""


class ReceiptDecision(Value):
    """One yes. `matched` is what made the person an approver, like `group managers`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    person: str
    name: str = ""
    stage: int
    matched: tuple[str, ...] = Field(default=(), alias="as", serialization_alias="as")
    at: Moment


class AuditPlace(Value):
    """The audit entry of the approval: its number and its hash in the chain."""

    seq: int
    hash: str


class Claims(Value):
    """What a receipt says. Fields are only added; `format` changes if one changes its meaning."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = FORMAT
    id: str
    status: Literal["approved"] = "approved"
    kind: str
    subject: str
    amount: str | None
    currency: str | None
    description: str
    fields: dict[str, str]
    details: dict[str, str]
    requester: str
    digest: str
    rule: str
    policy_version: str
    decided_by: tuple[ReceiptDecision, ...]
    ended_at: Moment
    valid_until: Moment | None
    audit: AuditPlace


def signed(claims: Claims, key_id: str, sign: Callable[[bytes], bytes]) -> str:
    """Return the receipt. The same claims and key give the same text."""
    header = canonical_json({"alg": "EdDSA", "kid": key_id, "typ": TYPE})
    payload = canonical_json(claims.model_dump(mode="json", by_alias=True))
    text = f"{_encoded(header)}.{_encoded(payload)}"
    return f"{text}.{_encoded(sign(text.encode()))}"


def verified(receipt: str, public_key: bytes, now: datetime) -> Claims:
    """Return what a receipt says, if this raw public key signed it and the approval may still be used.

    Raises: BadReceiptError. The caller compares id, kind, subject and fields with what it is about to do.
    """
    parts = receipt.strip().split(".")
    if len(receipt) > LONGEST_RECEIPT or len(parts) != PARTS:
        raise BadReceiptError("This is no receipt: it has three parts with a dot between them.")
    header, payload, signature = map(_decoded, parts)
    said = _object(header)
    if said.get("alg") != "EdDSA" or said.get("typ") != TYPE or "crit" in said:
        raise BadReceiptError("This is no receipt of Countersign: its header says something else.")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, f"{parts[0]}.{parts[1]}".encode())
    except InvalidSignature:
        raise BadReceiptError("The receipt is not signed by this key, or it was changed.") from None
    try:
        claims = Claims.model_validate(_object(payload))
    except ValidationError as error:
        raise BadReceiptError("The receipt is signed, and is of another format or no approval.") from error
    if claims.valid_until is not None and now >= claims.valid_until:
        raise BadReceiptError(f"The approval was to be used before {claims.valid_until:%Y-%m-%d %H:%M} UTC. Ask again.")
    return claims


def encoded_key(public_key: bytes, key_id: str) -> dict[str, str]:
    """Return a raw public key as a JWK (RFC 8037)."""
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id, "x": _encoded(public_key)}


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Return the bytes of base64url without padding. A text that is not written in exactly this way is refused."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if _encoded(found) != text:
        raise BadReceiptError("The receipt is damaged: a part is not base64url.")
    return found


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}
