"""What README.md tells people to type: each countersign command runs, in its order, on a running system."""

import re
import shlex
from pathlib import Path

import pytest

from tests.bot.cli.calling import run
from tests.end_to_end.processes import variables
from tests.end_to_end.system import REAL_SIDECAR, ROOT, running

README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVERS = {"run", "demo", "sidecar"}
"""They go on until they are ended, and have tests of their own."""


def commands() -> list[str]:
    """Return the README's countersign commands in their order."""
    lines = re.findall(r"^\$ (countersign .+)$", README, re.MULTILINE)
    inline = re.findall(r"`(countersign (?:config|manifest)[^`]+)`", README)
    return [line for line in (*lines, *dict.fromkeys(inline)) if line.split()[1] not in SERVERS]


@pytest.mark.skipif(REAL_SIDECAR is not None, reason="order 42 of an earlier run stands there")
def test_each_command_of_the_readme_works_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with running(tmp_path) as system:
        settings = variables(system.settings) | {"COUNTERSIGN_URL": system.url}
        key = operator = system.token("operator@example.com", "operator")
        for line in commands():
            key = key if " order start " in line else operator
            agreed = ["--yes"] if " terminate " in line else []  # a person is asked in the terminal
            done = run(*shlex.split(line)[1:], *agreed, **settings, COUNTERSIGN_API_KEY=key)
            assert done.code == 0, f"{line}: {done.out}{done.err}"
            assert done.out.strip(), line
            if " keys create " in line:
                (key,) = re.findall(r"\bcs_\S+", done.out)
