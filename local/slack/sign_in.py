"""Sign in with Slack (OpenID Connect, code flow): codes, tokens and the signing key. No HTTP."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from local.slack.errors import SlackError
from local.slack.values import Json
from local.slack.world import World

CODE_SECONDS = 600.0
TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for."""

    user: str
    redirect_uri: str
    nonce: str | None
    challenge: str | None
    expires: float


class SignIn:
    """The workspace as an identity provider."""

    def __init__(self, world: World, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self._client_secret = client_secret
        self._world = world
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[str, str] = {}
        self._key: RSAKey | None = None

    def _signing_key(self) -> RSAKey:
        # Made on first use: most tests never sign in, and a key costs a tenth of a second.
        if self._key is None:
            self._key = RSAKey.generate_key(2048, {"kid": "local", "use": "sig", "alg": "RS256"}, private=True)
        return self._key

    def keys(self) -> Json:
        """Give the public keys as a JWKS."""
        return {"keys": [self._signing_key().as_dict(private=False)]}

    def refuse_request(self, query: Mapping[str, str]) -> None:
        """Raise invalid_client_id, bad_redirect_uri or invalid_scope for an authorization request that is wrong."""
        redirect_uri = query.get("redirect_uri", "")
        if query.get("client_id") != self.client_id:
            raise SlackError("invalid_client_id")
        if "openid" not in re.split(r"[ ,+]", query.get("scope", "")):
            raise SlackError("invalid_scope")
        allowed = self._world.manifest.redirect_urls
        if not redirect_uri or (allowed and not redirect_uri.startswith(allowed)):
            raise SlackError("bad_redirect_uri")

    def agree(self, user: str, query: Mapping[str, str]) -> str:
        """Make a code for a user who agreed, and the address to send the browser to. Raises like refuse_request."""
        self.refuse_request(query)
        code, redirect_uri = secrets.token_urlsafe(16), query["redirect_uri"]
        expires = self._world.now() + CODE_SECONDS
        self._grants[code] = Grant(user, redirect_uri, query.get("nonce"), query.get("code_challenge"), expires)
        answer = {"code": code} | ({"state": query["state"]} if "state" in query else {})
        return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(answer)}"

    def redeem(self, arguments: Json, issuer: str) -> Json:
        """Exchange a code for tokens. Raises bad_client_secret, invalid_code or bad_redirect_uri."""
        known = secrets.compare_digest(str(arguments.get("client_secret", "")), self._client_secret)
        if arguments.get("client_id") != self.client_id:
            raise SlackError("invalid_client_id")
        if not known:
            raise SlackError("bad_client_secret")
        grant = self._grants.pop(str(arguments.get("code", "")), None)
        if grant is None or self._world.now() > grant.expires:
            raise SlackError("invalid_code")
        if grant.redirect_uri != arguments.get("redirect_uri"):
            raise SlackError("bad_redirect_uri")
        if grant.challenge and _challenge(str(arguments.get("code_verifier", ""))) != grant.challenge:
            raise SlackError("invalid_code_verifier")
        token = f"xoxp-local-{secrets.token_hex(12)}"
        self._tokens[token] = grant.user
        claims = self._claims(grant, issuer)
        signed = jwt.encode({"alg": "RS256", "kid": "local"}, claims, self._signing_key())
        return {"access_token": token, "token_type": "Bearer", "id_token": signed}

    def user_of(self, token: str) -> str | None:
        """Tell whose access token this is."""
        return self._tokens.get(token)

    def _claims(self, grant: Grant, issuer: str) -> Json:
        issued = int(self._world.now())
        claims = self.profile(grant.user) | {"iss": issuer, "aud": self.client_id, "iat": issued}
        claims |= {"exp": issued + TOKEN_SECONDS, "auth_time": issued}
        return claims | ({"nonce": grant.nonce} if grant.nonce else {})

    def profile(self, user_id: str) -> dict[str, Any]:
        """Give the claims about a user."""
        user, world = self._world.users[user_id], self._world
        team = world.team_of(user)
        return {
            "sub": user.id,
            "https://slack.com/user_id": user.id,
            "https://slack.com/team_id": team,
            "https://slack.com/team_name": world.team.name if team == world.team.id else team,
            "https://slack.com/team_domain": world.team.domain if team == world.team.id else team.lower(),
            "email": user.email,
            "email_verified": not user.is_invited_user,
            "name": user.real_name,
            "given_name": user.real_name.partition(" ")[0],
            "family_name": user.real_name.partition(" ")[2],
            "locale": user.locale,
        }


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
