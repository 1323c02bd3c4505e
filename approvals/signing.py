"""Keys and what they sign. A key never shows: not in a repr, not in an error. No I/O: the text comes in."""

import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from approvals.canonical import canonical_json
from approvals.decision import Decision, SignedDecision, SignedSubmission, Submission
from approvals.values import Value

SHORTEST_SECRET = 32
ONLY_KEY_ID = "k1"
KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
CHECKPOINT = b"countersign/v1/audit-checkpoint"
ADVICE = "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


class Purpose(StrEnum):
    """The purpose of a sub-key. A signature for one purpose is invalid for every other."""

    DECISION = "decision"
    SUBMISSION = "submission"
    API_KEY = "api-key"
    SESSION = "session"
    CSRF = "csrf"
    DRY_RUN = "dry-run"
    CURSOR = "cursor"
    WEBHOOK = "webhook"
    SEALED_REQUEST = "sealed-request"
    SEALED_ROUTE = "sealed-route"
    SEALED_JUDGEMENT = "sealed-judgement"
    SEALED_GROUPS = "sealed-groups"


class Seal(Value):
    """An HMAC-SHA256 (hex) by the key that `key_id` names: one of our processes made the sealed content."""

    key_id: str
    mac: str


class SecretKeyError(ValueError):
    """COUNTERSIGN_SECRET_KEY can't be used. The message never shows a part of it."""


class KeyRing:
    """Several secrets by id, one of them current: it signs, all of them verify, so keys can be rotated."""

    __slots__ = ("_secrets", "current")

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Take the secrets in order; the first is current. Raises SecretKeyError for a weak or missing one."""
        if not secrets:
            raise SecretKeyError(f"COUNTERSIGN_SECRET_KEY is empty: nothing could be signed. {ADVICE}")
        for number, (key_id, secret) in enumerate(secrets.items(), start=1):
            _refuse_unusable(number, key_id, secret)
        self._secrets = {key_id: secret.encode() for key_id, secret in secrets.items()}
        self.current = next(iter(secrets))

    def become(self, other: "KeyRing") -> None:
        """Take another ring's keys from now on, in every part that holds this one: a rotation needs no restart."""
        self._secrets, self.current = dict(other._secrets), other.current  # noqa: SLF001 another of this class

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current!r}, keys={len(self._secrets)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, the current one first."""
        return tuple(self._secrets)

    def subkey(self, purpose: Purpose, key_id: str | None = None) -> bytes:
        """Return 32 bytes for one purpose, derived by HMAC-SHA256. Raises KeyError for an unknown key id."""
        secret = self._secrets[self.current if key_id is None else key_id]
        return hmac.digest(secret, f"countersign/v1/{purpose}".encode(), "sha256")

    def checkpoint_seeds(self) -> tuple[bytes, ...]:
        """Return a seed of 32 bytes for each key's checkpoint signatures, the current one first (HKDF-SHA256)."""
        extracted = [hmac.digest(bytes(32), secret, "sha256") for secret in self._secrets.values()]
        return tuple(hmac.digest(each, CHECKPOINT + b"\x01", "sha256") for each in extracted)

    def mac(self, purpose: Purpose, data: bytes, key_id: str | None = None) -> str:
        """Return the HMAC-SHA256 (hex) of the data. Raises KeyError for an unknown key id."""
        return hmac.digest(self.subkey(purpose, key_id), data, "sha256").hex()

    def matches(self, purpose: Purpose, data: bytes, key_id: str, mac: str) -> bool:
        """Return whether the mac is the key's, in constant time. An unknown key id costs the same and is False."""
        known = key_id in self._secrets
        expected = self.mac(purpose, data, key_id if known else None)
        # Bytes, because compare_digest raises for text that isn't ASCII.
        same = hmac.compare_digest(expected.encode(), mac.encode(errors="backslashreplace"))
        return known and same

    def sign(self, decision: Decision) -> SignedDecision:
        """Return the decision with the current key's HMAC."""
        mac = self.mac(Purpose.DECISION, canonical_json(decision))
        return SignedDecision(decision=decision, key_id=self.current, mac=mac)

    def verify(self, signed: SignedDecision) -> bool:
        """Return whether one of the keys signed exactly this decision."""
        return self.matches(Purpose.DECISION, canonical_json(signed.decision), signed.key_id, signed.mac)

    def sign_submission(self, submission: Submission) -> SignedSubmission:
        """Return anything else that is submitted with the current key's HMAC."""
        mac = self.mac(Purpose.SUBMISSION, canonical_json(submission))
        return SignedSubmission(submission=submission, key_id=self.current, mac=mac)

    def verify_submission(self, signed: SignedSubmission) -> bool:
        """Return whether one of the keys signed exactly this submission."""
        return self.matches(Purpose.SUBMISSION, canonical_json(signed.submission), signed.key_id, signed.mac)

    def seal(self, purpose: Purpose, content: Any) -> Seal:
        """Return the current key's seal on a content. Each purpose has a key of its own."""
        return Seal(key_id=self.current, mac=self.mac(purpose, canonical_json(content)))

    def opens(self, purpose: Purpose, content: Any, seal: Seal) -> bool:
        """Return whether one of the keys sealed exactly this content for this purpose."""
        return self.matches(purpose, canonical_json(content), seal.key_id, seal.mac)


def _refuse_unusable(number: int, key_id: str, secret: str) -> None:
    # By number, because a plain secret with a colon in it looks like an id.
    if not KEY_ID.fullmatch(key_id):
        raise SecretKeyError(
            f"The id of key {number} in COUNTERSIGN_SECRET_KEY is not usable: "
            "give 1 to 32 letters, digits, '_', '.' or '-' before the colon."
        )
    if len(secret) < SHORTEST_SECRET:
        raise SecretKeyError(
            f"The secret of key {number} in COUNTERSIGN_SECRET_KEY has {len(secret)} characters; "
            f"at least {SHORTEST_SECRET} are needed. {ADVICE}"
        )


def parse_key_ring(text: str) -> KeyRing:
    """Return the keys of COUNTERSIGN_SECRET_KEY: `id:secret,id2:secret2` (the first is current) or one plain secret.

    Raises SecretKeyError, which never shows a part of the text.
    """
    text = text.strip()
    if not text:
        return KeyRing({})
    if ":" not in text:
        return KeyRing({ONLY_KEY_ID: text})
    secrets: dict[str, str] = {}
    for part in text.split(","):
        key_id, colon, secret = part.strip().partition(":")
        if not colon:
            raise SecretKeyError(
                "A part of COUNTERSIGN_SECRET_KEY has no id: write every key as id:secret, with commas between them."
            )
        if key_id in secrets:
            raise SecretKeyError("COUNTERSIGN_SECRET_KEY names one key id twice: give each key its own.")
        secrets[key_id] = secret.strip()
    return KeyRing(secrets)
