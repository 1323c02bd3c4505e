"""A CI job asks with the token of its platform: no key is stored, and the policy says which jobs are believed."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import RSAKey

from approvals.policy.file import PolicyError
from approvals.policy.routing import parse_policy
from bot.access.throttle import Throttle
from bot.services import Services
from tests.bot.cli.calling import run
from tests.end_to_end.system import ROOT, Order, System, eventually
from tests.end_to_end.test_identity_provider import FOREIGN, KEY, Answers, Issuer


class Patient(Services):
    """The app's parts, with patience: every refused token here comes from one address."""

    @cached_property
    def throttle(self) -> Throttle:
        return Throttle(allowed=1_000)


JOB = {"sub": "repo:acme/shop:ref:refs/heads/main", "repository": "acme/shop", "ref": "refs/heads/main", "run_id": 7}


class GitHub(Issuer):
    """An issuer that also gives tokens to its jobs, as GitHub's runner does."""

    claims: dict[str, Any] = JOB
    given = 0

    def job_token(self, key: RSAKey = KEY, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "countersign", "iat": now, "exp": now + 300} | self.claims | changes
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)


class Gives(Answers):
    """Answers the runner's address for tokens too."""

    server: GitHub

    def do_GET(self) -> None:  # noqa: N802 the standard library's name
        asked = urlsplit(self.path)
        if asked.path != "/token":
            super().do_GET()
            return
        good = self.headers["Authorization"] == "bearer runner"
        self.server.given += good
        body = f'{{"value": "{self.server.job_token(aud=parse_qs(asked.query)["audience"][0])}"}}'.encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with GitHub(("127.0.0.1", 0), Gives) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def settings(github: GitHub) -> dict[str, Any]:
    policy = f"""
version: 1
channel: approvals
currency: USD
groups: {{managers: managers}}
workloads:
  - name: shop-ci
    issuer: {github.url}
    claims: {{repository: acme/shop, ref: [refs/heads/main, refs/heads/release]}}
    may_ask: deploy
rules:
  - {{name: deploys, when: {{kind: deploy}}, approve: [{{group: managers}}], within: 1 day}}
  - {{name: everything else, when: {{currency: any}}, approve: [{{group: managers}}], within: 1 day}}
"""
    return {"policy": policy, "parts": Patient}


def ask(system: System, token: str, kind: str = "deploy", **more: Any) -> httpx.Response:
    body = {"kind": kind, "subject": system.order_id("web"), **more}
    return system.http.post("/requests", json=body, headers={"Authorization": f"Bearer {token}"})


