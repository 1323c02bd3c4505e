"""The program as a stranger has it: `countersign run` with a .env file, and nothing of its code but the command.

Requests are signed here from Slack's documentation, with bodies as Slack writes them.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.end_to_end.system import REAL_SIDECAR, ROOT, SidecarProcess, eventually

SECRET = "8f742231b10e8888abcd99e4c1a2b3c4"
BOT_TOKEN = "xoxb-2345678901-abcdefghij"
HERE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@contextmanager
def program(*command: str, folder: Path, ready: str, **environment: str) -> Iterator[str]:
    """Run a program until the block ends. The value is what it says when it is ready, by the pattern's group."""
    with (folder / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=HERE | environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if (found := re.search(ready, line)) is not None:
                yield found[1]
                break
        else:
            raise AssertionError(f"{command} ended: {(folder / f'{command[0]}.log').read_text()[-2000:]}")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@dataclass
class World:
    """The app and Slack by their addresses alone."""

    app: httpx.Client
    slack: httpx.Client
    folder: Path
    run: str

    def cli(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a countersign command where the .env file is."""
        return subprocess.run(
            [sys.executable, "-m", "bot.cli", *words],
            cwd=self.folder,
            env=HERE | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def key(self, person: str, role: str) -> dict[str, str]:
        """Make an API key by the command line, and return its header."""
        made = self.cli("keys", "create", role, "--person", person, "--role", role, "--expires", "1d")
        (token,) = re.findall(r"\bcs_\S+", made.stdout)
        return {"Authorization": f"Bearer {token}"}

    def send(self, body: bytes, kind: str = "application/x-www-form-urlencoded", **headers: str) -> httpx.Response:
        """Send what Slack sends: signed as its documentation on verifying requests says."""
        stamp = str(int(time.time()))
        base = b"v0:" + stamp.encode() + b":" + body
        signature = "v0=" + hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
        sent = {"content-type": kind, "x-slack-request-timestamp": stamp, "x-slack-signature": signature, **headers}
        return self.app.post("/slack/events", content=body, headers=sent)

    def interaction(self, payload: dict[str, Any]) -> httpx.Response:
        """Send an interaction as the form that Slack sends."""
        return self.send(urlencode({"payload": json.dumps(payload)}).encode())

    def card(self, order: str) -> dict[str, Any]:
        """Wait for the order's card and return it as Slack has it."""

        def found() -> dict[str, Any]:
            state = self.slack.get("/control/state", params={"user": "U0MANAGER"}).json()
            messages = [each for channel in state["messages"].values() for each in channel]
            return next((each for each in messages if order in each["text"] and not each.get("thread_ts")), {})

        return eventually(found)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stranger")
    with ExitStack() as stack:
        sidecar = REAL_SIDECAR or stack.enter_context(SidecarProcess(folder / "sidecar.db")).address
        secret = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_SIGNING_SECRET": SECRET}
        slack = program(
            "local.slack", "--port", "0", "--manifest", str(ROOT / "manifest.yml"),
            folder=folder, ready=r"SLACK_API_URL=(\S+)", **secret,
        )  # fmt: skip
        api = stack.enter_context(slack)
        settings = {
            **secret,
            "SLACK_API_URL": api,
            "DAPR_GRPC_ENDPOINT": sidecar,
            "COUNTERSIGN_SECRET_KEY": secrets.token_urlsafe(48),
            "COUNTERSIGN_POLICY": str(ROOT / "policy.yml"),
        }
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        url = stack.enter_context(program("bot.cli", "run", "--port", "0", folder=folder, ready=r"ready at (http\S+)"))
        app = stack.enter_context(httpx.Client(base_url=url, timeout=20))
        workspace = stack.enter_context(httpx.Client(base_url=api.removesuffix("/api/"), timeout=20))
        workspace.put("/control/deliver_to", json={"url": f"{url}/slack/events"}).raise_for_status()
        eventually(lambda: app.get("/readyz").status_code == 200)
        yield World(app, workspace, folder, secrets.token_hex(3))


@pytest.fixture(scope="module")
def requester(world: World) -> dict[str, str]:
    return world.key("requester@example.com", "requester")


def click(card: dict[str, Any], who: str, action: str = "approval_approve", **changes: Any) -> dict[str, Any]:
    """Return block_actions as Slack's reference shows it, with everything that it sends beside what is needed."""
    block = next(each for each in card["blocks"] if each["type"] == "actions")
    button = next(each for each in block["elements"] if each["action_id"] == action)
    return {
        "type": "block_actions",
        "user": {"id": who, "username": "somebody", "name": "somebody", "team_id": "T0LOCAL"},
        "api_app_id": "A0LOCAL",
        "token": "Shh_its_a_seekrit",
        "container": {
            "type": "message",
            "message_ts": card["ts"],
            "channel_id": "C0APPROVALS",
            "is_ephemeral": False,
        },
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "team": {"id": "T0LOCAL", "domain": "local"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": "C0APPROVALS", "name": "approvals"},
        "message": card,
        "state": {"values": {}},
        "response_url": "https://hooks.slack.example/actions/T0LOCAL/1/x",
        "actions": [
            {
                "action_id": action,
                "block_id": block["block_id"],
                "text": button["text"],
                "value": button["value"],
                "style": "primary",
                "type": "button",
                "action_ts": f"{time.time():.6f}",
            }
        ],
    } | changes


CLICKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "team null, as from an organization": {"team": None, "enterprise": None},
    "user without a name": {"user": {"id": "U0MANAGER", "team_id": "T0LOCAL"}},
    "user without a team of their own": {"user": {"id": "U0MANAGER", "username": "manager", "name": "manager"}},
    "only the container says where": {"channel": None, "message": None},
    "with fields of tomorrow": {"is_new": {"deep": [1]}, "function_data": None},
}


@pytest.mark.parametrize("name", CLICKS)
def test_a_click_in_each_form_that_slack_sends_counts(world: World, requester: dict[str, str], name: str) -> None:
    order = f"form-{list(CLICKS).index(name)}-{world.run}"
    started = world.app.post(f"/orders/{order}/start?amount=2400", headers=requester)
    assert (started.json()["instance_id"], started.json()["new"]) == (f"order-{order}-workflow", True)
    payload = click(world.card(order), "U0MANAGER", **CLICKS[name])
    answer = world.interaction({key: value for key, value in payload.items() if value is not None or key == "team"})
    assert (answer.status_code, answer.text) == (200, "")
    eventually(lambda: "Approved." in world.card(order)["text"])
    assert [each for each in world.card(order)["blocks"] if each["type"] == "actions"] == []


def test_the_story_by_people_s_own_hands_and_the_command_line(world: World, requester: dict[str, str]) -> None:
    order = f"hands-{world.run}"
    token = requester["Authorization"].removeprefix("Bearer ")
    asking = {"COUNTERSIGN_URL": str(world.app.base_url).rstrip("/"), "COUNTERSIGN_API_KEY": token}
    begun = world.cli("order", "start", order, "--amount", "1200", "--description", "A desk", **asking)
    assert begun.returncode == 0, begun.stderr
    card = world.card(order)

    def act(**what: Any) -> dict[str, Any]:
        done: dict[str, Any] = world.slack.post("/control/act", json={"user": "U0MANAGER", **what}).json()
        return done

    pressed = act(do="click", channel="C0APPROVALS", ts=card["ts"], action_id="approval_reject")
    assert pressed["ok"], pressed
    (modal,) = eventually(lambda: world.slack.get("/control/state", params={"user": "U0MANAGER"}).json()["modals"])
    submitted = act(do="submit", view_id=modal["id"], values={"reason": "over the budget"})
    assert submitted["ok"], submitted
    eventually(lambda: "over the budget" in world.card(order)["text"])
    auditor = world.key("auditor@example.com", "auditor")
    eventually(lambda: world.app.get(f"/workflows/{order}", headers=auditor).json()["output"])
    looking = {**asking, "COUNTERSIGN_API_KEY": auditor["Authorization"].removeprefix("Bearer ")}
    shown = json.loads(world.cli("status", order, "-o", "json", **looking).stdout)
    assert shown["output"].items() >= {"status": "rejected", "reason": "over the budget", "outcome": "rejected"}.items()


WORDS = {
    "help": "What /approval can do",
    "help  \n": "What /approval can do",
    "  HELP": "What /approval can do",
    "": "What /approval can do",
    "help payload={}": "What /approval can do",
    "stauts 1": "There is no /approval stauts",
    "status": "id is missing",
    "status nope \n": "No workflow is known as nope.",
    "status\nnope": "No workflow is known as nope.",
    "status\tnope": "No workflow is known as nope.",
    "status\u00a0nope": "No workflow is known as nope.",
}


@pytest.mark.parametrize("text", WORDS)
def test_a_slash_command_is_read_as_people_type_it(world: World, text: str) -> None:
    answer = world.send(urlencode(typed(text)).encode())
    assert answer.status_code == 200
    assert WORDS[text] in json.dumps(answer.json())
    assert answer.json()["response_type"] == "ephemeral"


def typed(text: str) -> dict[str, str]:
    """Return the form of a slash command."""
    return {
        "token": "gIkuvaNzQIHg97ATvDxqgjtO",
        "team_id": "T0LOCAL",
        "team_domain": "local",
        "channel_id": "C0APPROVALS",
        "channel_name": "approvals",
        "user_id": "U0OPERATOR",
        "user_name": "operator",
        "command": "/approval",
        "text": text,
        "api_app_id": "A0LOCAL",
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.example/commands/1/2",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    }


def test_a_database_that_takes_nothing_gets_a_sentence_and_no_acknowledgement(
    world: World, requester: dict[str, str]
) -> None:
    order = f"locked-{world.run}"
    world.app.post(f"/orders/{order}/start?amount=2400", headers=requester).raise_for_status()
    card = world.card(order)
    with closing(sqlite3.connect(world.folder / "countersign.db", timeout=20)) as other, ThreadPoolExecutor() as both:
        other.execute("BEGIN IMMEDIATE")
        commanding = both.submit(world.send, urlencode(typed("help")).encode())
        pressing = both.submit(world.interaction, click(card, "U0MANAGER"))
        command, pressed = commanding.result(), pressing.result()
        other.rollback()
    assert command.status_code == 200
    assert "Please try again" in command.json()["text"]
    assert pressed.status_code == 200, "Slack's own error would hide that it is not confirmed yet"
    assert world.interaction(click(card, "U0MANAGER")).status_code == 200
    eventually(lambda: "Approved." in world.card(order)["text"])


def test_slack_s_checks_of_the_address_are_answered(world: World) -> None:
    assert world.send(b"ssl_check=1&token=Shh").status_code == 200
    challenge = {"token": "Shh", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd", "type": "url_verification"}
    answer = world.send(json.dumps(challenge).encode(), "application/json")
    assert (answer.status_code, answer.text) == (200, challenge["challenge"])


NOWHERE = {"/orders/a%2Fb/start": 404, "/nothing": 404, "/orders/42/approve/twice": 404}


@pytest.mark.parametrize("path", NOWHERE)
def test_an_address_that_is_none_gets_a_sentence(world: World, path: str) -> None:
    answer = world.app.post(path)
    assert answer.status_code == NOWHERE[path]
    assert answer.json()["detail"].startswith("There is nothing at this address.")


FORGED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "another signature": (b"a=1", {"x-slack-signature": "v0=" + "0" * 64}, 401),
    "no signature": (b"a=1", {"x-slack-signature": ""}, 401),
    "an old timestamp": (b"a=1", {"x-slack-request-timestamp": "1531420618"}, 401),
    "no number as timestamp": (b"a=1", {"x-slack-request-timestamp": "12e3"}, 401),
    "over 1 MiB": (b"a" * (1024 * 1024 + 1), {}, 413),
    "no text": (b"\xff\xfe=1", {}, 400),
    "nothing that Slack sends": (b"payload=%7B%22type%22%3A%22block_actions%22%7D", {}, 400),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_not_slack_s_is_refused_with_a_sentence(world: World, name: str) -> None:
    body, headers, status = FORGED[name]
    answer = world.send(body, **headers)
    assert answer.status_code == status
    assert answer.text.endswith(".")


def test_nothing_that_is_written_holds_a_secret(world: World, requester: dict[str, str]) -> None:
    written = (world.folder / "bot.cli.log").read_text(encoding="utf-8")
    for secret in (SECRET, BOT_TOKEN, requester["Authorization"].removeprefix("Bearer ")):
        assert secret not in written
