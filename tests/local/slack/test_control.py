"""The control API over HTTP: everything the Python driver can do."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack


@pytest.fixture
async def control(slack: LocalSlack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{slack.workspace.base_url}/control", timeout=5) as http:
        yield http


async def test_one_can_act_and_look(control: httpx.AsyncClient, slack: LocalSlack, answering: Any) -> None:
    await answering(lambda _request: web.json_response({"text": "soup"}))
    said = await control.post("/act", json={"user": "U0VP", "do": "say", "channel": "C0GENERAL", "text": "hi"})
    command = {"user": "U0MANAGER", "do": "slash", "command": "/lunch", "text": "", "channel": "C0GENERAL"}
    outcome = (await control.post("/act", json=command)).json()
    state = (await control.get("/state", params={"user": "U0MANAGER"})).json()
    assert (said.json()["text"], outcome["ok"], outcome["status"]) == ("hi", True, 200)
    assert [(m["text"], m["only_you"]) for m in state["messages"]["C0GENERAL"]] == [("hi", False), ("soup", True)]
    assert (state["me"], len(state["commands"])) == ("U0MANAGER", 2)


async def test_a_guest_sees_only_their_channels(control: httpx.AsyncClient) -> None:
    state = (await control.get("/state", params={"user": "U0GUEST"})).json()
    assert [channel["name"] for channel in state["channels"]] == ["approvals"]


async def test_a_deactivated_user_and_the_bot_are_listed_right(control: httpx.AsyncClient) -> None:
    people = {user["id"]: user for user in (await control.get("/people")).json()}
    assert ("U0BOT" in people, people["U0GONE"]["deleted"]) == (False, True)


async def test_people_groups_and_channels_can_change(control: httpx.AsyncClient, slack: LocalSlack) -> None:
    await control.patch("/users/U0MANAGER", json={"deleted": True})
    await control.patch("/groups/S0NEW", json={"handle": "new", "members": ["U0VP"]})
    await control.patch("/channels/C0NEW", json={"name": "new", "members": ["U0VP"]})
    world = slack.workspace.world
    assert (world.users["U0MANAGER"].deleted, world.groups["S0NEW"].members) == (True, ("U0VP",))
    assert world.channel("#new").id == "C0NEW"
    assert (await control.patch("/users/U0VP", json={"shoe_size": 42})).status_code == 422
    assert (await control.patch("/pets/P0", json={})).json() == {"error": "only users, groups, channels can be changed"}


async def test_faults_can_be_armed_listed_and_ended(control: httpx.AsyncClient, client: AsyncWebClient) -> None:
    armed = await control.post("/faults", json={"method": "auth.test", "kind": "error", "count": 3})
    assert armed.status_code == 201
    with pytest.raises(SlackApiError, match="fatal_error"):
        await client.auth_test()
    assert [(fault["struck"], fault["left"]) for fault in (await control.get("/faults")).json()] == [(1, 2)]
    assert (await control.delete("/faults")).status_code == 204
    assert (await control.get("/faults")).json() == []
    assert (await control.post("/faults", json={"kind": "earthquake"})).status_code == 422


async def test_the_logs_can_be_read_and_hold_no_signature(
    control: httpx.AsyncClient, slack: LocalSlack, client: AsyncWebClient, answering: Any
) -> None:
    await answering(lambda _request: web.Response())
    await client.auth_test()
    await slack.act_as("manager").slash("/lunch")
    calls = (await control.get("/calls", params={"method": "auth.test"})).json()
    deliveries = await control.get("/deliveries")
    assert [(call["method"], call["status"]) for call in calls] == [("auth.test", 200)]
    assert [delivery["kind"] for delivery in deliveries.json()] == ["slash_commands"]
    assert "v0=" not in deliveries.text


async def test_time_sockets_and_addresses_can_be_set(control: httpx.AsyncClient, slack: LocalSlack) -> None:
    assert (await control.post("/advance", json={"seconds": 5})).json() == {"ahead": 5}
    assert (await control.post("/socket", json={"do": "drop"})).json() == {"connected": 0}
    assert (await control.post("/socket", json={"do": "disconnect"})).json() == {"connected": 0}
    await control.put("/deliver_to", json={"url": "http://127.0.0.1:9/"})
    assert slack.workspace.http.deliver_to == "http://127.0.0.1:9/"


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"user": "U0VP", "do": "dance"}, "'do' must be one of: click, slash, say, submit, close, use, open_home"),
    ({"user": "U0NOBODY", "do": "open_home"}, "there is no user U0NOBODY"),
    ({"user": "U0VP", "do": "say"}, "wrong arguments for say"),
    ({"user": "U0VP", "do": "submit", "view_id": None, "values": {}}, "U0VP has no open view"),
    ({"user": "U0GUEST", "do": "say", "channel": "C0GENERAL", "text": "x"}, "U0GUEST is not a member of C0GENERAL"),
]


@pytest.mark.parametrize(("body", "sentence"), MISTAKES, ids=[row[0]["do"] + row[0]["user"] for row in MISTAKES])
async def test_mistakes_get_a_sentence(control: httpx.AsyncClient, body: dict[str, Any], sentence: str) -> None:
    answer = await control.post("/act", json=body)
    assert (answer.status_code, answer.json()["error"][: len(sentence)]) == (422, sentence)


async def test_a_form_of_a_foreign_page_is_refused(control: httpx.AsyncClient) -> None:
    answer = await control.post("/advance", content=b'{"seconds": 5}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


async def test_changes_are_streamed(control: httpx.AsyncClient, slack: LocalSlack) -> None:
    async with control.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": connected"
        await slack.act_as("vp").say("general", "hi")
        event = await anext(line async for line in lines if line.startswith("data: "))
    assert json.loads(event.removeprefix("data: "))["kind"] == "message"
