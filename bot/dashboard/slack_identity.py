"""Sign in with Slack: OpenID Connect's code flow with state, nonce and, if Slack offers it, PKCE.

The identity is (team, user) of a verified id_token: no name, no e-mail (law: identity comes from signatures alone).
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from approvals.people import Person
from approvals.values import Value
from bot.dashboard.cookies import PendingSignIn

ALGORITHMS = ("RS256",)
"""Slack's algorithm. Never taken from the token: with "none" or a symmetric one anyone could sign."""

LEEWAY_S = 30
KEYS_AGE_S = 3600.0
KEYS_PAUSE_S = 60.0
"""An unknown key id makes us look again, but not more often than this."""

TIMEOUT_S = 10.0


class IdentityError(Exception):
    """Slack did not say who this is, or not in a way that can be believed. The text is a sentence."""


class Provider(Value):
    """Slack's discovery document, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    code_challenge_methods_supported: tuple[str, ...] = ()


class SlackIdentity:
    """Identifies people by Slack. `api_url` is the Web API's address; its host is the issuer."""

    def __init__(self, http: httpx.AsyncClient, api_url: str, client_id: str, client_secret: str) -> None:
        parts = urlsplit(api_url)
        self._issuer = f"{parts.scheme}://{parts.netloc}"
        self._http = http
        self._client_id = client_id.strip()
        self._client_secret = client_secret.strip()
        self._provider: Provider | None = None
        self._keys: KeySet | None = None
        self._keys_at = float("-inf")

    @property
    def offered(self) -> bool:
        """Whether the Slack app's client id and secret are set."""
        return bool(self._client_id and self._client_secret)

    async def address(self, pending: PendingSignIn, team: str) -> str:
        """Return if the browser has to go. Raises: IdentityError."""
        provider = await self._discovered()
        query = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self._client_id,
            "redirect_uri": pending.redirect_uri,
            "state": pending.state,
            "nonce": pending.nonce,
        }
        if team:
            query["team"] = team
        if "S256" in provider.code_challenge_methods_supported:
            query |= {"code_challenge": challenge(pending.verifier), "code_challenge_method": "S256"}
        return f"{provider.authorization_endpoint}?{urlencode(query)}"

    async def person(self, code: str, pending: PendingSignIn) -> Person:
        """Return who signed in, from a verified token. Raises: IdentityError."""
        provider = await self._discovered()
        exchange = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code": code,
            "redirect_uri": pending.redirect_uri,
        }
        if "S256" in provider.code_challenge_methods_supported:
            exchange["code_verifier"] = pending.verifier
        answer = await self._asked("POST", provider.token_endpoint, data=exchange)
        token = answer.get("id_token")
        if not answer.get("ok", True) or not isinstance(token, str):
            raise IdentityError("Slack did not accept this sign-in: it may be too old or used before. Start it again.")
        claims = await self._verified(token, provider, pending.nonce)
        team, user = claims.get("https://slack.com/team_id"), claims.get("https://slack.com/user_id")
        if not (isinstance(team, str) and isinstance(user, str) and team and user):
            raise IdentityError("Slack's answer does not say who you are. Start the sign-in again.")
        return Person(team=team, user=user)

    # ---- the token --------------------------------------------------------------------------------------------------

    async def _verified(self, token: str, provider: Provider, nonce: str) -> Mapping[str, Any]:
        try:
            decoded = await self._decoded(token, provider)
            registry = jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S,
                iss={"essential": True, "value": provider.issuer},
                aud={"essential": True, "value": self._client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise IdentityError("Slack's answer could not be verified, so nobody is signed in. Start again.") from error
        return decoded.claims

    async def _decoded(self, token: str, provider: Provider) -> jwt.Token:
        """Check the signature; a key that is not known yet may be a new one of Slack's."""
        try:
            return jwt.decode(token, await self._key_set(provider, KEYS_AGE_S), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            if time.monotonic() - self._keys_at < KEYS_PAUSE_S:
                raise
            return jwt.decode(token, await self._key_set(provider, KEYS_PAUSE_S), algorithms=list(ALGORITHMS))

    async def _key_set(self, provider: Provider, max_age: float) -> KeySet:
        if self._keys is None or time.monotonic() - self._keys_at > max_age:
            found = await self._asked("GET", provider.jwks_uri)
            self._keys, self._keys_at = KeySet.import_key_set(found), time.monotonic()  # type: ignore[arg-type]  # JSON
        return self._keys

    # ---- asking Slack -----------------------------------------------------------------------------------------------

    async def _discovered(self) -> Provider:
        if self._provider is None:
            found = await self._asked("GET", f"{self._issuer}/.well-known/openid-configuration")
            try:
                provider = Provider.model_validate(
                    {name: found[name] for name in Provider.model_fields if name in found}
                )
            except ValueError as error:
                raise IdentityError("Slack's sign-in is not described as it should be. Try again later.") from error
            if provider.issuer != self._issuer:
                raise IdentityError("Slack's sign-in names another issuer than expected, so it is not used.")
            self._provider = provider
        return self._provider

    async def _asked(self, method: str, address: str, data: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, address, data=data, timeout=TIMEOUT_S, follow_redirects=False)
            found = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise IdentityError("Slack does not answer now. Try again in a minute, or use an API key.") from error
        if not isinstance(found, dict):
            raise IdentityError("Slack's answer is not usable. Try again in a minute, or use an API key.")
        return found


def challenge(verifier: str) -> str:
    """Return PKCE's S256 challenge (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)
