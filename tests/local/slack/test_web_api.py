"""The Web API through the real SDK: answers, errors, and the three ways of sending arguments."""

import json
from typing import Any

import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack

CARD = [{"type": "section", "block_id": "s", "text": {"type": "plain_text", "text": "card"}}]


async def error_of(client: AsyncWebClient, method: str, **arguments: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        await client.api_call(method, json=arguments)
    answer = caught.value.response.data
    assert isinstance(answer, dict)
    return answer


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("chat.postMessage", {"channel": "C0APPROVALS"}, "no_text"),
    ("chat.postMessage", {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "C0GENERAL", "text": "x"}, "not_in_channel"),
    ("chat.postMessage", {"channel": "U0GONE", "text": "x"}, "user_disabled"),
    ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": "C0APPROVALS", "text": "x", "blocks": [{"type": "poem"}]}, "invalid_blocks"),
    ("chat.postMessage", {"channel": "C0APPROVALS", "text": "x", "blocks": "{no json"}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": "C0APPROVALS", "text": "x", "metadata": {"a": 1}}, "invalid_metadata_format"),
    ("chat.postMessage", {"channel": "C0APPROVALS", "text": "x", "thread_ts": "1.0"}, "thread_not_found"),
    ("chat.postEphemeral", {"channel": "C0APPROVALS", "user": "U0GONE", "text": "x"}, "user_not_in_channel"),
    ("chat.update", {"channel": "C0APPROVALS", "ts": "1.0", "text": "x"}, "message_not_found"),
    ("chat.delete", {"channel": "C0APPROVALS", "ts": "1.0"}, "message_not_found"),
    ("conversations.open", {"users": "U0NOBODY"}, "user_not_found"),
    ("conversations.info", {"channel": "C0NOWHERE"}, "channel_not_found"),
    ("conversations.replies", {"channel": "C0APPROVALS", "ts": "1.0"}, "thread_not_found"),
    ("conversations.members", {"channel": "C0APPROVALS", "cursor": "nonsense"}, "invalid_cursor"),
    ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
    ("users.lookupByEmail", {"email": "nobody@example.com"}, "users_not_found"),
    ("users.lookupByEmail", {"email": "former@example.com"}, "users_not_found"),
    ("usergroups.users.list", {"usergroup": "S0NOBODY"}, "no_such_subteam"),
    ("views.open", {"trigger_id": "none", "view": {}}, "invalid_arguments"),
    ("apps.connections.open", {}, "not_allowed_token_type"),
    ("team.info", {}, "missing_scope"),
    ("made.up", {}, "unknown_method"),
    ("api.test", {"error": "my_error"}, "my_error"),
]


@pytest.mark.parametrize(("method", "arguments", "error"), ERRORS, ids=[f"{row[0]} {row[2]}" for row in ERRORS])
async def test_each_mistake_gets_slacks_own_word(
    client: AsyncWebClient, method: str, arguments: dict[str, Any], error: str
) -> None:
    answer = await error_of(client, method, **arguments)
    assert answer["error"] == error


async def test_a_missing_scope_says_what_is_needed_and_what_is_there(client: AsyncWebClient) -> None:
    answer = await error_of(client, "team.info")
    assert (answer["needed"], answer["provided"].split(",")[0]) == ("team:read", "chat:write")


async def test_bad_blocks_are_named_by_pointer(client: AsyncWebClient) -> None:
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": ""}}]
    answer = await error_of(client, "chat.postMessage", channel="C0APPROVALS", text="x", blocks=blocks)
    complaint = "[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]"
    assert answer["response_metadata"] == {"messages": [complaint]}


TOKENS = [(None, "not_authed"), ("xoxb-wrong", "invalid_auth")]


@pytest.mark.parametrize(("token", "error"), TOKENS)
async def test_tokens_are_checked(slack: LocalSlack, token: str | None, error: str) -> None:
    answer = await error_of(AsyncWebClient(token=token, base_url=slack.api_url), "auth.test")
    assert answer["error"] == error


async def test_auth_test_names_the_bot_and_its_scopes(client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["bot_id"], answer["team_id"]) == ("U0BOT", "B0BOT", "T0LOCAL")
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


@pytest.mark.parametrize("form", ["json", "form", "query"])
async def test_arguments_come_as_json_form_or_query(slack: LocalSlack, form: str) -> None:
    encoded = {"channel": "C0APPROVALS", "text": "hello", "blocks": json.dumps(CARD)}
    sent: dict[str, dict[str, Any]] = {
        "json": {"method": "POST", "json": encoded | {"blocks": CARD}},
        "form": {"method": "POST", "data": encoded},
        "query": {"method": "GET", "params": encoded},
    }
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {slack.bot_token}"}) as http:
        answer = await http.request(url=f"{slack.api_url}chat.postMessage", **sent[form])
    assert answer.json()["message"]["blocks"] == CARD


async def test_what_is_no_json_is_told_so(slack: LocalSlack) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(headers=headers) as http:
        answers = [
            await http.post(f"{slack.api_url}auth.test", content=content) for content in (b"{", b"[1]", b"[" * 9999)
        ]
    assert [answer.json()["error"] for answer in answers] == ["invalid_json", "json_not_object", "invalid_json"]


async def test_a_message_keeps_what_was_posted_and_gets_ids(slack: LocalSlack, client: AsyncWebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {"id": "42"}}
    blocks = [{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}}]}]
    posted = await client.chat_postMessage(
        channel="#approvals", text="hello", blocks=blocks, metadata=metadata, client_msg_id="abc"
    )
    message = slack.message("approvals", posted["ts"])
    assert (message.text, message.metadata, message.client_msg_id) == ("hello", metadata, "abc")
    assert message.blocks[0]["block_id"]
    assert len(message.action_ids()) == 1


