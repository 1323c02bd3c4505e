"""`countersign ask` in a script: the exit code is the answer."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bot.cli.demo import Demo
from tests.bot.cli.calling import Cli, Ran

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


@pytest.fixture
def asked(remote: Cli, parts: Demo) -> Callable[..., Any]:
    """Ask in a thread, and return what is waiting to be answered and the way to its result."""

    def begin(subject: str, *words: str) -> tuple[str, Callable[[], Ran]]:
        done: list[Ran] = []
        command = ("ask", subject, "--kind", "deploy", "-o", "json", *words)
        thread = threading.Thread(target=lambda: done.append(remote(*command, who="requester")))
        thread.start()
        rows = parts.until("it waits", lambda: listed(remote, subject))

        def result() -> Ran:
            thread.join(40)
            return done[0]

        return str(rows[0]["id"]), result

    return begin


def listed(remote: Cli, subject: str) -> list[dict[str, Any]]:
    found = remote("list", "-q", subject, "-o", "json").json
    return [each for each in found if each["subject"] == subject and each["phase"] == "waiting"]


@pytest.mark.parametrize(("approved", "code", "status"), [(True, 0, "approved"), (False, 10, "rejected")])
def test_the_exit_code_is_the_answer(
    asked: Callable[..., Any],
    parts: Demo,
    *,
    approved: bool,
    code: int,
    status: str,
) -> None:
    request_id, result = asked(f"release {status}", "--field", "env=prod")
    parts.call("POST", f"/requests/{request_id}/decision", {"approved": approved, "reason": "seen"}, who="manager")
    ran = result()
    assert (ran.code, json.loads(ran.out)["status"]) == (code, status)
    assert f"Asked: {request_id}" in ran.err


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
