"""`countersign ask` in a script: the exit code is the answer."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from bot.cli.demo import Demo
from tests.bot.cli.calling import Cli

DEPLOYS = """
  - name: deploys
    when: {kind: deploy}
    approve:
      - group: managers
    within: 1 day
"""


@pytest.fixture(scope="module", autouse=True)
def _with_deploys(parts: Demo) -> None:
    policy = parts.settings.policy
    policy.write_text(policy.read_text() + DEPLOYS)
    time.sleep(1.1)  # the app looks at the file once a second


Result = Callable[[], tuple[int, str, str]]


@pytest.fixture
def asked(remote: Cli, parts: Demo) -> Callable[..., tuple[str, Result]]:
    """Ask in a process of its own, as a script does; return the request's id and the way to the result."""

    def begin(subject: str, *words: str) -> tuple[str, Result]:
        environment = os.environ | {"COUNTERSIGN_URL": parts.url, "COUNTERSIGN_API_KEY": parts.tokens["requester"]}
        running = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "ask", subject, "--kind", "deploy", "-o", "json", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        rows = parts.until("it waits", lambda: listed(remote, subject), 40)

        def result() -> tuple[int, str, str]:
            out, err = running.communicate(timeout=60)
            return running.returncode, out, err

        return str(rows[0]["id"]), result

    return begin


def listed(remote: Cli, subject: str) -> list[dict[str, Any]]:
    found = remote("list", "-q", subject, "-o", "json").json
    return [each for each in found if each["subject"] == subject and each["phase"] == "waiting"]


@pytest.mark.parametrize(("approved", "code", "status"), [(True, 0, "approved"), (False, 10, "rejected")])
def test_the_exit_code_is_the_answer(
    asked: Callable[..., tuple[str, Result]],
    parts: Demo,
    *,
    approved: bool,
    code: int,
    status: str,
) -> None:
    request_id, result = asked(f"release {status}", "--field", "env=prod")
    parts.call("POST", f"/requests/{request_id}/decision", {"approved": approved, "reason": "seen"}, who="manager")
    ended, out, err = result()
    assert (ended, json.loads(out)["status"]) == (code, status)
    assert f"Asked: {request_id}" in err


def test_a_script_that_gives_up_waiting_can_ask_again_by_its_key(remote: Cli, parts: Demo) -> None:
    words = ("ask", "release later", "--kind", "deploy", "--key", "later", "--wait", "2s")
    first = remote(*words, who="requester")
    assert (first.code, "still waits" in first.out) == (13, True)
    request_id = first.err.split("Asked: ")[1].split()[0]
    parts.call("POST", f"/requests/{request_id}/decision", {"approved": True}, who="manager")
    again = remote(*words, who="requester")
    assert (again.code, again.out.startswith("Approved by")) == (0, True)


def test_a_kind_without_a_rule_is_refused_at_once(remote: Cli) -> None:
    refused = remote("ask", "x", "--kind", "holiday", who="requester")
    assert (refused.code, "No rule of the policy applies to a holiday" in refused.err) == (2, True)
    wrong = remote("ask", "x", "--kind", "deploy", "--field", "env", who="requester")
    assert (wrong.code, "write NAME=VALUE" in wrong.err) == (2, True)
