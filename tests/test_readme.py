"""README.md is true: its commands exist; its files, settings, diagrams and examples are those of the code."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from activities import Activities
from approvals.policy.lint import lint
from approvals.policy.routing import Policy, parse_policy
from approvals.statuses import STATUSES
from bot.cli.main import COMMANDS, build, loaded
from bot.cli.remote import ClientSettings
from bot.process.settings import Settings
from tests.workflows.test_obtaining import MAYBE, REQUEST, Run, judged

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
    for parameter in command.params:
        if getattr(parameter, "prompt", None):  # a person is asked for what the line leaves out
            parameter.prompt, parameter.required = None, False
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


WITH_SLIM = [README, *(each.read_text(encoding="utf-8") for each in [*ROOT.glob("docs/**/*.md"), ROOT / "dapr.yaml"])]


def test_dapr_init_slim_is_never_named_without_the_two_parts_that_it_does_not_start() -> None:
    named = [text for text in WITH_SLIM if "--slim" in text]
    assert named, "a machine without a container engine has no other way"
    for text in named:
        for part in ("placement", "scheduler"):
            assert part in text[text.index("--slim") :], part
    assert "dapr init --slim" not in README
    assert "(docs/how-to/run-on-dapr.md)" in next(line for line in README.splitlines() if "placement" in line)


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
    assert set(SETTING.findall(README)) <= known_settings()


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
    words = ["stages", "needed", "escalate", "delegations"]
    assert [word for word in words if f"`{word}" not in README] == []
    assert [word for word in words if not re.search(rf"\b{word}\b", source)] == []


# ---- code and diagrams


def test_the_example_workflow_waits_for_the_answer_and_returns_it() -> None:
    (example,) = fenced("python")
    defined: dict[str, Any] = {}
    exec(example, defined)  # noqa: S102 it is our own README
    for approved, output in ((True, {"status": "approved"}), (False, {"status": "rejected", "reason": "So"})):
        run = Run(REQUEST, defined["deploy_workflow"])
        run.until("wait")
        run.answer(MAYBE)
        run.answer(judged(approved=approved))
        run.end()
        assert run.output == output


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_way_of_one_click_names_what_the_program_does() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    (diagram,) = [each for each in fenced("mermaid", page) if each.startswith("sequenceDiagram")]
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b|\brecord\b", diagram))
    event = {import_module("workflows.obtain").APPROVAL_DECISION}
    activities = {name for name in dir(Activities) if not name.startswith("_")}
    assert {"approval_decision", "judge_decision", "record", "process_order"} == named
    assert named <= activities | event


def test_the_statuses_are_dapr_s() -> None:
    page = (ROOT / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"The statuses are Dapr's: ([A-Z, ]+ and [A-Z]+)\.", page)
    assert re.split(", | and ", listed) == list(STATUSES)
