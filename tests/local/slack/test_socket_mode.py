"""What only Socket Mode has: tickets, duplicate envelopes, disconnects, dropped connections."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack


@pytest.fixture
def lunches(bolt: AsyncApp) -> list[str]:
    texts: list[str] = []

    @bolt.command("/lunch")
    async def on_lunch(ack: Any, command: dict[str, Any]) -> None:
        texts.append(command["text"])
        await ack()

    return texts


async def address_of(slack: LocalSlack) -> str:
    client = AsyncWebClient(token=slack.app_token, base_url=slack.api_url)
    return str((await client.apps_connections_open(app_token=slack.app_token))["url"])


async def test_the_bot_token_opens_no_connection(client: AsyncWebClient, slack: LocalSlack) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.apps_connections_open(app_token=slack.bot_token)
    assert caught.value.response["error"] == "not_allowed_token_type"


async def test_a_ticket_is_good_once(slack: LocalSlack) -> None:
    address = await address_of(slack)
    async with aiohttp.ClientSession() as http, http.ws_connect(address) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(address)


async def test_an_envelope_carries_what_slack_sends_and_takes_a_payload_back(slack: LocalSlack) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(await address_of(slack)) as socket:
        await socket.receive_json()
        await slack.wait_for(lambda: slack.sockets == 1)
        manager = slack.act_as("manager")
        running = asyncio.ensure_future(manager.slash("/lunch", "soup"))
        envelope = await socket.receive_json()
        await socket.send_str("no json")
        await socket.send_json({"envelope_id": "unknown"})
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "ok"}})
        outcome = await running
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert envelope["payload"]["text"] == "soup"
    assert json.loads(outcome.body) == {"text": "ok"}
    assert [message.text for message in manager.ephemerals()] == ["ok"]


async def test_an_envelope_nobody_acknowledges_is_a_timeout() -> None:
    with LocalSlack(deliver_timeout=0.05) as slack:
        async with aiohttp.ClientSession() as http, http.ws_connect(await address_of(slack)) as socket:
            await socket.receive_json()
            await slack.wait_for(lambda: slack.sockets == 1)
            outcome = await slack.act_as("manager").slash("/lunch")
    assert (outcome.status, outcome.error) == (None, "operation_timeout")


async def test_an_envelope_can_come_twice(slack: LocalSlack, bolt: AsyncApp, connect: Any, lunches: list[str]) -> None:
    await connect(bolt, "socket")
    slack.fault(kind="duplicate", method="slash_commands")
    assert (await slack.act_as("manager").slash("/lunch", "soup")).ok
    await slack.wait_for(slack.calls, timeout=5)
    await slack.act_as("manager").slash("/lunch", "bread")
    assert lunches == ["soup", "soup", "bread"]


@pytest.mark.parametrize("how", ["disconnect", "drop"])
async def test_the_app_comes_back_after_losing_its_connection(
    slack: LocalSlack, bolt: AsyncApp, connect: Any, lunches: list[str], how: str
) -> None:
    await connect(bolt, "socket")
    opened = len(slack.calls("apps.connections.open"))
    await (slack.disconnect_socket() if how == "disconnect" else slack.drop_socket())
    await slack.wait_for(lambda: len(slack.calls("apps.connections.open")) > opened and slack.sockets == 1, timeout=30)
    assert (await slack.act_as("manager").slash("/lunch", "soup")).ok
    assert lunches == ["soup"]


async def test_a_socket_can_drop_right_after_an_envelope() -> None:
    with LocalSlack(deliver_timeout=0.05) as slack:
        async with aiohttp.ClientSession() as http, http.ws_connect(await address_of(slack)) as socket:
            await socket.receive_json()
            await slack.wait_for(lambda: slack.sockets == 1)
            slack.fault(kind="drop_socket", method="slash_commands")
            outcome = await slack.act_as("manager").slash("/lunch")
            kinds = [(await socket.receive()).type for _ in range(2)]
            assert slack.sockets == 0
    ended = {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}
    assert (outcome.error, kinds[0], kinds[1] in ended) == ("operation_timeout", aiohttp.WSMsgType.TEXT, True)


async def test_a_warning_leaves_the_connection_open(slack: LocalSlack) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(await address_of(slack)) as socket:
        await socket.receive_json()
        await slack.disconnect_socket("warning")
        frame = await socket.receive_json()
        assert (frame["type"], frame["reason"], slack.sockets) == ("disconnect", "warning", 1)
