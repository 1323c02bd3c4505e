"""The files of the repository: what none of them may hold, and what the packages may import."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(r"[A-Za-z0-9._-]+(?:\[[a-z,-]+\])?==\S+(?: ; [^\\]+)?")
REGISTRIES = r"artifactory|/simple\b|nexus[./-]|index-url|devpi"
MACHINES = r"(?<![\w.~-])/(?:root|home|work|Users)/\w"
FOREIGN = re.compile(f"{REGISTRIES}|{MACHINES}")


def tracked() -> list[Path]:
    """Return the files that git keeps, or all but the ignored where this is no clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    ignored = {".venv", ".git", "__pycache__"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not ignored & set(path.parts)]


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked():
        if path == Path(__file__) or path.suffix in {".png", ".ico", ".woff2"}:
            continue
        text = path.read_text(encoding="utf-8")
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def test_no_file_names_a_package_registry_or_somebody_s_machine() -> None:
    assert lines_that_match(FOREIGN) == []


def test_the_search_would_find_what_it_looks_for() -> None:
    for planted in ("https://packages.example.com/simple/x", "see /" + "root/x", "/home/somebody", "--index-url x"):
        assert FOREIGN.search(planted)
    for harmless in ("a/home/b", "the home tab", "GET /work", "a simple rule"):
        assert not FOREIGN.search(harmless)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_each_requirement_is_pinned_with_hashes_and_without_an_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    entries = text.replace("\\\n", "").splitlines()
    assert len(entries) > 10
    loose = [each for each in entries if not (PINNED.match(each) and "--hash=sha256:" in each)]
    assert loose == []


def test_the_tests_have_all_that_the_program_has() -> None:
    def pinned(name: str) -> set[str]:
        lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
        return {line.split()[0] for line in lines if "==" in line and not line.startswith(" ")}

    assert pinned("runtime.txt") <= pinned("dev.txt")


@pytest.mark.parametrize("text", [path.read_text(encoding="utf-8") for path in REQUIREMENTS], ids=lambda _: "lock")
def test_the_older_workflow_package_that_overwrites_the_sdk_is_not_installed(text: str) -> None:
    assert "dapr-ext-workflow" not in text
    assert "dapr_ext_workflow" not in text


def test_the_older_workflow_package_is_not_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert [each for each in asked if each.startswith(("dapr-ext", "dapr_ext"))] == []
    assert any(each.startswith("dapr[workflow]") for each in asked)


def test_imports_go_one_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_carries_no_stand_ins_and_no_tests(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if ".dist-info" not in top} == {
        "activities", "approvals", "bot", "cards", "records", "workflows",
    }  # fmt: skip


def test_no_two_modules_give_two_limits_one_name() -> None:
    """LONGEST stood for seven lengths: a number's name says in every module what it is a number of."""
    found: dict[str, set[str]] = {}
    for tree in _modules().values():
        for name, value in _numbers(tree):
            found.setdefault(name, set()).add(value)
    assert {name: values for name, values in found.items() if len(values) > 1} == {}


def test_no_two_modules_give_two_classes_one_name() -> None:
    """`Known` stood for four things and `Answer` for five: a class is told by its name, in every module."""
    found: dict[str, list[str]] = {}
    for module, tree in _modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_no_two_modules_declare_the_same_constant() -> None:
    """Three modules had a pattern of e-mails: changed in one, it is another rule in the others."""
    found: dict[tuple[str, str], list[str]] = {}
    for module, tree in _modules().items():
        for node in tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and value is not None and not _is_each_module_s_own(target.id, value):
                found.setdefault((target.id, ast.unparse(value)), []).append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def _is_each_module_s_own(name: str, value: ast.expr) -> bool:
    made = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
    return name.startswith("_") or made in {"TypeVar", "ParamSpec", "structlog.get_logger"}


def _modules() -> dict[str, ast.Module]:
    packages = ("approvals", "workflows", "activities", "records", "cards", "bot")
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    paths = [path for path in paths if "versions" not in path.parts]  # a migration stays as it was
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def _numbers(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value: ast.expr | None = getattr(node, "value", None)
        is_number = isinstance(value, ast.Constant) and isinstance(value.value, int | float)
        is_time = isinstance(value, ast.Call) and ast.unparse(value.func) == "timedelta"
        if isinstance(target, ast.Name) and (is_number or is_time or isinstance(value, ast.BinOp)):
            yield target.id, ast.unparse(value)
