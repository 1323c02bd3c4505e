"""Sign in with Slack: the code flow, as a web application goes through it."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack, SlackError

CLIENT = {"client_id": "local-client-id", "client_secret": "local-client-secret"}
REDIRECT = "http://127.0.0.1/back"


def authorize_url(slack: LocalSlack, **changes: str) -> str:
    query = {
        "client_id": CLIENT["client_id"],
        "redirect_uri": REDIRECT,
        "scope": "openid profile email",
        "response_type": "code",
        "state": "s",
        "nonce": "n",
    }
    return f"{slack.workspace.base_url}/openid/connect/authorize?{urlencode(query | changes)}"


async def code_from(slack: LocalSlack, user: str, **changes: str) -> str:
    back = await slack.act_as(user).sign_in(authorize_url(slack, **changes))
    query = parse_qs(urlsplit(back).query)
    assert query["state"] == ["s"]
    return query["code"][0]


async def test_a_code_becomes_a_signed_identity(slack: LocalSlack) -> None:
    client = AsyncWebClient(base_url=slack.api_url)
    code = await code_from(slack, "manager")
    answer = await client.openid_connect_token(**CLIENT, code=code, redirect_uri=REDIRECT)
    async with httpx.AsyncClient() as http:
        found = (await http.get(f"{slack.workspace.base_url}/.well-known/openid-configuration")).json()
        keys = KeySet.import_key_set((await http.get(found["jwks_uri"])).json())
    claims = jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == found["issuer"]
    assert (claims["aud"], claims["nonce"], claims["sub"]) == (CLIENT["client_id"], "n", "U0MANAGER")
    assert claims["https://slack.com/team_id"] == "T0LOCAL"
    me = AsyncWebClient(token=answer["access_token"], base_url=slack.api_url)
    assert (await me.openid_connect_userInfo())["email"] == "manager@example.com"


async def test_a_code_is_good_once(slack: LocalSlack) -> None:
    client, code = AsyncWebClient(base_url=slack.api_url), await code_from(slack, "manager")
    await client.openid_connect_token(**CLIENT, code=code, redirect_uri=REDIRECT)
    with pytest.raises(SlackApiError, match="invalid_code"):
        await client.openid_connect_token(**CLIENT, code=code, redirect_uri=REDIRECT)


WRONG = [
    ({"client_secret": "wrong"}, "bad_client_secret"),
    ({"client_id": "wrong"}, "invalid_client_id"),
    ({"redirect_uri": "http://127.0.0.1/else"}, "bad_redirect_uri"),
]


@pytest.mark.parametrize(("change", "error"), WRONG, ids=[row[1] for row in WRONG])
async def test_a_wrong_exchange_is_refused(slack: LocalSlack, change: dict[str, str], error: str) -> None:
    code = await code_from(slack, "manager")
    arguments: dict[str, Any] = {**CLIENT, "code": code, "redirect_uri": REDIRECT, **change}
    with pytest.raises(SlackApiError, match=error):
        await AsyncWebClient(base_url=slack.api_url).openid_connect_token(**arguments)


REFUSED = [
    ({"client_id": "wrong"}, "invalid_client_id"),
    ({"redirect_uri": "http://elsewhere.example/"}, "bad_redirect_uri"),
    ({"scope": "profile"}, "invalid_scope"),
]


@pytest.mark.parametrize(("change", "error"), REFUSED, ids=[row[1] for row in REFUSED])
async def test_a_wrong_request_is_refused_before_anybody_is_asked(
    slack: LocalSlack, change: dict[str, str], error: str
) -> None:
    with pytest.raises(SlackError, match=error):
        await slack.act_as("manager").sign_in(authorize_url(slack, **change))
    async with httpx.AsyncClient() as http:
        assert (await http.get(authorize_url(slack, **change))).status_code == 400


async def test_a_challenge_needs_its_verifier(slack: LocalSlack) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
    client = AsyncWebClient(base_url=slack.api_url)
    for verifier, expected in (("wrong", "invalid_code_verifier"), ("verifier", None)):
        code = await code_from(slack, "manager", code_challenge=challenge, code_challenge_method="S256")
        exchange = {**CLIENT, "code": code, "redirect_uri": REDIRECT, "code_verifier": verifier}
        answer = await httpx.AsyncClient().post(f"{slack.api_url}openid.connect.token", data=exchange)
        assert answer.json().get("error") == expected
    assert client.token is None


async def test_the_page_lets_one_choose_and_sends_one_back(slack: LocalSlack) -> None:
    async with httpx.AsyncClient() as http:
        page = await http.get(authorize_url(slack))
        back = await http.post(authorize_url(slack), data={"user": "U0VP"})
        nobody = await http.post(authorize_url(slack), data={"user": "U0GONE"})
    assert "vp@example.com" in page.text
    assert "former@example.com" not in page.text
    assert back.headers["location"].startswith(f"{REDIRECT}?code=")
    assert (back.status_code, nobody.status_code) == (302, 400)


async def test_a_bot_token_is_nobodys_identity(client: AsyncWebClient) -> None:
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        await client.openid_connect_userInfo()
