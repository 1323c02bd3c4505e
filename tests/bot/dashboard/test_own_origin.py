"""Where a form may come from: the public address if it is set, else the host that the browser reached."""

from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from approvals.signing import KeyRing
from bot.access.refusals import Kind, Refused
from bot.dashboard.cookies import CookieSigner
from bot.dashboard.sessions import Sessions

COOKIES = CookieSigner(KeyRing({"k1": "k" * 40}))
PUBLIC = "https://approvals.example"
OURS = [
    ("", "http://localhost:8000", "localhost:8000"),
    ("", "https://any.example", "any.example"),
    (PUBLIC, PUBLIC, "approvals.example"),
    (PUBLIC, PUBLIC, "10.0.0.7:8000"),
    (f"{PUBLIC}/", "https://APPROVALS.example:443", "pod-7"),
    (f"{PUBLIC}:8443", f"{PUBLIC}:8443", "pod-7"),
]
FOREIGN = [
    ("", "http://evil.example", "localhost:8000"),
    ("", "null", "localhost:8000"),
    ("", "", "localhost:8000"),
    ("", None, "localhost:8000"),
    (PUBLIC, "https://evil.example", "evil.example"),
    (PUBLIC, "http://10.0.0.7:8000", "10.0.0.7:8000"),
    (PUBLIC, "http://approvals.example", "approvals.example"),
    (PUBLIC, "https://approvals.example:8443", "approvals.example:8443"),
    (PUBLIC, "https://approvals.example.evil.example", "approvals.example"),
    (PUBLIC, "https://approvals.example@evil.example", "approvals.example"),
    (PUBLIC, "https://approvals.example:port", "approvals.example"),
    (PUBLIC, "null", "approvals.example"),
    (PUBLIC, None, "approvals.example"),
]


def sent(public: str, origin: str | None, host: str) -> tuple[Sessions, Request]:
    """Return the sessions and a form with a good token that a browser sends to it."""
    nothing: Any = None
    sessions = Sessions(store=nothing, access=nothing, cookies=COOKIES, clock=nothing, public_url=public)
    body = urlencode({"csrf": COOKIES.token("s1"), "reason": "because"}).encode()
    headers = [(b"host", host.encode()), (b"content-type", b"application/x-www-form-urlencoded")]
    headers += [] if origin is None else [(b"origin", origin.encode())]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return sessions, Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


@pytest.mark.parametrize(("public", "origin", "host"), OURS)
async def test_a_form_of_our_own_pages_is_taken(public: str, origin: str, host: str) -> None:
    sessions, request = sent(public, origin, host)
    assert (await sessions.form(request, "s1"))["reason"] == "because"


@pytest.mark.parametrize(("public", "origin", "host"), FOREIGN)
async def test_a_form_from_elsewhere_is_refused_whatever_host_it_names(
    public: str, origin: str | None, host: str
) -> None:
    sessions, request = sent(public, origin, host)
    with pytest.raises(Refused) as raised:
        await sessions.form(request, "s1")
    assert raised.value.kind is Kind.NOT_ALLOWED
