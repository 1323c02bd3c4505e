"""Starting, waiting, seeds, manifests, the command line."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from slack_sdk import WebClient

from local.slack import AppManifest, Channel, LocalSlack, Seed, UsageError, User, default_seed, load_seed


def test_one_line_is_enough_and_sync_code_can_use_it() -> None:
    with LocalSlack() as slack:
        WebClient(token=slack.bot_token, base_url=slack.api_url).chat_postMessage(channel="#approvals", text="hello")
        slack.run(slack.act_as("vp").say("approvals", "hi"))
        assert [message.text for message in slack.messages("approvals")] == ["hello", "hi"]


async def test_it_can_be_started_inside_a_running_loop() -> None:
    async with LocalSlack() as slack:
        assert slack.page_url.startswith("http://127.0.0.1:")


def test_a_workspace_that_does_not_run_says_so() -> None:
    slack = LocalSlack()
    slack.stop()
    with pytest.raises(UsageError, match="not running"):
        _ = slack.page_url


async def test_the_port_is_free_again_after_a_stop() -> None:
    slack = LocalSlack().start()
    port = httpx.URL(slack.page_url).port
    slack.stop()
    assert port
    with LocalSlack(port=port) as again:
        assert httpx.URL(again.page_url).port == port


async def test_waiting_ends_with_the_change_or_with_a_timeout(slack: LocalSlack) -> None:
    waiting = asyncio.ensure_future(slack.wait_for(lambda: slack.messages("general")))
    await asyncio.sleep(0)
    await slack.act_as("vp").say("general", "hi")
    assert [message.text for message in await waiting] == ["hi"]
    with pytest.raises(TimeoutError):
        await slack.wait_for(lambda: slack.messages("approvals"), timeout=0.01)


def test_what_is_seen_is_a_copy(slack: LocalSlack) -> None:
    slack.run(slack.act_as("vp").say("general", "hi"))
    seen = slack.messages("general")[0]
    seen.text = "changed"
    assert slack.messages("general")[0].text == "hi"


def test_the_default_seed_has_everybody() -> None:
    seed = default_seed()
    assert {channel.name for channel in seed.channels} == {"approvals", "general"}
    assert {group.handle for group in seed.groups} == {"managers", "vps", "operators", "auditors"}
    assert all(user.email is None or user.email.endswith("@example.com") for user in seed.users)


def test_a_seed_can_be_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "seed.yml"
    path.write_text(
        "users:\n- {id: U0BOT, name: bot, real_name: Bot, is_bot: true}\n"
        "- {id: U1, name: one, real_name: One, email: one@example.com}\n"
        "channels:\n- {id: C1, name: here, members: [U1, U0BOT]}\n"
    )
    with LocalSlack(seed=load_seed(path)) as slack:
        assert slack.act_as("one@example.com").user == "U1"


WRONG_SEEDS = [
    (
        {"users": [], "channels": []},
        "the bot U0BOT is not among the users",
    ),
    (
        {"users": [User(id="U0BOT", name="b", real_name="B")], "channels": [Channel(id="C1", members=("U9",))]},
        "C1 has members that are no users: U9",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG_SEEDS, ids=["no bot", "unknown member"])
def test_a_wrong_seed_says_what_is_wrong(fields: dict[str, list[User]], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Seed.model_validate(fields)


def test_a_manifest_gives_what_is_enforced() -> None:
    manifest = AppManifest.parse(
        {
            "display_information": {"name": "App"},
            "features": {"slash_commands": [{"command": "/a", "description": "d", "url": "http://127.0.0.1/"}]},
            "oauth_config": {"scopes": {"bot": ["chat:write"]}},
            "settings": {"socket_mode_enabled": True, "event_subscriptions": {"bot_events": ["app_mention"]}},
        }
    )
    assert (manifest.bot_scopes, manifest.bot_events) == (("chat:write",), ("app_mention",))
    assert (manifest.command("/b"), manifest.socket_mode_enabled, manifest.home_tab_enabled) == (None, True, False)


def test_the_command_line_prints_the_page_and_no_secret() -> None:
    command = [
        sys.executable,
        "-m",
        "local.slack",
        "--port",
        "0",
        "--manifest",
        str(Path(__file__).parent / "manifest.yml"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"SLACK_BOT_TOKEN": "xoxb-mine"}) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(2)]
        page = lines[0].split()[-1]
        headers = {"Authorization": "Bearer xoxb-mine"}
        answer = httpx.post(f"{page}api/auth.test", headers=headers).json()
        process.terminate()
    assert (answer["ok"], lines[1]) == (True, f"SLACK_API_URL={page}api/\n")
    assert "xoxb-mine" not in "".join(lines)
