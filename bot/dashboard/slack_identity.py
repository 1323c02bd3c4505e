"""Sign in with Slack: OpenID Connect's code flow with state, nonce and, if Slack offers it, PKCE.

The identity is (team, user) of a verified id_token: no name, no e-mail (law: identity comes from signatures alone).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from approvals.people import Person
from bot.access.oidc import BadTokenError, Oidc, Provider, ProviderUnavailableError
from bot.dashboard.cookies import PendingSignIn

ALGORITHMS = ("RS256",)
"""Slack's algorithm. Never taken from the token: with "none" or a symmetric one anyone could sign."""

EXCHANGE_TIMEOUT_S = 10.0


class IdentityError(Exception):
    """Slack did not say who this is, or not in a way that can be believed. The text is for the person who signs in."""


class SlackIdentity:
    """Identifies people by Slack. `api_url` is the Web API's address; its host is the issuer."""

    def __init__(self, http: httpx.AsyncClient, api_url: str, client_id: str, client_secret: str) -> None:
        parts = urlsplit(api_url)
        self._http = http
        self._client_id = client_id.strip()
        self._client_secret = client_secret.strip()
        issuer = f"{parts.scheme}://{parts.netloc}"
        self._oidc = Oidc(http, issuer=issuer, audience=self._client_id, algorithms=ALGORITHMS)

    @property
    def offered(self) -> bool:
        """Whether the Slack app's client id and secret are set."""
        return bool(self._client_id and self._client_secret)

    async def address(self, pending: PendingSignIn, team: str) -> str:
        """Return the address at Slack that the browser goes to. Raises: IdentityError."""
        provider = await self._provider()
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
        provider = await self._provider()
        exchange = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code": code,
            "redirect_uri": pending.redirect_uri,
        }
        if "S256" in provider.code_challenge_methods_supported:
            exchange["code_verifier"] = pending.verifier
        claims = await self._verified(await self._exchanged(provider.token_endpoint, exchange), pending.nonce)
        team, user = claims.get("https://slack.com/team_id"), claims.get("https://slack.com/user_id")
        if not (isinstance(team, str) and isinstance(user, str) and team and user):
            raise IdentityError("Slack's answer does not say who you are. Start the sign-in again.")
        return Person(team=team, user=user)

    async def _provider(self) -> Provider:
        try:
            provider = await self._oidc.provider()
        except ProviderUnavailableError as error:
            raise IdentityError(f"Slack's sign-in cannot be used now. {error}") from error
        if not (provider.authorization_endpoint and provider.token_endpoint):
            raise IdentityError("Slack's sign-in is not described as it should be. Try again later.")
        return provider

    async def _verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        try:
            return await self._oidc.claims_of(token, nonce)
        except (BadTokenError, ProviderUnavailableError) as error:
            raise IdentityError("Slack's answer could not be verified, so nobody is signed in. Start again.") from error

    async def _exchanged(self, address: str, exchange: dict[str, str]) -> str:
        try:
            answer = await self._http.post(address, data=exchange, timeout=EXCHANGE_TIMEOUT_S, follow_redirects=False)
            found = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise IdentityError("Slack does not answer now. Try again in a minute, or use an API key.") from error
        token = found.get("id_token") if isinstance(found, dict) and found.get("ok", True) else None
        if not isinstance(token, str):
            raise IdentityError("Slack did not accept this sign-in: it may be too old or used before. Start it again.")
        return token


def challenge(verifier: str) -> str:
    """Return PKCE's S256 challenge (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)
