"""client/: its own tests pass with all of it covered, it needs httpx and pydantic alone, no name clashes."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "client/src"


def test_its_own_tests_pass_and_cover_every_branch(tmp_path: Path) -> None:
    options = [
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "--cov=countersign",
        "--cov-branch",
        "--cov-fail-under=100",
    ]
    more = ["--cov-report=term-missing", "-o", "addopts=--import-mode=importlib", "client/tests"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "COVERAGE_FILE": str(tmp_path / "coverage")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *more],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_needs_httpx_and_pydantic_alone() -> None:
    declared = tomllib.loads((ROOT / "client/pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[<>=]", each)[0] for each in declared} == {"httpx", "pydantic"}
    imports = re.findall(
        r"^(?:from|import) (\w+)", "\n".join(path.read_text() for path in SOURCE.rglob("*.py")), re.MULTILINE
    )
    outside = set(imports) - set(sys.stdlib_module_names) - {"countersign"}
    assert outside == {"httpx", "pydantic", "pytest"}  # pytest in countersign.testing, which only pytest loads


def test_its_name_is_no_package_of_the_program() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    assert "countersign" not in shipped
    assert not (ROOT / "countersign").exists()
