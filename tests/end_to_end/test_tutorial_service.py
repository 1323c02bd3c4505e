"""The tutorial "Ask from your own service in ten minutes" is true: every line of it is run here."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.end_to_end.system import Order, System, eventually
from tests.end_to_end.test_webhooks import Receiver

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial" / "ask-from-your-service.md").read_text()
POLICY = """
version: 1
channel: approvals
groups: {managers: managers}
rules: [{name: refunds, when: {kind: refund}, approve: {group: managers}}]
"""
SETTINGS = {"policy": POLICY}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def key(system: System, line: str) -> str:
    words = shlex.split(line.removeprefix("$ "))
    secret = system.settings.secret_key.get_secret_value()
    env = {"COUNTERSIGN_DATABASE_URL": system.settings.database_url, "COUNTERSIGN_SECRET_KEY": secret}
    made = subprocess.run(
        [sys.executable, "-m", "bot.cli", *words[1:]], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def run(line: str, env: dict[str, str]) -> Any:
    done = subprocess.run(["bash", "-c", line], env=os.environ | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_line_of_the_tutorial_does_what_the_page_says(system: System, receiver: Receiver) -> None:
    here = f"127.0.0.1:{receiver.server.server_port}"
    create = blocks("console")[0].strip().replace("127.0.0.1:8099", here)
    exports, kinds, preview, ask, wait, secret, consume, receipt = (
        each.replace("127.0.0.1:8099", here) for each in blocks("bash")
    )
    assert [line.partition("=")[0] for line in exports.splitlines()] == [
        "export COUNTERSIGN_URL",
        "export COUNTERSIGN_API_KEY",
    ]
    env = {"COUNTERSIGN_URL": system.url, "COUNTERSIGN_API_KEY": key(system, create)}
    assert [each["kind"] for each in run(kinds, env)["kinds"]] == ["refund"]
    assert run(preview, env)["stages"][0]["approvers"] == ["group:managers"]
    asked = run(ask, env)
    assert run(ask, env)["id"] == asked["id"]
    env["REQUEST_ID"] = asked["id"]
    order = Order(system, asked["id"], asked["id"])
    order.click("U0MANAGER")
    assert run(wait, env)["status"] == "approved"
    eventually(lambda: len(receiver.got) == 1)
    headers, body = receiver.got[0]
    code: dict[str, Any] = {}
    exec(blocks("python")[0], code)  # noqa: S102 the page's own lines
    assert code["received"](headers, body, run(secret, env)["secrets"][0]) == (asked["id"], "approved")
    assert run(consume, env)["consumed_at"] == run(consume, env)["consumed_at"]
    assert run(receipt, env)["claims"]["subject"] == "order 4711"
    assert blocks("console")[1:] == []
