"""Receipts: a signed statement of who approved what, verified offline with one public key.

A receipt is a compact JWS, signed with Ed25519 (RFC 7515, RFC 8037).
"""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ConfigDict, ValidationError

from countersign.ed25519 import SIZE, verifies
from countersign.errors import NotVerified
from countersign.values import APPROVED, Value

FORMAT: Final = 1
TYPE: Final = "countersign-receipt+jws"
LONGEST: Final = 64 * 1024
PEM: Final = "-----BEGIN PUBLIC KEY-----"
HEX_DIGITS: Final = 2 * SIZE


class Receipt(Value):
    """What a receipt says. Fields that a newer app adds are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    format: int = 1
    id: str
    status: str
    digest: str
    valid_until: datetime | None = None


def verify_receipt(
    receipt: str,
    public_key: str | bytes,
    *,
    request_id: str | None = None,
    digest: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Receipt:
    """Return what a receipt says, if this key has signed it, it says approved, and it may still be used.

    `public_key` is as `countersign audit public-key` prints it (hex), base64url, PEM, or 32 bytes. Give the
    `request_id` or the `digest` of what you are about to do: a receipt for something else is no permission for it.
    Raises: NotVerified, and ValueError for a key that is none.
    """
    said = _signed(receipt, _key(public_key))
    try:
        found = Receipt.model_validate(said)
    except ValidationError as error:
        raise NotVerified("The receipt is signed, and has no id, status and digest.") from error
    if found.format != FORMAT:
        raise NotVerified(f"The receipt has the format {found.format}, which this package does not know: update it.")
    if found.status not in APPROVED:
        raise NotVerified(f"The receipt is for a request that ended as {found.status}, which is no yes.")
    for name, wanted, given in (("request", request_id, found.id), ("content", digest, found.digest)):
        if wanted is not None and wanted != given:
            raise NotVerified(f"The receipt is for another {name}.")
    if found.valid_until is not None and clock() >= found.valid_until:
        raise NotVerified(f"The approval was to be used before {found.valid_until:%Y-%m-%d %H:%M} UTC. Ask again.")
    return found


def _signed(receipt: str, key: bytes) -> dict[str, Any]:
    parts = receipt.strip().split(".")
    if len(receipt) > LONGEST or len(parts) != 3:  # noqa: PLR2004 header, payload, signature
        raise NotVerified("This is no receipt: it has three parts with a dot between them.")
    header, payload, signature = (_decoded(part) for part in parts)
    said = _object(header)
    if said.get("alg") != "EdDSA" or said.get("typ") != TYPE or "crit" in said:
        raise NotVerified("This is no receipt, or it is signed in another way than with Ed25519.")
    if not verifies(key, f"{parts[0]}.{parts[1]}".encode(), signature):
        raise NotVerified("The receipt is not signed by this key, or it was changed.")
    return _object(payload)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _decoded(text: str) -> bytes:
    """Decode base64url without padding; nothing for what is not written in exactly this way."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if base64.urlsafe_b64encode(found).rstrip(b"=").decode() == text else b""


def _key(given: str | bytes) -> bytes:
    if isinstance(given, bytes) and len(given) == SIZE:
        return given
    text = (given.decode("ascii", "replace") if isinstance(given, bytes) else given).strip()
    if text.startswith(PEM):
        body = "".join(line for line in text.splitlines() if not line.startswith("-----"))
        found = base64.b64decode(body)[-SIZE:]
    elif len(text) == HEX_DIGITS:
        found = bytes.fromhex(text)
    else:
        found = _decoded(text)
    if len(found) != SIZE:
        raise ValueError("the public key is 64 hex digits, base64url of 32 bytes, or PEM")
    return found
