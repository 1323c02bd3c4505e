"""README.md is true: its commands exist; its files, settings, diagrams and examples are those of the code."""

import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from dapr.ext.workflow import WorkflowStatus

from activities import Activities
from approvals.policy.lint import lint
from approvals.policy.routing import Policy, parse_policy
from bot.cli.main import COMMANDS, build, loaded
from bot.cli.remote import ClientSettings
from bot.process.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(language: str, text: str = README) -> list[str]:
    """Return the blocks of one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def typed(text: str = README) -> list[str]:
    """Return what a document tells people to type."""
    lines = [line.strip() for block in fenced("console", text) for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def mentioned() -> Iterator[str]:
    """Yield the commands that stand within a sentence."""
    inline = re.findall(
        r"`((?:countersign|make|dapr) [^`]+)`", re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    )
    yield from (each for each in inline if each != "countersign …")


def everything(program: str) -> list[str]:
    return sorted({each for each in (*typed(), *mentioned()) if each.split()[0] == program})


# ---- commands


@pytest.mark.parametrize("line", everything("countersign"))
def test_each_countersign_command_is_one_that_the_command_line_takes(line: str) -> None:
    check_command(line)


def check_command(line: str) -> None:
    """Fail unless the command line has this command, with these options."""
    words = shlex.split(line)[1:]
    entries = {entry.name: entry for entry in COMMANDS}
    assert words[0] in entries, f"countersign has no {words[0]}"
    command = loaded(entries[words[0]])
    context = typer.main.get_command(build()).make_context("countersign", [], resilient_parsing=True)
    words = words[1:]
    while hasattr(command, "commands"):
        assert words, f"{line}: a subcommand is missing"
        assert words[0] in command.commands, f"{line}: there is no such subcommand"
        command, words = command.commands[words[0]], words[1:]
    command.make_context(line, list(words), parent=context)  # raises UsageError for an option that is not there


@pytest.mark.parametrize("line", everything("make"))
def test_each_make_target_exists(line: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wanted = [word for word in line.split()[1:] if "=" not in word]
    assert set(wanted) <= targets


def test_nothing_else_is_typed() -> None:
    assert {line.split()[0] for line in typed()} == {"make", "countersign", "dapr"}


def test_what_dapr_is_told_to_run_is_here() -> None:
    assert "dapr run -f ." in typed()
    assert (ROOT / "dapr.yaml").is_file()


# ---- files


def test_each_path_in_the_text_is_there() -> None:
    found = re.findall(r"`([\w./-]+(?:/|\.(?:py|yml|yaml|md|toml)))`", README)
    assert len(found) > 5
    missing = [each for each in found if not any((ROOT / base / each).exists() for base in ("", "bot"))]
    assert missing == []


# ---- settings


def names_of(settings: Any) -> set[str]:
    """Return the names by which a settings class is set."""
    prefix = settings.model_config["env_prefix"]
    found = set()
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        found.add(str(getattr(alias, "choices", [alias])[0]) if alias is not None else f"{prefix}{name}".upper())
    return found


def known_settings() -> set[str]:
    return names_of(Settings) | names_of(ClientSettings)


SETTING = re.compile(r"\b(?:SLACK|DAPR|COUNTERSIGN)_[A-Z_]+\b")


def test_each_setting_that_the_readme_names_is_one() -> None:
    assert set(SETTING.findall(README)) - known_settings() == {"COUNTERSIGN_TEST_SIDECAR"}  # the tests' own


def test_the_example_env_names_settings_only_and_all_that_must_be_set() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    set_there = re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)
    assert set(set_there) <= known_settings()
    assert {"SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "COUNTERSIGN_SECRET_KEY"} <= set(set_there)


def test_the_example_env_holds_no_values() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert [line for line in example.splitlines() if re.fullmatch(r"[A-Z_]+=.+", line)] == []


# ---- the policy


def readme_policy() -> Policy:
    (text,) = fenced("yaml")
    return parse_policy(text)


def test_the_policy_that_the_readme_explains_is_taken_without_a_finding() -> None:
    found = [each for each in lint(readme_policy()) if each.severity != "info"]
    assert found == []


def test_the_policy_that_the_readme_explains_is_the_shipped_one() -> None:
    def facts(policy: Policy) -> list[tuple[Any, ...]]:
        return [
            (rule.name, rule.when.amount, rule.risk, [stage.within for stage in rule.stages]) for rule in policy.rules
        ]

    shipped = parse_policy((ROOT / "policy.yml").read_text(encoding="utf-8"))
    assert facts(readme_policy()) == facts(shipped)


def test_each_further_word_of_the_policy_is_understood() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "approvals/policy").glob("*.py"))
    words = ["stages", "needed", "escalate", "delegations", "reports_to", "channel", "roles"]
    assert [word for word in words if f"`{word}" not in README] == []
    assert [word for word in words if not re.search(rf"\b{word}\b", source)] == []


# ---- code and diagrams


def test_the_example_program_imports_what_is_there() -> None:
    (example,) = fenced("python")
    imports = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.ImportFrom)]
    missing = [
        alias.name
        for node in imports
        for alias in node.names
        if not hasattr(import_module(str(node.module)), alias.name)
    ]
    assert imports
    assert missing == []


def test_the_place_to_register_a_workflow_is_there() -> None:
    assert hasattr(import_module("bot.engine.worker"), "WORKFLOWS")


def test_the_state_diagram_is_the_one_that_the_exploration_made() -> None:
    page = (ROOT / "docs" / "explanation" / "state-machine.md").read_text(encoding="utf-8")
    wanted = [each for each in fenced("mermaid") if each.startswith("stateDiagram")]
    assert wanted == fenced("mermaid", page)


def test_the_sequence_diagram_names_what_the_program_does() -> None:
    (diagram,) = [each for each in fenced("mermaid") if each.startswith("sequenceDiagram")]
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", diagram))
    workflows = {"approval_workflow"} if hasattr(import_module("workflows.approval"), "approval_workflow") else set()
    event = {import_module("workflows.obtain").APPROVAL_DECISION}
    activities = {name for name in dir(Activities) if not name.startswith("_")}
    steps = set(re.findall(r"\b(step|record|announce)\b", diagram))
    assert {"approval_workflow", "request_approval", "judge_decision", "process_order"} <= named
    assert named <= activities | workflows | event
    assert steps <= activities | {"step"}


def test_the_statuses_are_dapr_s() -> None:
    (sentence,) = re.findall(r"Six statuses are Dapr's: ([A-Z, ]+)\.", README)
    known = {status.name for status in WorkflowStatus} - {"UNKNOWN"}
    assert set(sentence.split(", ")) <= known
    assert len(sentence.split(", ")) == 6