async def test_the_same_client_msg_id_posts_twice(slack: LocalSlack, client: AsyncWebClient) -> None:
    for _ in range(2):
        await client.chat_postMessage(channel="C0APPROVALS", text="hello", client_msg_id="abc")
    assert len(slack.messages("approvals")) == 2


@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
async def test_blocks_without_text_get_a_warning(client: AsyncWebClient) -> None:
    answer = await client.chat_postMessage(channel="C0APPROVALS", blocks=CARD)
    assert answer["response_metadata"]["warnings"] == ["missing_text_in_message"]


async def test_posting_to_a_person_opens_a_direct_message(slack: LocalSlack, client: AsyncWebClient) -> None:
    opened = await client.conversations_open(users="U0MANAGER")
    posted = await client.chat_postMessage(channel="U0MANAGER", text="hello")
    assert posted["channel"] == opened["channel"]["id"]
    assert [message.text for message in slack.dms("U0MANAGER")] == ["hello"]


async def test_an_update_replaces_what_is_given_and_keeps_the_rest(slack: LocalSlack, client: AsyncWebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {}}
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="before", blocks=CARD, metadata=metadata)
    await client.chat_update(channel="C0APPROVALS", ts=posted["ts"], text="after")
    message = slack.message("approvals", posted["ts"])
    assert (message.text, message.blocks, message.metadata) == ("after", CARD, metadata)
    await client.chat_update(channel="C0APPROVALS", ts=posted["ts"], text="after", blocks=[])
    assert slack.message("approvals", posted["ts"]).blocks == []


async def test_an_update_refuses_long_texts_and_other_peoples_messages(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="mine")
    said = await slack.act_as("manager").say("approvals", "theirs")
    long = await error_of(client, "chat.update", channel="C0APPROVALS", ts=posted["ts"], text="x" * 4001)
    foreign = await error_of(client, "chat.update", channel="C0APPROVALS", ts=said.ts, text="x")
    assert (long["error"], foreign["error"]) == ("msg_too_long", "cant_update_message")


async def test_a_deleted_message_is_gone(slack: LocalSlack, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="x")
    await client.chat_delete(channel="C0APPROVALS", ts=posted["ts"])
    assert slack.messages("approvals") == []


async def test_an_ephemeral_message_is_for_one_reader(slack: LocalSlack, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel="C0APPROVALS", user="U0MANAGER", text="psst")
    assert [message.text for message in slack.act_as("manager").messages("C0APPROVALS")] == ["psst"]
    assert slack.act_as("vp").messages("C0APPROVALS") == []


