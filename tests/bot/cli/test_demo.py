"""`countersign demo`: the story comes out as told, and Ctrl-C leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bot.cli import demo_story
from bot.cli.demo import Demo, DemoError
from tests.bot.cli.calling import run

COMMAND = [sys.executable, "-m", "bot.cli", "demo"]


def test_the_story_plays_by_itself_as_told_whatever_settings_this_machine_has(tmp_path: Path) -> None:
    own = {
        "SLACK_APP_TOKEN": "xapp-other",
        "COUNTERSIGN_OIDC_AUDIENCE": "x",
        "DAPR_GRPC_ENDPOINT": "http://x.invalid:1",
    }
    (tmp_path / ".env").write_text("COUNTERSIGN_PROCESS_ORDER_URL=http://127.0.0.1:1/\n")
    played = subprocess.run(
        [*COMMAND, "--auto"],
        capture_output=True, text=True, cwd=tmp_path, timeout=90, check=False, env=os.environ | own,
    )  # fmt: skip
    assert (played.returncode, played.stderr) == (0, ""), played.stdout + played.stderr
    told = " ".join(played.stdout.split())
    endings = [json.loads(found) for found in re.findall(r"workflow [A-Z][a-z ]+ (\{.*?\})", told)]
    assert [{name: each[name] for name in ("status", "reason", "by") if name in each} for each in endings] == [
        {"status": "completed"},
        {"status": "rejected", "reason": "Over the budget of this quarter"},
        {"status": "terminated", "reason": "The conference is cancelled", "by": "operator@example.com"},
        {"status": "rejected", "reason": "approval_timeout"},
    ]
    for seen in ("nobody decides on their own request", "does not name you as an approver", "This is not a no"):
        assert seen in told
    assert "Everything came out as told" in told
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_the_demo_says_what_to_open_and_click_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        assert running.stdout is not None
        said = ""
        while "Ctrl-C ends everything." not in said:
            line = running.stdout.readline()
            assert line, said
            said += line
        environment = Path(re.findall(r"\. (/\S+/env)", said)[0])
        given = dict(re.findall(r"export (\w+)=(\S+)", environment.read_text()))
        assert environment.stat().st_mode & 0o077 == 0
        found = run(
            "status", "42", "-o", "json",
            COUNTERSIGN_URL=given["COUNTERSIGN_URL"], COUNTERSIGN_API_KEY=given["COUNTERSIGN_API_KEY"],
        )  # fmt: skip
        assert found.json["workflow"]["amount"] == "2400.00"
        for words in (["audit", "verify"], ["keys", "list"], ["doctor", "--look"], ["policy", "check"]):
            command = f". {environment} && countersign {' '.join(words)}"
            ran = subprocess.run(
                ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
            )
            assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=20)
    assert (running.returncode, errors) == (0, "")
    assert "Stopped" in rest
    assert not environment.parent.exists()
    for clicked in ("Approve", "Manager", "#approvals"):
        assert clicked in said


def test_a_link_of_the_demo_signs_in_once(parts: Demo) -> None:
    link = parts.link("operator")
    with httpx.Client(follow_redirects=True, headers={"Accept": "text/html"}) as browser:
        page = browser.get(link)
        assert (page.status_code, "operator@example.com" in page.text) == (200, True)
        assert browser.get(parts.url).status_code == 200, "the session goes on"
    with httpx.Client(follow_redirects=True, headers={"Accept": "text/html"}) as another:
        again = another.get(link)
        assert (again.status_code, "This link has been used" in again.text) == (403, True)
        forged = another.get(link[:-1] + ("a" if link[-1] != "a" else "b"))
        assert forged.status_code == 403


def test_the_demo_signs_in_with_slack_too(parts: Demo) -> None:
    page = httpx.get(f"{parts.url}/sign-in", headers={"Accept": "text/html"})
    assert "Sign in with Slack" in page.text


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for option in ("--port", "--slack-port", "--sidecar-port"):
            refused = run("demo", option, port)
            assert (refused.code, refused.out) == (1, ""), refused
            assert port in refused.err


def test_a_step_that_comes_out_otherwise_is_named(parts: Demo) -> None:
    story = demo_story.Story(parts)
    card = story.asks("otherwise", "900.00", "A chair")
    parts.call("POST", "/workflows/otherwise/terminate", {"reason": "to see what the story says"})
    with pytest.raises(DemoError, match="otherwise should have ended with"):
        story.ends("otherwise", card, "terminated", {"status": "completed"})
