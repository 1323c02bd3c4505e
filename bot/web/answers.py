"""The one map from the error model to HTTP's statuses and headers, and whom failures are counted by."""

import math
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from bot.access.refusals import Kind, Refused

STATUS: Final[Mapping[Kind, int]] = {
    Kind.NOT_SIGNED_IN: 401,
    Kind.BAD_CREDENTIALS: 401,
    Kind.NOT_ALLOWED: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.BUSY: 409,
    Kind.TOO_LARGE: 413,
    Kind.INVALID: 422,
    Kind.UNBOUND: 428,
    Kind.RATE_LIMITED: 429,
    Kind.DAMAGED: 500,
    Kind.UNAVAILABLE: 503,
}
"""The caller is 401 or 403, the object's status 409, the content 413 or 422, a temporary failure 429 or 503.

428 is a decision that does not say what was seen.
"""

CHALLENGES: Final[Mapping[Kind, str]] = {
    Kind.NOT_SIGNED_IN: "Bearer",
    Kind.BAD_CREDENTIALS: 'Bearer error="invalid_token"',
}
READING: Final = frozenset({"GET", "HEAD"})


def headers_of(refusal: Refused) -> dict[str, str]:
    """Return the headers that say how to try again: with which credentials, after how many seconds."""
    found = {"WWW-Authenticate": CHALLENGES[refusal.kind]} if refusal.kind in CHALLENGES else {}
    if refusal.retry_after is not None:
        found["Retry-After"] = str(math.ceil(refusal.retry_after))
    return found


def source_of(request: Request) -> str:
    """Return the client's address: what failed credentials are counted by."""
    return request.client.host if request.client else "unknown"
