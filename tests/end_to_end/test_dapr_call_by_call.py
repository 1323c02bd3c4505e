"""docs/how-to/dapr-call-by-call.md is true: every line of it runs, in its order, on a running system."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from bot.cli.workflow_commands import app
from tests.bot.cli.calling import Ran, run
from tests.end_to_end.processes import variables
from tests.end_to_end.system import MANAGER, REAL_SIDECAR, ROOT, Order, System, eventually

PAGE = (ROOT / "docs/how-to/dapr-call-by-call.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SETTINGS = {}
pytestmark = pytest.mark.skipif(REAL_SIDECAR is not None, reason="order 42 of an earlier run stands there")


def order_42(system: System) -> Order:
    found = Order(system, "42")
    if not found.cards():
        system.post("/orders/42/start", {"amount": "2400"}).raise_for_status()
        found.card()
    return found


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE) if name == language]


def test_each_command_of_the_page_works_in_its_order(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order_42(system)
    settings = variables(system.settings) | {"COUNTERSIGN_URL": system.url}
    operator = system.token("operator@example.com", "operator")
    lines = re.findall(r"^\$ countersign (.+)$", "".join(blocks("console")), re.MULTILINE)
    assert {line.split()[1] for line in lines if line.startswith("workflow ")} == {
        "run", "list", "history", "suspend", "resume", "terminate", "raise-event", "rerun", "purge",
    }  # fmt: skip
    for line in lines:
        key = system.token(MANAGER) if "approval_decision" in line else operator
        done = run(*shlex.split(line), **settings, COUNTERSIGN_API_KEY=key)
        assert (done.code, bool(done.out.strip())) == (0, True), f"{line}: {done.out}{done.err}"
        if line.startswith("workflow run"):
            eventually(lambda: Order(system, "x").cards() or _cards(system, "invoice-7"))


def _cards(system: System, instance_id: str) -> Any:
    found = Order(system, instance_id, instance_id)
    return found.cards()


def test_each_call_of_the_sdk_does_what_the_page_says(system: System) -> None:
    names: dict[str, Any] = {}
    port = system.sidecar.rpartition(":")[2]
    order = Order(system, "INV-8", "invoice-8")
    for block in blocks("python"):
        exec(block.replace("50001", port), names)  # noqa: S102 the page's own lines
        if "schedule_new_workflow" in block:
            order.card()
        if "approval_decision" in block:
            eventually(lambda: "request.refused" in order.actions())
            assert order.status() == "RUNNING"
    assert system.engine.get_workflow_state("invoice-8") is None
    assert "request.accepted" not in order.actions()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("list --app-id orders", "'orders' is not this app's"),
        ("purge", "names no instance"),
        ("purge x --all", "give one of them"),
        ("purge --all --all-older-than 1h", "exclude each other"),
        ("purge --all-filter-status FAILED", "only be used with --all-older-than"),
        ("purge --all-older-than soon", "neither a duration nor a moment"),
        ("purge --all --force", "for instances that are named"),
        ("rerun 42 --input {}", "another input"),
        ("raise-event 42", "ID/EVENT"),
        ("raise-event 42/paid", "something in it"),
        ("raise-event 42/approval_decision --input '{\"approve\": true}'", "no field 'approve'"),
        ("run approval_workflow --input '{'", "no JSON"),
    ],
)
def test_what_dapr_would_not_take_either_is_a_message(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("workflow", *shlex.split(words), COUNTERSIGN_URL="http://127.0.0.1:9", COUNTERSIGN_API_KEY="cs_key")
    assert (ran.code, said in ran.err) == (2, True), ran.err


def printed(ran: Ran) -> Any:
    """Return the JSON that was printed; the app's own log lines share the process."""
    return json.loads(ran.out[re.search(r"^\[$", ran.out, re.MULTILINE).start() :])  # type: ignore[union-attr]


