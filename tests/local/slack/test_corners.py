"""Rules that the journeys do not pass by: elements, homes, ephemeral messages, wrong answers."""

from typing import Any

import httpx
import pytest
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack, UsageError
from local.slack.block_checks import check_blocks
from local.slack.view_state import complaints, fill, initial_state


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def option(value: str) -> dict[str, Any]:
    return {"text": plain(value), "value": value}


def field(block_id: str, element: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "input", "block_id": block_id, "label": plain("l"), "element": element, **more}


ELEMENTS: list[tuple[dict[str, Any], Any, dict[str, Any]]] = [
    ({"type": "plain_text_input"}, "x", {"value": "x"}),
    ({"type": "number_input", "is_decimal_allowed": False}, "7", {"value": "7"}),
    ({"type": "users_select"}, "U1", {"selected_user": "U1"}),
    ({"type": "multi_users_select"}, ["U1"], {"selected_users": ["U1"]}),
    ({"type": "conversations_select"}, "C1", {"selected_conversation": "C1"}),
    ({"type": "channels_select"}, "C1", {"selected_channel": "C1"}),
    ({"type": "timepicker"}, "12:30", {"selected_time": "12:30"}),
    ({"type": "radio_buttons", "options": [option("a")]}, "a", {"selected_option": option("a")}),
    ({"type": "checkboxes", "options": [option("a"), option("b")]}, ["b"], {"selected_options": [option("b")]}),
    (
        {"type": "static_select", "option_groups": [{"label": plain("g"), "options": [option("a")]}]},
        "a",
        {"selected_option": option("a")},
    ),
]


@pytest.mark.parametrize(("element", "value", "expected"), ELEMENTS, ids=[row[0]["type"] for row in ELEMENTS])
def test_a_value_is_kept_in_the_elements_own_field(
    element: dict[str, Any], value: Any, expected: dict[str, Any]
) -> None:
    blocks = [field("b", {**element, "action_id": "a"})]
    assert check_blocks(blocks, surface="modal") == []
    state = initial_state(blocks)
    assert complaints(blocks, state) == {"b": "Please complete this required field."}
    fill(blocks, state, {"b": {"a": value}})
    assert state["b"]["a"] == {"type": element["type"], **expected}
    assert complaints(blocks, state) == {}


LENGTHS = [
    ("ab", "Please enter at least 3 characters."),
    ("abcdef", "Please enter at most 5 characters."),
    ("abcd", None),
]


@pytest.mark.parametrize(("text", "sentence"), LENGTHS, ids=[row[0] for row in LENGTHS])
def test_a_texts_length_is_checked_before_it_is_sent(text: str, sentence: str | None) -> None:
    blocks = [field("b", {"type": "plain_text_input", "action_id": "a", "min_length": 3, "max_length": 5})]
    state = initial_state(blocks)
    fill(blocks, state, {"a": text})
    assert complaints(blocks, state).get("b") == sentence


def test_an_optional_input_may_stay_empty() -> None:
    blocks = [field("b", {"type": "plain_text_input", "action_id": "a"}, optional=True)]
    assert complaints(blocks, initial_state(blocks)) == {}


def test_unknown_names_and_options_are_usage_errors() -> None:
    blocks = [field("b", {"type": "static_select", "action_id": "a", "options": [option("x")]})]
    with pytest.raises(UsageError, match="the view has no z; its elements are: a"):
        fill(blocks, {}, {"z": "x"})
    with pytest.raises(UsageError, match="a has no option 'y'; it offers: x"):
        fill(blocks, {}, {"a": "y"})


SHAPES: list[tuple[str, dict[str, Any], str]] = [
    ("element no object", {"type": "actions", "elements": ["x"]}, "must provide an object"),
    (
        "confirm no object",
        {"type": "actions", "elements": [{"type": "button", "text": plain("x"), "confirm": 1}]},
        "must",
    ),
    ("option no object", {"type": "actions", "elements": [{"type": "overflow", "options": [1]}]}, "must provide"),
    ("text no object", {"type": "header", "text": "x"}, "must provide an object"),
    ("text no string", {"type": "header", "text": {"type": "plain_text", "text": 1}}, "must be a string"),
    ("image without address", {"type": "image", "alt_text": "a"}, "missing required field: image_url"),
    ("context without list", {"type": "context", "elements": 1}, "must provide an array"),
    ("rich text of poems", {"type": "rich_text", "elements": [{"type": "poem"}]}, "unsupported rich text element"),
    ("empty markdown", {"type": "markdown", "text": ""}, "must be more than 0 characters"),
    ("long minimum", field("b", {"type": "plain_text_input", "min_length": 3001}), "must be between 0 and 3000"),
    (
        "value no string",
        {"type": "actions", "elements": [{"type": "button", "text": plain("x"), "value": 1}]},
        "must be a",
    ),
]


