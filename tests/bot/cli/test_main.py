"""The table of commands says what the commands say themselves, and help costs nothing."""

import json
import os
import secrets
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import output
from bot.cli.main import COMMANDS, CommandEntry, build, loaded
from tests.bot.cli.calling import run


def commands(entry: CommandEntry) -> list[tuple[str, object]]:
    made = loaded(entry)
    inner = getattr(made, "commands", None)
    return [(entry.name, made)] if inner is None else [(f"{entry.name} {name}", each) for name, each in inner.items()]


EVERY = [(name, command) for entry in COMMANDS for name, command in commands(entry)]


@pytest.mark.parametrize("name", [name for name, _ in EVERY])
def test_each_command_explains_itself_with_an_example(name: str) -> None:
    result = CliRunner().invoke(build(), [*name.split(), "--help"], terminal_width=200)
    assert result.exit_code == 0
    verb = "pause" if name == "suspend" else name
    assert f"Example: countersign {verb}" in result.output


def test_a_command_that_is_not_there_gets_the_nearest() -> None:
    found = run("statsu")
    assert found.code == 2
    assert "Did you mean 'stats', 'status'?" in found.err


def test_help_names_every_command_and_imports_none_of_them() -> None:
    code = (
        "import sys; from bot.cli.main import build; from typer.testing import CliRunner;"
        "print(CliRunner().invoke(build(), ['--help']).output);"
        "print(sorted({'dapr', 'sqlalchemy', 'fastapi', 'httpx', 'pydantic'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.rstrip().endswith("[]")
    for entry in COMMANDS:
        assert f"\n  {entry.name} " in printed


def test_the_version_is_printed_alone() -> None:
    found = run("--version")
    assert (found.code, found.out) == (0, f"countersign {version('countersign')}\n")


def test_a_port_that_is_taken_is_a_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = {
            "PATH": os.environ["PATH"],
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_SIGNING_SECRET": secrets.token_hex(16),
            "COUNTERSIGN_SECRET_KEY": secrets.token_urlsafe(48),
            "COUNTERSIGN_POLICY": str(Path(__file__).parents[3] / "policy.yml"),
        }
        ran = subprocess.run(
            [sys.executable, "-m", "bot.cli", "run", "--port", port],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (ran.returncode, f"port {port} is taken by another program" in ran.stderr) == (1, True)
    assert "Errno" not in ran.stderr


HOSTILE = "laptops\x1b[2J\x1b]0;owned\x07 \u202e0042$\u2066 \u200bend \U000e0041\xad\ufff9 \ud800"


@pytest.mark.parametrize("form", [output.Format.TABLE, output.Format.JSON])
def test_what_people_typed_moves_no_cursor_and_turns_no_text(capsys: pytest.CaptureFixture[str], form: object) -> None:
    assert isinstance(form, output.Format)
    output.rows(("WHAT",), [{"what": HOSTILE}], form)
    output.say(HOSTILE)
    output.fields({"what": HOSTILE})
    printed = capsys.readouterr().out
    assert not output.UNSEEN.search(printed), printed
    assert "laptops" in printed


def test_json_keeps_what_it_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"what": HOSTILE})
    assert json.loads(capsys.readouterr().out) == {"what": HOSTILE}
