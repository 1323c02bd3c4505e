"""The project's habits hold: its make commands, its hosted workflows, its licence, its bounds."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def make(*arguments: str, path: str = os.environ["PATH"]) -> str:
    """Return what make prints, without its running anything but the Makefile's own look for a Python."""
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def pythons(folder: Path, *names: str) -> str:
    """Return a PATH whose only Pythons are `names`; one that is written with a - cannot make an environment."""
    for tool in ("sh", "make", "echo", "test", "touch"):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    for name in names:
        program = folder / name.removesuffix("-")
        program.write_text(f"#!/bin/sh\nexit {int(name.endswith('-'))}\n", encoding="utf-8")
        program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (["python3.11", "python3.12", "python3.13"], "python3.13"),
        (["python3.11", "python3.13-"], "python3.11"),
        (["python3"], "python3"),
    ],
    ids=["the newest", "the newest that can make an environment", "one without a version in its name"],
)
def test_make_finds_the_newest_python_by_itself(tmp_path: Path, found: list[str], chosen: str) -> None:
    assert f"{chosen} -m venv .venv" in make("-n", "-B", "install", path=pythons(tmp_path, *found))


def test_make_takes_the_python_that_is_named(tmp_path: Path) -> None:
    path = pythons(tmp_path, "python3.11", "python3.13")
    assert "python3.11 -m venv .venv" in make("-n", "-B", "install", "PYTHON=python3.11", path=path)


def test_make_help_lists_each_command() -> None:
    (listed,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(re.findall(r"^make ([\w-]+) +\S", make("help"), re.MULTILINE)) == sorted(listed.split())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_action_is_pinned_by_its_commit_with_its_version_beside_it(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert uses
    assert [each for each in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_hosted_workflow_may_do_nothing_that_a_job_does_not_name(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    assert [name for name, job in workflow["jobs"].items() if "permissions" not in job] == []


def test_the_hosted_tests_run_on_each_python_that_the_project_names() -> None:
    named = [each.rsplit(" ", 1)[1] for each in PROJECT["classifiers"] if ":: Python :: 3." in each]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == named


def test_the_licence_is_the_one_that_the_package_names() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["dapr[workflow]", "uvicorn", "sqlalchemy[asyncio]", "aiosqlite", "alembic"])
def test_each_package_of_which_a_private_name_is_used_has_an_upper_bound(package: str) -> None:
    (wanted,) = [each for each in PROJECT["dependencies"] if each.startswith(f"{package}>=")]
    assert ",<" in wanted


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert PROJECT["version"] in headings