@pytest.mark.parametrize(("what", "block", "words"), SHAPES, ids=[row[0] for row in SHAPES])
def test_every_shape_gets_a_complaint_and_no_crash(what: str, block: dict[str, Any], words: str) -> None:
    assert words in check_blocks([block])[0], what


async def test_a_button_on_the_home_reaches_the_app(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any
) -> None:
    seen: list[str] = []

    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any]) -> None:
        seen.append(body["view"]["type"])
        await ack()

    await connect(bolt, "http")
    await client.views_publish(user_id="U0MANAGER", view={"type": "home", "blocks": [kit.actions()]})
    manager = slack.act_as("manager")
    assert manager.home
    assert (await manager.use(manager.home, "yes")).ok
    assert seen == ["home"]


async def test_an_ephemeral_card_can_replace_itself(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any
) -> None:
    @bolt.action("yes")
    async def on_yes(ack: Any, respond: Any) -> None:
        await ack()
        await respond("done", replace_original=True)

    await connect(bolt, "http")
    await client.chat_postEphemeral(channel="C0APPROVALS", user="U0MANAGER", text="sure?", blocks=[kit.actions()])
    manager = slack.act_as("manager")
    await manager.click("approvals", manager.ephemerals()[0].ts, "yes")
    assert [(message.text, message.blocks) for message in manager.ephemerals()] == [("done", [])]
    with pytest.raises(UsageError, match="sees no message"):
        await slack.act_as("vp").click("approvals", manager.ephemerals()[0].ts, "yes")


async def test_a_response_url_refuses_a_bad_message(slack: LocalSlack, answering: Any) -> None:
    await answering(lambda _request: web.Response())
    outcome = await slack.act_as("manager").slash("/lunch")
    assert outcome.payload
    async with httpx.AsyncClient() as http:
        empty = await http.post(outcome.payload["response_url"], json={})
    assert (empty.status_code, empty.json()["error"]) == (400, "no_text")


async def test_errors_for_fields_that_are_not_there_are_trouble(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any
) -> None:
    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=kit.modal(clear_on_close=True))
        await ack()

    @bolt.view("form")
    async def on_form(ack: Any) -> None:
        await ack(response_action="errors", errors={"elsewhere": "Wrong."})

    await connect(bolt, "http")
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="x", blocks=[kit.actions()])
    manager = slack.act_as("manager")
    await manager.click("approvals", posted["ts"], "yes")
    outcome = await manager.submit(values={"reason": "x"})
    assert (outcome.error, outcome.ok, manager.modal.errors) == ("invalid_errors", False, {})
    await manager.close(everything=True)
    with pytest.raises(UsageError, match="has no modal open"):
        _ = manager.modal


PLACES: list[tuple[dict[str, Any], str]] = [
    ({"is_private": True, "members": ["U0VP"]}, "channel_not_found"),
    ({"is_archived": True, "members": ["U0BOT"]}, "is_archived"),
]


@pytest.mark.parametrize(("fields", "error"), PLACES, ids=[row[1] for row in PLACES])
async def test_places_the_bot_cannot_write_to(
    slack: LocalSlack, client: AsyncWebClient, fields: dict[str, Any], error: str
) -> None:
    await slack.change_channel("C0NEW", name="new", **fields)
    with pytest.raises(SlackApiError, match=error):
        await client.chat_postMessage(channel="#new", text="x")


async def test_chat_write_public_writes_where_the_bot_is_no_member() -> None:
    with LocalSlack(manifest={"oauth_config": {"scopes": {"bot": ["chat:write", "chat:write.public"]}}}) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await client.chat_postMessage(channel="C0GENERAL", text="x")
        with pytest.raises(SlackApiError, match="missing_scope") as caught:
            await client.conversations_info(channel="C0GENERAL")
        assert caught.value.response["needed"] == "channels:read"
