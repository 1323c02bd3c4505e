"""Bearer tokens of an identity provider: taken only when the issuer signed them, for us and for now."""

import base64
import hmac
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from bot.access.oidc import BadTokenError, Oidc, ProviderUnavailableError, is_jwt

ISSUER = "https://login.example.com/tenant"
KEYS = f"{ISSUER}/keys"
RSA = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
NEW = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "one"})


class Provider:
    """An issuer on a transport of its own; counts what is asked."""

    def __init__(self, *keys: RSAKey | ECKey) -> None:
        self.keys = list(keys)
        self.asked: list[str] = []
        self.issuer = ISSUER
        self.up = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if not self.up:
            return httpx.Response(503)
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json={"issuer": self.issuer, "jwks_uri": KEYS})
        return httpx.Response(200, json=KeySet(self.keys).as_dict(private=False))


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


def oidc(provider: Provider, clock: Clock | None = None, algorithms: tuple[str, ...] = ("RS256", "ES256")) -> Oidc:
    http = httpx.AsyncClient(transport=httpx.MockTransport(provider))
    return Oidc(http, issuer=ISSUER, audience="countersign", algorithms=algorithms, monotonic=clock or Clock())


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": "countersign", "exp": now + 300, "iat": now, "sub": "1"}
    return good | {"email": "Manager@Example.com", "email_verified": True} | changes


def token(key: Any = RSA, alg: str = "RS256", kid: str = "one", **changes: Any) -> str:
    found = {name: value for name, value in claims(**changes).items() if value is not None}
    return jwt.encode({"alg": alg, "kid": kid}, found, key, algorithms=[alg])


async def test_a_good_token_proves_its_verified_email() -> None:
    assert await oidc(Provider(RSA)).email_of(token()) == "manager@example.com"
    assert await oidc(Provider(RSA)).email_of(token(aud=["other", "countersign"])) == "manager@example.com"


BAD: list[tuple[str, dict[str, Any]]] = [
    ("another issuer", {"iss": "https://evil.example.com"}),
    ("no issuer", {"iss": None}),
    ("another audience", {"aud": "somebody-else"}),
    ("no audience", {"aud": None}),
    ("expired", {"exp": int(time.time()) - 120}),
    ("no expiry", {"exp": None}),
    ("an expiry that is text", {"exp": "tomorrow"}),
    ("not yet valid", {"nbf": int(time.time()) + 86_400}),  # the whole suite may run before it does
    ("an e-mail that nobody verified", {"email_verified": False}),
    ("an e-mail verified in words", {"email_verified": "true"}),
    ("no e-mail", {"email": None}),
    ("an e-mail that is a list", {"email": ["manager@example.com"]}),
]


@pytest.mark.parametrize(("description", "changes"), BAD, ids=[row[0] for row in BAD])
async def test_a_token_that_is_not_for_us_now_is_refused(description: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadTokenError) as refused:
        await oidc(Provider(RSA)).email_of(token(**changes))
    assert "manager@example.com" not in str(refused.value), description


def hmac_with_the_public_key() -> str:
    """Sign by hand: the library itself refuses a public key as a secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
    text = head + b"." + token().split(".")[1].encode()
    mac = hmac.digest(RSA.as_pem(private=False), text, "sha256")
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


FORGED: list[tuple[str, Any]] = [
    ("no signature", lambda: token().rsplit(".", 1)[0] + "."),
    ("a foreign key of the same id", lambda: token(FOREIGN)),
    ("algorithm none", lambda: "eyJhbGciOiJub25lIiwia2lkIjoib25lIn0." + token().split(".")[1] + "."),
    ("the public key as an HMAC secret", hmac_with_the_public_key),
    ("an algorithm that is not allowed", lambda: token(alg="RS512")),
    ("garbage", lambda: "a.b.c"),
    ("very long", lambda: "a." * 2 + "b" * 20_000),
]


@pytest.mark.parametrize(("description", "forge"), FORGED, ids=[row[0] for row in FORGED])
async def test_a_forged_token_is_refused(description: str, forge: Any) -> None:
    with pytest.raises(BadTokenError):
        await oidc(Provider(RSA)).email_of(forge())
    assert description


async def test_the_keys_are_fetched_once_and_again_when_the_issuer_rotates_them() -> None:
    provider, clock = Provider(RSA), Clock()
    checked = oidc(provider, clock)
    for _ in range(5):
        await checked.email_of(token())
    assert provider.asked.count(KEYS) == 1
    provider.keys = [NEW]
    clock.at += 31
    assert await checked.email_of(token(NEW, "ES256", "two")) == "manager@example.com"
    with pytest.raises(BadTokenError):
        await checked.email_of(token())  # rotated away
    assert provider.asked.count(KEYS) == 2


async def test_unknown_keys_do_not_make_us_ask_the_issuer_again_and_again() -> None:
    provider = Provider(RSA)
    checked = oidc(provider)
    for _ in range(20):
        with pytest.raises(BadTokenError):
            await checked.email_of(token(FOREIGN, kid="nobody"))
    assert provider.asked.count(KEYS) == 1


async def test_without_the_issuers_keys_no_token_is_taken_and_with_older_ones_the_work_goes_on() -> None:
    provider, clock = Provider(RSA), Clock()
    checked = oidc(provider, clock)
    provider.up = False
    with pytest.raises(ProviderUnavailableError):
        await checked.email_of(token())
    provider.up, clock.at = True, clock.at + 31
    assert await checked.email_of(token())
    provider.up, clock.at = False, clock.at + 700
    assert await checked.email_of(token())


async def test_another_issuer_at_the_same_address_is_not_believed() -> None:
    provider = Provider(RSA)
    provider.issuer = "https://evil.example.com"
    with pytest.raises(ProviderUnavailableError):
        await oidc(provider).email_of(token())


def test_an_api_key_is_no_jwt() -> None:
    assert not is_jwt("cs_0123456789ab_" + "a.b.c")
    assert is_jwt("a.b.c")
