"""A link that signs in once, as the person of one API key: for the demo, so that nobody types a key there."""

import secrets
from datetime import datetime

from approvals.signing import KeyRing
from approvals.values import Moment, Value
from bot.dashboard.cookies import CookieSigner

PATH = "/sign-in/link"


class OneTimeLink(Value):
    """The content of a link: the key that signs in, the expiry, and the number that makes it single-use."""

    key_id: str
    nonce: str
    ends: Moment


def address(base_url: str, keys: KeyRing, key_id: str, ends: datetime) -> str:
    """Return a link. The first to open it before `ends` has the key's roles: print it, never post it."""
    link = OneTimeLink(key_id=key_id, nonce=secrets.token_urlsafe(18), ends=ends)
    return f"{base_url.rstrip('/')}{PATH}/{CookieSigner(keys).dumps(link)}"
