"""Who Slack's token names is believed only when all of it is right."""

import base64
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from approvals.people import Person
from bot.dashboard.cookies import PendingSignIn
from bot.dashboard.slack_identity import IdentityError, SlackIdentity, challenge

ISSUER = "https://slack.test"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, private=True)
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, private=True)
PENDING = PendingSignIn.model_validate(
    {
        "state": "s",
        "nonce": "n",
        "verifier": "v",
        "redirect_uri": "https://app.test/back",
        "then": "/",
        "ends": "2030-01-01T00:00:00Z",
    }
)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": "client",
        "sub": "U1",
        "iat": now,
        "exp": now + 300,
        "nonce": "n",
        "https://slack.com/team_id": "T1",
        "https://slack.com/user_id": "U1",
        **changes,
    }


def signed(key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": "one"}, claims(**changes), key, algorithms=[algorithm])


def unsigned() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return f"{head}.{signed().split('.')[1]}."


class Slack:
    """Slack's side, with what it was asked."""

    def __init__(self, token: Any, issuer: str = ISSUER) -> None:
        self.asked: list[str] = []
        self.sent: dict[str, str] = {}
        self._answers = {
            "/.well-known/openid-configuration": {
                "issuer": issuer,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
                "code_challenge_methods_supported": ["S256"],
            },
            "/keys": {"keys": [KEY.as_dict(private=False)]},
            "/token": token if isinstance(token, dict) else {"ok": True, "id_token": token},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if request.method == "POST":
            self.sent = dict(httpx.QueryParams(request.content.decode()))
        return httpx.Response(200, json=self._answers[request.url.path])

    def identity(self) -> SlackIdentity:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return SlackIdentity(http, f"{ISSUER}/api/", "client", "secret")


async def test_a_good_token_names_team_and_user_and_the_keys_are_asked_for_once() -> None:
    slack = Slack(signed())
    identity = slack.identity()
    for _ in range(2):
        assert await identity.person("code", PENDING) == Person(team="T1", user="U1")
    assert slack.asked.count("/keys") == slack.asked.count("/.well-known/openid-configuration") == 1
    assert slack.sent["code_verifier"] == "v"


async def test_the_browser_is_sent_with_state_nonce_and_challenge() -> None:
    query = httpx.URL(await Slack(signed()).identity().address(PENDING, "T1")).params
    assert (query["state"], query["nonce"], query["team"], query["scope"]) == ("s", "n", "T1", "openid")
    assert query["code_challenge"] == challenge("v")


NOW = int(time.time())
BAD: list[tuple[str, Any]] = [
    ("another issuer", signed(iss="https://evil.test")),
    ("another audience", signed(aud="somebody-else")),
    ("expired", signed(exp=NOW - 600)),
    ("not yet issued", signed(iat=NOW + 600)),
    ("another nonce", signed(nonce="other")),
    ("no nonce", signed(nonce=None)),
    ("another key", signed(OTHER)),
    ("no signature", unsigned()),
    ("signed with a secret", signed(OctKey.import_key("client-secret-" * 3), "HS256")),
    ("no team", signed(**{"https://slack.com/team_id": ""})),
    ("a user that is no text", signed(**{"https://slack.com/user_id": 7})),
    ("no token", {"ok": True}),
    ("refused", {"ok": False, "error": "invalid_code"}),
    ("garbage", "a.b.c"),
]


@pytest.mark.parametrize("token", [row[1] for row in BAD], ids=[row[0] for row in BAD])
async def test_what_is_not_right_names_nobody(token: Any) -> None:
    with pytest.raises(IdentityError):
        await Slack(token).identity().person("code", PENDING)


async def test_another_issuer_in_the_discovery_is_not_used() -> None:
    with pytest.raises(IdentityError, match="another issuer"):
        await Slack(signed(), issuer="https://evil.test").identity().address(PENDING, "T1")