def test_a_job_asks_in_its_own_name_and_sees_its_own_request(system: System, github: GitHub) -> None:
    asked = ask(system, github.job_token())
    assert (asked.status_code, asked.json()["requester"]) == (201, "shop-ci"), asked.text
    request = Order(system, asked.json()["id"], asked.json()["id"])
    request.click("U0MANAGER")
    own = {"Authorization": f"Bearer {github.job_token()}"}
    ended = system.http.get(f"/requests/{request.id}", params={"wait": 20}, headers=own)
    assert ended.json()["status"] == "approved"
    assert [entry.actor for entry in request.audit() if entry.action == "order.started"] == ["workload:shop-ci"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repository": "acme/other"}, "no workload of the policy has its claims"),
        ({"ref": "refs/heads/feature"}, "no workload of the policy has its claims"),
        ({"repository": None}, "no workload of the policy has its claims"),
        ({"aud": "another-service"}, "it is for another service"),
        ({"exp": 1}, "it has expired"),
        ({"key": FOREIGN}, "not signed"),
        ({"iss": "https://evil.example"}, "not valid"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_another_job_is_nobody(system: System, github: GitHub, changes: dict[str, Any], said: str) -> None:
    refused = ask(system, github.job_token(**changes))
    assert (refused.status_code, said in refused.json()["detail"]) == (401, True), refused.text


def test_a_job_asks_for_its_own_kinds_alone_and_decides_nothing(system: System, github: GitHub) -> None:
    token = github.job_token()
    assert ask(system, token, "order", amount="5").status_code == 403
    assert ask(system, token, requester="manager@example.com").status_code == 403
    asked = ask(system, token, description="again")
    path = f"/requests/{asked.json()['id']}/decision"
    decided = system.http.post(path, json={"approved": True}, headers={"Authorization": f"Bearer {token}"})
    assert decided.status_code == 403
    assert system.http.get("/statistics", headers={"Authorization": f"Bearer {token}"}).status_code == 403


@pytest.fixture
def shell(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "COUNTERSIGN_ID_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return {"COUNTERSIGN_URL": system.url}


def answered(system: System, subject: str, shell: dict[str, str]) -> Any:
    """Run `countersign ask` in a thread, click, and return what it printed."""
    found: list[Any] = []
    words = ("ask", subject, "--kind", "deploy", "--field", "env=prod", "--wait", "1m", "--fresh")
    thread = threading.Thread(target=lambda: found.append(run(*words, **shell)))
    thread.start()
    clicked(system, subject)
    thread.join(60)
    return found[0]


def clicked(system: System, subject: str) -> None:
    """Wait for the card, and approve on it."""
    eventually(lambda: [each for each in system.slack.messages("approvals") if subject in each.text])
    headers = {"Authorization": f"Bearer {system.token('operator@example.com', 'operator')}"}
    lines = system.http.get("/workflows", params={"q": subject}, headers=headers).json()["workflows"]
    request = Order(system, lines[0]["id"], lines[0]["id"])
    request.click("U0MANAGER")


def test_the_command_proves_a_job_of_github_by_itself(system: System, github: GitHub, shell: dict[str, str]) -> None:
    job = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner",
    }
    ran = answered(system, system.order_id("by-github"), shell | job)
    assert (ran.code, "Approved by" in ran.out) == (0, True), ran.err
    assert github.given == 1, "one token does for four minutes"
    wrong = run("ask", "x", "--kind", "deploy", **(shell | job | {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "no"}))
    assert (wrong.code, "id-token: write" in wrong.err) == (4, True)


def test_the_command_takes_the_token_that_gitlab_gives(system: System, github: GitHub, shell: dict[str, str]) -> None:
    ran = answered(system, system.order_id("by-gitlab"), shell | {"COUNTERSIGN_ID_TOKEN": github.job_token()})
    assert (ran.code, "Approved by" in ran.out) == (0, True), ran.err


def test_without_key_and_token_the_command_says_what_is_missing(shell: dict[str, str]) -> None:
    ran = run("ask", "x", "--kind", "deploy", **shell)
    assert (ran.code, "COUNTERSIGN_API_KEY is missing" in ran.err) == (2, True)


def steps() -> tuple[str, dict[str, str]]:
    """Return the script of action.yml, and what its inputs are by default."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (step,) = action["runs"]["steps"]
    return step["run"], {name: str(given.get("default", "")) for name, given in action["inputs"].items()}


def act(tmp_path: Path, system: System, token: str, **given: str) -> subprocess.Popen[str]:
    """Run the action's own script as a runner would, with the client of this checkout."""
    script, inputs = steps()
    inputs |= {"url": system.url, "kind": "deploy", "wait": "1m"} | given
    tools = tmp_path / "countersign/bin"
    tools.mkdir(parents=True, exist_ok=True)
    command = tools / "countersign-ask"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "client/src"} exec {sys.executable} -m countersign "$@"\n')
    command.chmod(0o755)
    names = {"url": "COUNTERSIGN_URL", "audience": "COUNTERSIGN_AUDIENCE"}
    environment = {names.get(name, f"ASK_{name.upper()}"): value for name, value in inputs.items()}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    runner = {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output"), "COUNTERSIGN_ID_TOKEN": token}
    return subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env=kept | environment | runner, stderr=subprocess.PIPE, text=True
    )


def test_the_github_action_waits_for_a_click_and_gives_its_outputs(
    system: System, github: GitHub, tmp_path: Path
) -> None:
    subject = system.order_id("--by-action")
    with act(tmp_path, system, github.job_token(), text=subject, fields="env=prod\n\ncommit=$(id)") as ran:
        clicked(system, subject)
        _, said = ran.communicate(timeout=60)
    assert ran.returncode == 0, said
    output = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (output["status"], set(output)) == ("approved", {"id", "status", "card-link"})
    own = {"Authorization": f"Bearer {github.job_token()}"}
    fields = system.http.get(f"/requests/{output['id']}", headers=own).json()["fields"]
    assert fields == {"env": "prod", "commit": "$(id)"}, "nothing that is given runs"


def test_the_github_action_fails_with_the_commands_exit_code(system: System, github: GitHub, tmp_path: Path) -> None:
    with act(tmp_path, system, github.job_token(), text=system.order_id("slow"), wait="1s") as ran:
        ran.communicate(timeout=60)
    assert ran.returncode == 13
    assert "status=waiting" in (tmp_path / "output").read_text()


def test_the_steps_of_the_page_name_options_that_there_are() -> None:
    page = (ROOT / "docs/how-to/ask-from-ci.md").read_text()
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "runs-on" in block)
    given = yaml.safe_load(example)["jobs"]["deploy"]["steps"][0]["with"]
    assert given.keys() <= action["inputs"].keys()
    policy = next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "workloads:" in block)
    rules = "rules: [{name: all, approve: [{email: a@example.com}]}]\n"
    assert [each.name for each in parse_policy(policy + rules).workloads] == ["shop-ci", "shop-gitlab"]
    options = set(re.findall(r"(--[a-z-]+)", "\n".join(re.findall(r"countersign ask.*", page))))
    assert options <= set(re.findall(r"--[a-z-]+", run("ask", "--help").out))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("issuer: http://ci.example.com", "an issuer is an https address"),
        ("claims: {}", "claims needs 1 to 10 entries"),
        ("claims: {aud: x}", "aud is no claim to choose"),
        ("claims: {repository: []}", "must be a text, or a list of texts"),
        ("name: ci@example.com", "a workload is no person"),
    ],
)
def test_a_workload_that_would_let_anybody_ask_is_refused(line: str, said: str) -> None:
    entries = {"name": "ci", "issuer": "https://ci.example.com", "claims": "{repository: a/b}", "may_ask": "deploy"}
    name, _, value = line.partition(": ")
    entries[name] = value
    written = "".join(f"    {key}: {text}\n" for key, text in entries.items())
    with pytest.raises(PolicyError, match=re.escape(said)):
        parse_policy(f"workloads:\n  -\n{written}rules: [{{name: all, approve: [{{email: a@example.com}}]}}]\n")
