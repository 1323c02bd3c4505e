"""`countersign init` writes what `config check` and `run` take, and overwrites nothing."""

import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path

from approvals.policy.lint import lint
from approvals.policy.schema import parse_policy
from bot.process.settings import Settings
from tests.bot.cli.calling import run

ANSWERS = f"xoxb-1\n{secrets.token_hex(16)}\n\napprovals\n@managers\noperators\n3 days\n"


def test_the_answers_become_settings_and_a_policy_that_are_taken(tmp_path: Path) -> None:
    done = run("init", stdin=ANSWERS)
    assert done.code == 0, done.err
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert not Settings(_env_file=tmp_path / ".env").missing()
    policy = parse_policy((tmp_path / "policy.yml").read_text())
    assert (policy.channel, policy.groups["approvers"]) == ("approvals", "managers")
    assert not [each for each in lint(policy) if each.severity in {"error", "warning"}]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MINE=1\n")
    refused = run("init", stdin=ANSWERS)
    assert (refused.code, "exist already, so nothing was written" in refused.err) == (1, True)
    assert ((tmp_path / ".env").read_text(), (tmp_path / "policy.yml").exists()) == ("MINE=1\n", False)


def test_a_time_that_is_none_writes_nothing(tmp_path: Path) -> None:
    refused = run("init", stdin=ANSWERS.replace("3 days", "soon"))
    assert (refused.code, "'soon' is not a duration" in refused.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_shell_completes_the_names_of_commands() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "_COUNTERSIGN_COMPLETE": "complete_bash",
        "COMP_WORDS": "countersign wat",
        "COMP_CWORD": "1",
    }
    program = Path(sys.executable).parent / "countersign"
    done = subprocess.run([str(program)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["watch"]
