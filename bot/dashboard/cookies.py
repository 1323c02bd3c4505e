"""Small values that a browser keeps for us and cannot change: sealed with the key ring, one label each. No I/O."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Literal, TypeVar

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
    """A sentence for the next page: what became of a form. `good` is how it looks."""

    text: str
    good: bool = True
    to: str = ""


class CookieSigner:
    """Signs and reads cookies. A cookie of one kind of value cannot be read as another."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def dumps(self, value: Value) -> str:
        """Return the value as text for a cookie: body, HMAC and the key's id, with dots between."""
        body = base64.urlsafe_b64encode(value.model_dump_json(exclude_defaults=True).encode()).decode().rstrip("=")
        mac = self._keys.mac(Purpose.SESSION, _labelled(type(value), body))
        return f"{body}.{mac}.{self._keys.current}"

    def loads(self, kind: type[T], text: str | None) -> T | None:
        """Return the value, None for anything that is not ours as it was."""
        if not text or len(text) > LONGEST_COOKIE or text.count(".") < 2:  # noqa: PLR2004 body.mac.key
            return None
        body, mac, key_id = text.split(".", 2)
        if not self._keys.matches(Purpose.SESSION, _labelled(kind, body), key_id, mac):
            return None
        try:
            plain = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            return kind.model_validate_json(plain)
        except (binascii.Error, ValidationError):
            return None

    def token(self, session_id: str) -> str:
        """Return the CSRF token that belongs to a session (or to a visit before one)."""
        return f"{self._keys.mac(Purpose.CSRF, session_id.encode())}.{self._keys.current}"

    def is_token(self, session_id: str, text: str) -> bool:
        """Return whether this is the session's CSRF token, in constant time."""
        mac, _, key_id = text.partition(".")
        return self._keys.matches(Purpose.CSRF, session_id.encode(), key_id, mac)


def _labelled(kind: type[Value], body: str) -> bytes:
    return f"{kind.__name__}\n{body}".encode()


def is_over(ends: datetime, now: datetime) -> bool:
    """Return whether something has expired."""
    return now >= ends
