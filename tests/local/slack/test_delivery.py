"""Delivery over HTTP: the signature, the three seconds, what the user is told, and the same bytes twice."""

import asyncio
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from local.slack import LocalSlack, UsageError
from local.slack.workspace import is_local


@pytest.fixture
async def card(slack: LocalSlack, client: Any, kit: Any) -> str:
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="x", blocks=[kit.actions()])
    return str(posted["ts"])


async def test_a_delivery_is_signed_the_v0_way(slack: LocalSlack, answering: Any, card: str) -> None:
    requests = await answering(lambda _request: web.Response())
    await slack.act_as("manager").click("approvals", card, "yes")
    # The card's own message event may come in before the click.
    request = next(each for each in requests if each["text"].startswith("payload="))
    base = f"v0:{request.headers['X-Slack-Request-Timestamp']}:{request['text']}"
    expected = hmac.new(slack.signing_secret.encode(), base.encode(), hashlib.sha256).hexdigest()
    assert request.headers["X-Slack-Signature"] == f"v0={expected}"
    assert list(parse_qs(request["text"])) == ["payload"]


FAILURES = [(404, "dispatch_failed"), (500, "dispatch_failed"), (302, "dispatch_failed"), (200, None), (204, None)]


@pytest.mark.parametrize(("status", "error"), FAILURES)
async def test_anything_but_success_is_an_error_to_the_user(
    slack: LocalSlack, answering: Any, card: str, status: int, error: str | None
) -> None:
    await answering(lambda _request: web.Response(status=status))
    outcome = await slack.act_as("manager").click("approvals", card, "yes")
    assert (outcome.status, outcome.error, len(slack.notices("U0MANAGER"))) == (status, error, 1 if error else 0)


async def test_an_app_that_is_not_there_is_an_error_to_the_user(slack: LocalSlack, card: str) -> None:
    slack.deliver_to = "http://127.0.0.1:9/"
    outcome = await slack.act_as("manager").click("approvals", card, "yes")
    assert (outcome.status, outcome.error) == (None, "dispatch_failed")
    slack.deliver_to = None
    outcome = await slack.act_as("manager").slash("/lunch")
    assert (outcome.error, outcome.body) == (
        "dispatch_failed",
        "no Socket Mode connection is open, and no deliver_to was given",
    )


async def test_a_slow_answer_is_given_up(client: Any, serve: Any) -> None:
    async def never(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    application = web.Application()
    application.router.add_post("/", never)
    with LocalSlack(deliver_timeout=0.05, deliver_to=f"{await serve(application)}/") as impatient:
        outcome = await impatient.act_as("manager").slash("/lunch")
        assert (outcome.status, outcome.error) == (None, "operation_timeout")
        assert impatient.notices("U0MANAGER")[0].error == "operation_timeout"


async def test_the_same_bytes_can_be_sent_again(slack: LocalSlack, answering: Any, card: str) -> None:
    requests = await answering(lambda _request: web.Response())
    await slack.act_as("manager").click("approvals", card, "yes")
    again = await slack.replay(slack.deliveries("interactive")[0])
    assert again.status == 200
    clicks = [request for request in requests if (request["text"]).startswith("payload=")]
    assert len({request["text"] for request in clicks}) == 1
    assert [request.headers["X-Slack-Signature"] for request in clicks] == [clicks[0].headers["X-Slack-Signature"]] * 2


async def test_what_never_was_http_cannot_be_replayed(slack: LocalSlack) -> None:
    await slack.act_as("manager").slash("/lunch")
    with pytest.raises(UsageError, match="only HTTP deliveries"):
        await slack.replay(slack.deliveries()[0])


async def test_each_kind_goes_to_its_address_in_the_manifest(serve: Any, kit: Any) -> None:
    paths: list[str] = []

    async def note(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response()

    application = web.Application()
    application.router.add_post("/{kind}", note)
    address = await serve(application)
    manifest = {
        "features": {
            "app_home": {"home_tab_enabled": True},
            "slash_commands": [{"command": "/lunch", "url": f"{address}/command"}],
        },
        "settings": {
            "event_subscriptions": {"request_url": f"{address}/events", "bot_events": ["app_home_opened"]},
            "interactivity": {"is_enabled": True, "request_url": f"{address}/interactive"},
        },
        "oauth_config": {"scopes": {"bot": ["chat:write"]}},
    }
    with LocalSlack(manifest=manifest) as slack:
        manager = slack.act_as("manager")
        await manager.slash("/lunch")
        await manager.open_home()
        assert paths == ["/command", "/events"]
        assert slack.workspace.world.manifest.interactivity_url == f"{address}/interactive"


async def test_an_invalid_answer_to_a_command_is_shown_as_an_error(slack: LocalSlack, answering: Any) -> None:
    await answering(lambda _request: web.json_response({"blocks": [{"type": "poem"}]}))
    outcome = await slack.act_as("manager").slash("/lunch")
    assert (outcome.status, outcome.error) == (200, "invalid_blocks")
    assert slack.ephemerals("U0MANAGER") == []


ADDRESSES = [
    ("http://127.0.0.1:8000/x", True),
    ("http://localhost/x", True),
    ("http://app.localhost:3000/x", True),
    ("http://[::1]:8000/x", True),
    ("https://app.example.com/x", False),
    (None, False),
]


@pytest.mark.parametrize(("address", "local"), ADDRESSES)
def test_a_manifests_address_counts_only_on_this_machine(address: str | None, local: bool) -> None:  # noqa: FBT001 # a table
    assert is_local(address) is local


async def test_nothing_is_sent_to_a_manifests_address_elsewhere() -> None:
    commands = [{"command": "/lunch", "url": "https://app.example.com/slack/events"}]
    with LocalSlack(manifest={"features": {"slash_commands": commands}}) as slack:
        outcome = await slack.act_as("manager").slash("/lunch")
        assert (outcome.error, slack.deliveries()[0].transport) == ("dispatch_failed", "socket")
