"""People come with their company's own bearer tokens (OpenID Connect): who they are, and then what the policy gives."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.end_to_end.control_room import Headers
from tests.end_to_end.system import Order, System

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})


class Issuer(ThreadingHTTPServer):
    """An identity provider on loopback: its configuration and its public keys."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def token(self, email: str, key: RSAKey = KEY, **changes: Any) -> Headers:
        """Give the headers of somebody whom the issuer knows."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": "countersign", "iat": now, "exp": now + 300, "sub": email}
        claims |= {"email": email, "email_verified": True} | changes
        return {"Authorization": f"Bearer {jwt.encode({'alg': 'RS256', 'kid': 'one'}, claims, key)}"}


class Answers(BaseHTTPRequestHandler):
    """What the issuer answers."""

    server: Issuer

    def do_GET(self) -> None:
        keys = KeySet([KEY]).as_dict(private=False)
        found = {"issuer": self.server.url, "jwks_uri": f"{self.server.url}/keys"}
        body = json.dumps(keys if self.path == "/keys" else found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def settings(issuer: Issuer) -> dict[str, Any]:
    return {"oidc_issuer": issuer.url, "oidc_audience": "countersign"}


def test_a_token_names_a_person_and_the_policy_says_what_they_may(system: System, issuer: Issuer) -> None:
    requester, manager, operator = (issuer.token(f"{who}@example.com") for who in ("requester", "manager", "operator"))
    ids = [system.order_id("by-token") for _ in range(2)]
    for order_id in ids:
        started = system.http.post(f"/orders/{order_id}/start", json={"amount": 2400}, headers=requester)
        assert started.json()["status"] == "started", started.text
        Order(system, order_id).card()
    own = system.http.post(f"/orders/{ids[0]}/approve", json={"approved": True}, headers=requester)
    assert (own.status_code, own.json().get("reason")) == (403, "own_request"), own.text
    # An id that a caller chooses is theirs alone: the first to use one kept everybody else's decision out.
    mine = {"approved": True, "decision_id": "job-7-of-mine"}
    before = system.http.post(f"/orders/{ids[0]}/approve", json=mine, headers=requester)
    assert (before.status_code, before.json().get("reason")) == (403, "own_request"), before.text
    decided = system.http.post(f"/orders/{ids[0]}/approve", json=mine, headers=manager)
    assert decided.json()["sent"] is True, decided.text
    path = f"/workflows/order-{ids[1]}-workflow/terminate"
    assert system.http.post(path, json={"reason": "no"}, headers=manager).status_code == 403
    assert system.http.post(path, json={"reason": "ordered twice"}, headers=operator).status_code == 200


def test_a_token_that_proves_nothing_is_refused_and_says_so(system: System, issuer: Issuer) -> None:
    operator = "operator@example.com"
    for headers in (
        issuer.token(operator, FOREIGN),
        issuer.token(operator, exp=int(time.time()) - 120),
        issuer.token(operator, aud="somebody else"),
    ):
        answer = system.http.get("/workflows", headers=headers)
        assert answer.status_code == 401
        assert "invalid_token" in answer.headers["WWW-Authenticate"]
        assert operator not in answer.text


def test_whom_slack_does_not_know_may_nothing(system: System, issuer: Issuer) -> None:
    answer = system.http.get("/workflows", headers=issuer.token("somebody@elsewhere.example"))
    assert (answer.status_code, answer.json()["reason"]) == (403, "unknown_person")