def test_the_shared_options_stand_before_or_after_the_commands_name(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order_42(system)
    key = {"COUNTERSIGN_URL": system.url, "COUNTERSIGN_API_KEY": system.token("operator@example.com", "operator")}
    before = run("workflow", "-a", "countersign", "-k", "-n", "default", "list", "-o", "json", **key)
    after = run("workflow", "ls", "-a", "countersign", "-c", "postgres://user:hidden@db/", "-o", "json", **key)
    assert [each["instanceID"] for each in printed(before)] == [each["instanceID"] for each in printed(after)]
    assert {each["appID"] for each in printed(after)} == {"countersign"}
    assert "hidden" not in after.out + after.err
    as_yaml = run("workflow", "list", "-o", "yaml", **key)
    assert "instanceID: order-42-workflow" in as_yaml.out
    assert run("workflow", "list", "--filter-status", "CANCELED", **key).err == "No workflow found.\n"


SHARED = {"--app-id -a", "--kubernetes -k", "--namespace -n"}
IN_A_DATABASE = {"--connection-string -c", "--table-name -t"}
DAPRS = {
    "run": {"--input -x", "--instance-id -i", "--start-time -s"},
    "list": {"--filter-name -w", "--filter-status -s", "--filter-max-age -m", "--output -o", *IN_A_DATABASE},
    "history": {"--output -o"},
    "raise-event": {"--input -x"},
    "suspend": {"--reason -r"},
    "resume": {"--reason -r"},
    "terminate": {"--output -o"},
    "rerun": {"--input -x", "--event-id -e", "--new-instance-id"},
    "purge": {
        "--all", "--all-older-than", "--all-filter-status", "--force", "--scheduler-namespace", *IN_A_DATABASE,
    },
}  # fmt: skip
"""The options of each command in cmd/workflow of Dapr's CLI, as of July 2026."""


def test_each_command_has_exactly_daprs_options() -> None:
    group: Any = typer.main.get_command(app)
    found = {
        name: {
            " ".join(sorted([*option.opts, *option.secondary_opts], key=len, reverse=True))
            for option in command.params
            if option.param_type_name == "option"
        }
        for name, command in group.commands.items()
    }
    assert found == {name: options | SHARED for name, options in DAPRS.items()}


def test_a_request_of_another_kind_is_decided_by_raise_event_under_both_names(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {"kind": "order", "subject": "INV-9", "amount": "900", "currency": "USD"}
    one, two = (system.post("/requests", asked | {"subject": f"INV-{each}"}).json()["id"] for each in (91, 92))
    said = {"COUNTERSIGN_URL": system.url, "COUNTERSIGN_API_KEY": system.token(MANAGER)}
    for name, instance in (("wf", one), ("workflow", two)):
        eventually(lambda instance=instance: _cards(system, instance))  # type: ignore[misc] # bound now
        done = run(name, "raise-event", f"{instance}/approval_decision", "--input", '{"approved": true}', **said)
        assert (done.code, "pproved" in done.out) == (0, True), done.err
        order = Order(system, instance)
        order.instance_id = instance
        assert "request.accepted" in order.actions()


def test_a_decision_by_http_as_the_page_has_it(system: System) -> None:
    rows = re.findall(r"^\| `POST /orders/42/([^`]+)`(?: with `([^`]+)`)?", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for number, (path, body) in enumerate(rows):
        name = f"page-{number}"
        starts = path.startswith("start")
        if not starts:
            system.post(f"/orders/{name}/start", {"amount": "2400"}).raise_for_status()
            Order(system, name).card()
        headers = {"Authorization": f"Bearer {system.token(MANAGER)}"} | (
            {"Content-Type": "application/json"} if body else {}
        )
        answer: httpx.Response = system.http.post(f"/orders/{name}/{path}", content=body or None, headers=headers)
        assert (answer.status_code, answer.json().get("outcome")) == (200, None if starts else "accepted"), answer.text