async def test_history_and_replies_show_metadata_only_on_request(slack: LocalSlack, client: AsyncWebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {"id": "42"}}
    parent = await client.chat_postMessage(channel="C0APPROVALS", text="parent", metadata=metadata)
    await client.chat_postMessage(channel="C0APPROVALS", text="reply", thread_ts=parent["ts"])
    bare = await client.conversations_history(channel="C0APPROVALS")
    full = await client.conversations_history(channel="C0APPROVALS", include_all_metadata=True)
    thread = await client.conversations_replies(channel="C0APPROVALS", ts=parent["ts"])
    assert [message.get("metadata") for message in bare["messages"]] == [None]
    assert [message.get("metadata") for message in full["messages"]] == [metadata]
    assert [message["text"] for message in thread["messages"]] == ["parent", "reply"]
    assert full["messages"][0]["reply_count"] == 1


async def test_lists_come_in_pages(client: AsyncWebClient) -> None:
    first = await client.users_list(limit=6)
    rest = await client.users_list(limit=6, cursor=first["response_metadata"]["next_cursor"])
    assert (len(first["members"]), len(rest["members"])) == (6, 4)
    assert rest["response_metadata"]["next_cursor"] == ""


PEOPLE = [
    ("U0MANAGER", {"deleted": False, "is_restricted": False, "team_id": "T0LOCAL", "tz": "America/New_York"}),
    ("U0GUEST", {"is_restricted": True, "is_ultra_restricted": False}),
    ("U0STRANGER", {"is_stranger": True, "team_id": "T0PARTNER"}),
    ("U0GONE", {"deleted": True}),
    ("U0BOT", {"is_bot": True}),
]


@pytest.mark.parametrize(("user", "flags"), PEOPLE, ids=[row[0] for row in PEOPLE])
async def test_users_info_tells_who_somebody_is(client: AsyncWebClient, user: str, flags: dict[str, Any]) -> None:
    answer = (await client.users_info(user=user))["user"]
    assert {name: answer[name] for name in flags} == flags


async def test_the_email_is_shown_only_with_its_scope(slack: LocalSlack, client: AsyncWebClient) -> None:
    assert (await client.users_lookupByEmail(email="VP@example.com"))["user"]["profile"]["email"] == "vp@example.com"
    with LocalSlack(manifest={"oauth_config": {"scopes": {"bot": ["users:read"]}}}) as poor:
        narrow = AsyncWebClient(token=poor.bot_token, base_url=poor.api_url)
        assert "email" not in (await narrow.users_info(user="U0VP"))["user"]["profile"]


async def test_user_groups_follow_changes(slack: LocalSlack, client: AsyncWebClient) -> None:
    groups = (await client.usergroups_list(include_users=True))["usergroups"]
    assert {group["handle"] for group in groups} == {"managers", "vps", "operators", "auditors"}
    await slack.change_group("S0MANAGERS", members=("U0VP",))
    assert (await client.usergroups_users_list(usergroup="S0MANAGERS"))["users"] == ["U0VP"]
    await slack.change_group("S0MANAGERS", disabled=True)
    assert (await error_of(client, "usergroups.users.list", usergroup="S0MANAGERS"))["error"] == "no_such_subteam"


async def test_channels_can_be_looked_at(client: AsyncWebClient) -> None:
    listed = (await client.conversations_list())["channels"]
    info = (await client.conversations_info(channel="C0APPROVALS"))["channel"]
    members = (await client.conversations_members(channel="C0APPROVALS"))["members"]
    assert [channel["name"] for channel in listed] == ["approvals", "general"]
    assert (info["is_member"], info["num_members"]) == (True, len(members))


async def test_a_permalink_opens_the_page(slack: LocalSlack, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="x")
    link = (await client.chat_getPermalink(channel="C0APPROVALS", message_ts=posted["ts"]))["permalink"]
    async with httpx.AsyncClient() as http:
        assert (await http.get(link)).status_code == 200


async def test_the_log_keeps_calls_without_secrets(slack: LocalSlack) -> None:
    async with httpx.AsyncClient() as http:
        await http.post(f"{slack.api_url}auth.test", data={"token": slack.bot_token, "extra": "1"})
        await http.post(f"{slack.api_url}auth.test")
    assert [(call.arguments, call.status, call.error) for call in slack.calls("auth.test")] == [
        ({"extra": "1"}, 200, None),
        ({}, 200, "not_authed"),
    ]
