"""The commands that need nothing but this machine: run, sidecar, manifest, config, policy."""

import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from bot.cli.demo import Demo
from local.slack import LocalSlack
from tests.bot.cli.calling import Ran, run
from tests.end_to_end.system import eventually

POLICY = Path(__file__).parents[3] / "policy.yml"
CANARY = "canary-that-must-not-be-shown-anywhere"


def set_up(parts: Demo) -> dict[str, str]:
    """Return the running system's settings as an environment."""
    settings = parts.settings
    return {
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "SLACK_SIGNING_SECRET": settings.slack_signing_secret.get_secret_value(),
        "SLACK_API_URL": settings.slack_api_url,
        "DAPR_GRPC_PORT": str(settings.dapr_grpc_port),
        "DAPR_API_TOKEN": settings.dapr_api_token.get_secret_value(),
        "COUNTERSIGN_DATABASE_URL": settings.database_url,
        "COUNTERSIGN_SECRET_KEY": settings.secret_key.get_secret_value(),
        "COUNTERSIGN_POLICY": str(settings.policy),
    }


def states(found: Ran) -> dict[str, str]:
    return {each["check"]: each["state"] for each in found.json}


def test_a_check_finds_a_whole_system_well(parts: Demo) -> None:
    found = run("config", "check", "-o", "json", **set_up(parts))
    assert found.code == 0, found.out
    assert {"settings": "ok", "Slack": "ok", "sidecar": "ok", "database": "ok"}.items() <= states(found).items()


@pytest.mark.parametrize(
    ("change", "check", "sentence"),
    [
        ({"SLACK_BOT_TOKEN": ""}, "settings", "SLACK_BOT_TOKEN is missing"),
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "Slack", "invalid_auth"),
        ({"COUNTERSIGN_SECRET_KEY": "short"}, "settings", "COUNTERSIGN_SECRET_KEY"),
        ({"COUNTERSIGN_DATABASE_URL": "sqlite:////nowhere/x.db"}, "database", "is no folder that can be written"),
        ({"COUNTERSIGN_POLICY": "nowhere.yml"}, "policy", "cannot be read"),
        ({"DAPR_API_TOKEN": "wrong"}, "sidecar", "DAPR_API_TOKEN"),
    ],
)
def test_a_check_says_what_is_wrong_and_what_to_do(
    parts: Demo, change: dict[str, str], check: str, sentence: str
) -> None:
    found = run("config", "check", "-o", "json", **(set_up(parts) | change))
    assert found.code == 1
    wrong = [each for each in found.json if each["state"] == "wrong"]
    assert [each["check"] for each in wrong] == [check]
    assert sentence in wrong[0]["what_to_do"]


def elsewhere(tmp_path: Path, channel: str) -> dict[str, str]:
    policy = tmp_path / "other.yml"
    policy.write_text(POLICY.read_text().replace("channel: approvals", f"channel: {channel}"))
    return {"COUNTERSIGN_POLICY": str(policy)}


def test_a_channel_that_the_bot_is_not_in_is_wrong_before_anything_waits_there(parts: Demo, tmp_path: Path) -> None:
    """The check said ok, orders started, and nobody was asked while the clock ran."""
    found = run("config", "check", "-o", "json", **(set_up(parts) | elsewhere(tmp_path, "nowhere")))
    wrong = [each for each in found.json if each["state"] == "wrong"]
    assert (found.code, [each["check"] for each in wrong]) == (1, ["channels"])
    assert "write /invite @Countersign in it" in wrong[0]["what_to_do"]


def test_an_app_token_that_slack_refuses_is_wrong(parts: Demo) -> None:
    found = run("config", "check", "-o", "json", **(set_up(parts) | {"SLACK_APP_TOKEN": "xapp-wrong"}))
    wrong = [each for each in found.json if each["state"] == "wrong"]
    assert (found.code, [each["check"] for each in wrong]) == (1, ["app token"])


