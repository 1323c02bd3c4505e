"""Small values that a browser keeps for us and cannot change: signed by itsdangerous with the key ring. No I/O."""

import hashlib
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from itsdangerous import BadData, Signer, URLSafeSerializer
from pydantic import ValidationError

from approvals.signing import KeyRing, Purpose
from approvals.values import Moment, Value

LIFETIME = timedelta(hours=12)
SIGN_IN_LIFETIME = timedelta(minutes=10)
"""Lifetime of a sign-in with Slack: that of Slack's own code."""

LONGEST_COOKIE = 4000
T = TypeVar("T", bound=Value)


class Session(Value):
    """A session: who signed in, how, until when. It gives no right: roles are looked up at every request."""

    id: str
    kind: Literal["key", "slack"]
    key_id: str = ""
    team: str = ""
    user: str = ""
    began: Moment
    ends: Moment


class PendingSignIn(Value):
    """A pending sign-in with Slack: the values that must come back, and the address to go to then."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    then: str
    ends: Moment


class FlashMessage(Value):
    """A message for the next page: what became of a form. `good` is how it looks."""

    text: str
    good: bool = True
    to: str = ""


class CookieSigner:
    """Signs and reads cookies. A cookie of one kind of value cannot be read as another: the kind's name is the salt."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def dumps(self, value: Value) -> str:
        """Return the value as text for a cookie, signed with the current key."""
        return str(self._serializer(type(value)).dumps(value.model_dump(mode="json", exclude_defaults=True)))

    def loads(self, kind: type[T], text: str | None) -> T | None:
        """Return the value, None for anything that is not ours as it was."""
        if not text or len(text) > LONGEST_COOKIE:
            return None
        try:
            return kind.model_validate(self._serializer(kind).loads(text))
        except (BadData, ValidationError):
            return None

    def token(self, session_id: str) -> str:
        """Return the CSRF token that belongs to a session (or to a visit before one)."""
        return self._csrf().get_signature(session_id).decode()

    def is_token(self, session_id: str, text: str) -> bool:
        """Return whether this is the session's CSRF token, in constant time."""
        return self._csrf().verify_signature(session_id, text.encode(errors="backslashreplace"))

    def _serializer(self, kind: type[Value]) -> URLSafeSerializer:
        how = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(self._secrets(Purpose.SESSION), salt=kind.__name__, signer_kwargs=how)

    def _csrf(self) -> Signer:
        return Signer(self._secrets(Purpose.CSRF), salt="csrf", key_derivation="hmac", digest_method=hashlib.sha256)

    def _secrets(self, purpose: Purpose) -> list[bytes]:
        """Return the keys as itsdangerous wants them: the current one last. Read each time, for a rotation is live."""
        return [self._keys.subkey(purpose, key_id) for key_id in reversed(self._keys.ids)]


def is_over(ends: datetime, now: datetime) -> bool:
    """Return whether something has expired."""
    return now >= ends
