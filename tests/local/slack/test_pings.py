"""Who a message notifies."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack
from local.slack.pings import of_message

HANDLES = {"manager": "U0MANAGER", "vps": "S0VPS"}
TEXTS = [
    ("a person", "hello <@U0MANAGER>", "none", ("U0MANAGER",)),
    ("a person with a label", "hello <@U0MANAGER|boss>", "none", ("U0MANAGER",)),
    ("a group", "<!subteam^S0VPS|@vps> look", "none", ("S0VPS",)),
    ("everyone", "<!channel> <!here> <!everyone>", "none", ("channel", "here", "everyone")),
    ("escaped text pings nobody", "&lt;!channel&gt; &lt;@U0MANAGER&gt;", "none", ()),
    ("bare words ping nobody by default", "@channel @manager", "none", ()),
    ("bare words ping when parsed", "@channel", "client", ("channel",)),
    ("names ping when parsed fully", "@manager and @vps", "full", ("U0MANAGER", "S0VPS")),
    ("an e-mail address is no mention", "here@channel.example", "full", ()),
]


@pytest.mark.parametrize(("what", "text", "parse", "expected"), TEXTS, ids=[row[0] for row in TEXTS])
def test_text_pings(what: str, text: str, parse: str, expected: tuple[str, ...]) -> None:
    assert of_message(text, [], parse, HANDLES) == expected, what


def section(kind: str, text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "section", "text": {"type": kind, "text": text, **more}}]


def rich(**leaf: Any) -> list[dict[str, Any]]:
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [leaf]}]}]


BLOCKS = [
    ("mrkdwn", section("mrkdwn", "<!channel>"), ("channel",)),
    ("bare words in mrkdwn", section("mrkdwn", "@here"), ("here",)),
    ("bare words in verbatim mrkdwn", section("mrkdwn", "@here", verbatim=True), ()),
    ("control sequences in verbatim mrkdwn", section("mrkdwn", "<!here>", verbatim=True), ("here",)),
    ("plain text", section("plain_text", "<!channel> <@U0MANAGER>"), ()),
    ("a text leaf of rich text", rich(type="text", text="<!channel>"), ()),
    ("a user leaf of rich text", rich(type="user", user_id="U0MANAGER"), ("U0MANAGER",)),
    ("a broadcast leaf of rich text", rich(type="broadcast", range="here"), ("here",)),
    ("a group leaf of rich text", rich(type="usergroup", usergroup_id="S0VPS"), ("S0VPS",)),
]


@pytest.mark.parametrize(("what", "blocks", "expected"), BLOCKS, ids=[row[0] for row in BLOCKS])
def test_blocks_ping(what: str, blocks: Any, expected: tuple[str, ...]) -> None:
    assert of_message("fallback", blocks, "none", HANDLES) == expected, what


async def test_a_posted_message_remembers_whom_it_pinged(slack: LocalSlack, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="C0APPROVALS", text="hello <@U0VP>")
    await client.chat_postMessage(channel="C0APPROVALS", text="hello &lt;@U0VP&gt;")
    assert [message.pings for message in slack.messages("approvals")] == [("U0VP",), ()]


async def test_an_update_parses_bare_words_unless_told_not_to(slack: LocalSlack, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="quiet")
    await client.chat_update(channel="C0APPROVALS", ts=posted["ts"], text="@channel")
    assert slack.messages("approvals")[0].pings == ("channel",)
    await client.chat_update(channel="C0APPROVALS", ts=posted["ts"], text="@channel", parse="none")
    assert slack.messages("approvals")[0].pings == ()
