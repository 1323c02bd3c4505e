"""The one OpenID Connect client: an issuer's description and keys, and the claims of the tokens that it signed.

Bearer tokens of an identity provider, tokens of CI platforms and sign-in with Slack use it. What a person may do is the
policy's to say.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption

from approvals.values import Value

LEEWAY_S = 60
"""The issuer's clock and ours may differ by this much."""

KEYS_AGE_S = 600.0
"""After this the issuer's keys are fetched again."""

REFETCH_PAUSE_S = 30.0
"""Between two fetches, also when tokens name unknown keys."""

ISSUER_TIMEOUT_S = 5.0
LARGEST_TOKEN = 16 * 1024
LARGEST_ANSWER = 512 * 1024
UNAVAILABLE = "The identity provider's keys cannot be had now. Try again in a minute."


class BadTokenError(Exception):
    """The token is invalid. The message is for the caller and repeats nothing of the token."""


class ProviderUnavailableError(Exception):
    """The issuer's keys cannot be fetched, so no token is accepted (law: fail closed)."""


class Provider(Value):
    """An issuer's discovery document, as far as it is used. A sign-in needs the endpoints, a bearer token does not."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    code_challenge_methods_supported: tuple[str, ...] = ()


def is_jwt(token: str) -> bool:
    """Return whether a bearer token has the form of a JWT, and not of an API key."""
    return not token.startswith("cs_") and token.count(".") == 2  # noqa: PLR2004 header, claims, signature


def issuer_of(token: str) -> str:
    """Return whom a token names as its issuer, unproven: it only chooses whose keys are tried. Empty for no token."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


class Oidc:
    """Checks tokens of one issuer for one audience. `clock` gives Unix seconds, `monotonic` the age of the keys."""

    def __init__(  # noqa: PLR0913 what a check depends on
        self,
        http: httpx.AsyncClient,
        *,
        issuer: str,
        audience: str,
        algorithms: tuple[str, ...],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._issuer = issuer
        self._audience = audience
        self._algorithms = algorithms
        self._clock = clock
        self._monotonic = monotonic
        self._known: tuple[Provider, KeySet] | None = None
        self._why = UNAVAILABLE
        self._fetched = float("-inf")
        self._tried = float("-inf")

    async def provider(self) -> Provider:
        """Return the issuer's description. Raises: ProviderUnavailableError."""
        return (await self._current())[0]

    async def email_of(self, token: str) -> str:
        """Return the verified e-mail that the token proves. Raises: BadTokenError, ProviderUnavailableError."""
        return self._email(await self.claims_of(token))

    async def claims_of(self, token: str, nonce: str | None = None) -> dict[str, Any]:
        """Return what a token of this issuer and audience claims; with a nonce, a token that answers that sign-in.

        Raises: BadTokenError, ProviderUnavailableError.
        """
        if len(token) > LARGEST_TOKEN:
            raise BadTokenError("This bearer token is too long to be one.")
        claims = self._claims(token, (await self._current())[1])
        if claims is None and (newer := await self._refreshed()) is not None:
            claims = self._claims(token, newer[1])  # signed by a key that the issuer has rotated in
        if claims is None:
            raise BadTokenError("This bearer token is not signed by the identity provider. Sign in again.")
        self._demand_current(claims, nonce)
        return claims

    def _claims(self, token: str, keys: KeySet) -> dict[str, Any] | None:
        """Return what the token claims, None if no known key has signed it with an allowed algorithm."""
        try:
            claims = jwt.decode(token, keys, algorithms=list(self._algorithms)).claims
        except (JoseError, ValueError, RecursionError):
            return None
        return claims if isinstance(claims, dict) else None

    def _demand_current(self, claims: dict[str, Any], nonce: str | None) -> None:
        """Refuse a token of another issuer, audience, time or sign-in. Raises: BadTokenError."""
        demanded: dict[str, ClaimsOption] = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._audience},
            "exp": {"essential": True},
        }
        if nonce is not None:
            demanded |= {
                "nonce": {"essential": True, "value": nonce},
                "iat": {"essential": True},
                "sub": {"essential": True},
            }
        registry = jwt.JWTClaimsRegistry(now=lambda: int(self._clock()), leeway=LEEWAY_S, **demanded)
        try:
            registry.validate(claims)
        except (JoseError, TypeError, ValueError) as error:
            raise BadTokenError(
                f"This bearer token is not good here ({_word(error)}): it has expired, or it is for another service. "
                "Sign in again."
            ) from error

    def _email(self, claims: dict[str, Any]) -> str:
        email = claims.get("email")
        if not isinstance(email, str) or "@" not in email or claims.get("email_verified") is not True:
            raise BadTokenError("This bearer token names no verified e-mail, so it does not say who you are.")
        return email.strip().lower()

    # ---- the issuer's keys ------------------------------------------------------------------------------------------

    async def _current(self) -> tuple[Provider, KeySet]:
        if self._known is None or self._monotonic() - self._fetched > KEYS_AGE_S:
            await self._refreshed()
        if self._known is None:
            raise ProviderUnavailableError(self._why)
        return self._known

    async def _refreshed(self) -> tuple[Provider, KeySet] | None:
        """Fetch the keys unless that was tried just now. None if there is nothing newer."""
        now = self._monotonic()
        if now - self._tried < REFETCH_PAUSE_S:
            return None
        self._tried = now
        try:
            self._known, self._fetched = await self._fetch(), now
        except ProviderUnavailableError as error:
            self._why = str(error)
            return None
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError):
            self._why = UNAVAILABLE
            return None  # the keys of before stay good for their time; without any the caller is told
        return self._known

    async def _fetch(self) -> tuple[Provider, KeySet]:
        about = await self._json(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        provider = Provider.model_validate({name: about[name] for name in Provider.model_fields if name in about})
        if provider.issuer != self._issuer:
            raise ProviderUnavailableError(
                "The identity provider names another issuer than expected, so it is not used. Tell an operator."
            )
        address = httpx.URL(provider.jwks_uri)
        if address.scheme != httpx.URL(self._issuer).scheme and address.scheme != "https":
            raise ValueError("the keys are offered over a weaker way")
        return provider, KeySet.import_key_set(await self._json(str(address)))

    async def _json(self, url: str) -> Any:
        answer = await self._http.get(url, timeout=ISSUER_TIMEOUT_S, follow_redirects=False)
        answer.raise_for_status()
        if answer.is_redirect or len(answer.content) > LARGEST_ANSWER:
            raise ValueError("not a document of the provider's")
        return answer.json()


def _word(error: Exception) -> str:
    return str(getattr(error, "error", type(error).__name__))[:40]
