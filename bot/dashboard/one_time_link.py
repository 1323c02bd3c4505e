"""A link that signs in once, as the person of one API key: for the demo, so that nobody types a key there."""

import secrets
from datetime import datetime

from approvals.signing import KeyRing
from approvals.values import Moment, Value
from bot.dashboard.cookies import CookieSigner

PATH = "/sign-in/link"


class OneTimeLink(Value):
    """What a link says: whose key signs in, until when, and the number by which it is used once."""

    key_id: str
    nonce: str
    ends: Moment


def address(base_url: str, keys: KeyRing, key_id: str, ends: datetime) -> str:
    """Return a link. The first to open it before `ends` has the key's roles: print it, never post it."""
    link = OneTimeLink(key_id=key_id, nonce=secrets.token_urlsafe(18), ends=ends)
    return f"{base_url.rstrip('/')}{PATH}/{CookieSigner(keys).seal(link)}"