def test_a_test_card_is_posted_only_if_it_is_asked_for(parts: Demo, tmp_path: Path) -> None:
    def tests() -> int:
        return sum("config check --send-test" in message.text for message in parts.slack.messages("approvals"))

    assert run("config", "check", **set_up(parts)).code == 0
    assert tests() == 0
    sent = run("config", "check", "--send-test", **set_up(parts))
    assert (sent.code, "posted to approvals" in sent.out, tests()) == (0, True, 1)
    refused = run("config", "check", "--send-test", **(set_up(parts) | elsewhere(tmp_path, "nowhere")))
    assert (refused.code, "No message could be posted to nowhere" in refused.out) == (1, True)


def test_the_settings_are_shown_without_a_secret() -> None:
    planted = {
        "SLACK_BOT_TOKEN": CANARY,
        "COUNTERSIGN_SECRET_KEY": CANARY,
        "COUNTERSIGN_DATABASE_URL": f"postgresql://me:{CANARY}@host/name",
    }
    for form in ("table", "json"):
        shown = run("config", "show", "-o", form, **planted)
        assert shown.code == 0
        assert CANARY not in shown.out + shown.err
        assert "SLACK_BOT_TOKEN" in shown.out


def test_a_setting_that_cannot_be_read_is_named_without_its_value() -> None:
    refused = run("config", "show", COUNTERSIGN_PORT=CANARY)
    assert (refused.code, "COUNTERSIGN_PORT" in refused.err) == (2, True)
    assert CANARY not in refused.err


@pytest.mark.parametrize("address", ["::::", "localhost", "127.0.0.1:port", "ftp://127.0.0.1:1"])
@pytest.mark.parametrize("command", [("config", "check"), ("run", "--port", "0")])
def test_an_address_that_the_sdk_cannot_read_is_a_sentence(command: tuple[str, ...], address: str) -> None:
    refused = run(*command, DAPR_GRPC_ENDPOINT=address)
    assert (refused.code, "DAPR_GRPC_ENDPOINT" in refused.err, "write it like" in refused.err) == (2, True, True)


def test_a_level_of_logging_that_there_is_not_is_a_sentence() -> None:
    refused = run("run", "--port", "0", COUNTERSIGN_LOG_LEVEL="loud")
    assert (refused.code, "COUNTERSIGN_LOG_LEVEL" in refused.err, "DEBUG" in refused.err) == (2, True, True)


@pytest.mark.parametrize("command", [("config", "show"), ("list",), ("audit", "verify")])
def test_a_file_of_settings_that_is_no_text_is_a_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / ".env").write_bytes(b"COUNTERSIGN_PUBLIC_URL=https://caf\xe9.example.com\n")
    refused = run(*command)
    assert (refused.code, "not UTF-8" in refused.err) == (2, True)


def test_settings_stand_in_a_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COUNTERSIGN_PORT=8123\n")
    shown = {each["setting"]: each["value"] for each in run("config", "show", "-o", "json").json}
    assert shown["COUNTERSIGN_PORT"] == "8123"


def test_the_manifest_has_both_forms() -> None:
    over_http = yaml.safe_load(run("manifest", "--url", "https://approvals.example.com").out)
    assert over_http["settings"]["interactivity"]["request_url"] == "https://approvals.example.com/slack/events"
    over_socket = yaml.safe_load(run("manifest", "--socket-mode").out)
    assert over_socket["settings"]["socket_mode_enabled"] is True
    unfit = run("manifest")
    assert (unfit.code, "give your own address with --url" in unfit.err) == (0, True), (
        "an example host looked like ours"
    )
    refused = run("manifest", "--url", "http://plain.example.com")
    assert (refused.code, "no public https address" in refused.err) == (1, True)


def test_the_policy_is_checked_and_explained() -> None:
    file = ("--file", str(POLICY))
    checked = run("policy", "check", *file)
    assert (checked.code, "3 rules" in checked.out) == (0, True)
    explained = run("policy", "explain", "--amount", "2400", *file)
    assert "-> a manager within 3 days" in explained.out
    assert run("policy", "explain", "--amount", "2400", "-o", "json", *file).json["rules"]


@pytest.mark.parametrize("text", ["much", "-1", "NaN", "\uff12\uff14\uff10\uff10", "\u0662\u0664\u0660\u0660"])
def test_the_policy_is_not_explained_for_what_no_order_could_be_for(text: str) -> None:
    refused = run("policy", "explain", f"--amount={text}", "--file", str(POLICY))
    assert (refused.code, "write it with the digits 0 to 9" in " ".join(refused.err.split())) == (2, True)


def test_a_broken_policy_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(POLICY.read_text().replace("within: 3 days", "within: soon"))
    refused = run("policy", "check")
    assert refused.code == 1
    assert re.search(r"policy\.yml:\d+: 'soon' is not a duration", refused.err)


@pytest.mark.parametrize(
    ("text", "says"), [("rules:\n  - name: all\n    aprove: automatic\n", ":3: "), (None, "cannot be read")]
)
def test_the_app_does_not_start_with_a_policy_that_cannot_be_used(
    parts: Demo, tmp_path: Path, text: str | None, says: str
) -> None:
    policy = tmp_path / "broken.yml"
    if text is not None:
        policy.write_text(text)
    refused = run("run", "--port", "0", **(set_up(parts) | {"COUNTERSIGN_POLICY": str(policy)}))
    assert (refused.code, says in refused.err, "Countersign does not start." in refused.err) == (2, True, True)


def test_the_app_does_not_start_without_its_secrets() -> None:
    refused = run("run", SLACK_BOT_TOKEN="", SLACK_SIGNING_SECRET="", SLACK_APP_TOKEN="")
    assert refused.code == 2
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "COUNTERSIGN_SECRET_KEY"):
        assert f"{name} is missing" in refused.err


@contextmanager
def process(*words: str, cwd: Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command as a program of its own; ends it as a supervisor would."""
    with subprocess.Popen(
        [sys.executable, "-m", "bot.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=os.environ | environment,
    ) as running:  # fmt: skip
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=120)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


def test_sidecar_and_app_run_as_programs_and_end_when_told(tmp_path: Path) -> None:
    sidecar_port, port = free_port(), free_port()
    with LocalSlack() as slack, process("sidecar", "--port", sidecar_port, cwd=tmp_path) as sidecar:
        assert sidecar.stdout is not None
        assert f"ready on 127.0.0.1:{sidecar_port}" in sidecar.stdout.readline()
        environment = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": slack.api_url,
            "DAPR_GRPC_PORT": sidecar_port,
            "COUNTERSIGN_SECRET_KEY": secrets.token_urlsafe(48),
            "COUNTERSIGN_POLICY": str(POLICY),
        }
        with process("run", "--port", port, cwd=tmp_path, **environment) as app:
            eventually(lambda: ready(port), 120)
        assert app.returncode in {0, -signal.SIGTERM}
    assert sidecar.returncode == 0


def ready(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def test_migrate_makes_the_database_ready_says_its_schema_and_may_be_repeated(tmp_path: Path) -> None:
    settings = {"COUNTERSIGN_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    first, again = run("migrate", **settings), run("migrate", **settings)
    assert first.code == again.code == 0
    assert first.out == again.out
    with sqlite3.connect(tmp_path / "new.db") as database:
        (revision,) = database.execute("SELECT version_num FROM countersign_schema").fetchone()
    assert f"its schema is {revision}" in first.out


def test_migrate_leaves_a_newer_database_as_it_is(tmp_path: Path) -> None:
    settings = {"COUNTERSIGN_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    assert run("migrate", **settings).code == 0
    with sqlite3.connect(tmp_path / "new.db") as database:
        database.execute("UPDATE countersign_schema SET version_num = 'r9999'")
        database.execute("UPDATE schema_floor SET oldest = 'r9999'")
    found = run("migrate", **settings)
    assert found.code == 5
    assert "newer than this program" in found.err
