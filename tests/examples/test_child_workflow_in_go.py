"""The child workflow called from Go: `examples/child-workflow/go`, built with Dapr's own SDK for Go.

Wants Go, and the module `github.com/dapr/durabletask-go` from its proxy, or from a checkout that
COUNTERSIGN_TEST_DURABLETASK_GO names.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.sidecar import Sidecar
from tests.end_to_end.system import REAL_SIDECAR, ROOT, Order, System, running

SAMPLE = ROOT / "examples/child-workflow/go"
CHECKOUT = os.environ.get("COUNTERSIGN_TEST_DURABLETASK_GO", "")
MODULE = "github.com/dapr/durabletask-go"
GO = shutil.which("go")
POLICY = """
version: 1
channel: approvals
currency: EUR
groups: {managers: managers}
rules:
  - {name: refunds, when: {kind: refund}, approve: [{group: managers}], within: 1 day}
"""

pytestmark = [
    pytest.mark.skipif(REAL_SIDECAR is not None, reason="it needs a second sidecar with an app-id of its own"),
    pytest.mark.skipif(GO is None, reason="Go is not installed"),
]


def go(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    assert GO is not None
    return subprocess.run([GO, *words], cwd=folder, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sample, as `go build` does."""
    folder = tmp_path_factory.mktemp("go") / "refund"
    shutil.copytree(SAMPLE, folder)
    if CHECKOUT:
        go(folder, "mod", "edit", "-replace", f"{MODULE}={CHECKOUT}")
        tidy = go(folder, "mod", "tidy")
        assert tidy.returncode == 0, tidy.stderr
    built = go(folder, "build", "-o", "refund-app", ".")
    assert built.returncode == 0, built.stderr
    return folder / "refund-app"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, str]]:
    folder = tmp_path_factory.mktemp("apps")
    (folder / "policy.yml").write_text(POLICY)
    with (
        Sidecar(folder / "both.db", apps={"shop": 0}) as sidecar,
        running(folder, sidecar=sidecar.address, policy=folder / "policy.yml") as system,
    ):
        yield system, sidecar.addresses["shop"].rpartition(":")[2]


@contextmanager
def refunding(program: Path, port: str, order: str) -> "Iterator[subprocess.Popen[str]]":
    environment = os.environ | {"DAPR_GRPC_PORT": port}
    with subprocess.Popen(
        [program, order, "250.00"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"refund-{order} waits for a human yes\n"
        yield process
        process.kill()


def request_of(system: System, order: str) -> Order:
    return Order(system, f"refund-{order}-approval", f"refund-{order}-approval")


def ended(process: "subprocess.Popen[str]") -> dict[str, object]:
    assert process.stdout is not None
    found: dict[str, object] = json.loads(process.stdout.readline())
    return found


def test_a_workflow_in_go_waits_for_a_click_and_refunds(program: Path, both: tuple[System, str]) -> None:
    system, port = both
    with refunding(program, port, "1") as process:
        request_of(system, "1").click("U0MANAGER")
        said = ended(process)
    assert (said["status"], said["refunded"]) == ("refunded", "250.00 EUR for order 1")
    assert isinstance(said["by"], list)
    assert len(said["by"]) == 1


def test_a_workflow_in_go_is_told_why_people_said_no(program: Path, both: tuple[System, str]) -> None:
    system, port = both
    with refunding(program, port, "2") as process:
        request_of(system, "2").reject("U0MANAGER", "the parcel did arrive")
        assert ended(process) == {"status": "rejected", "reason": "the parcel did arrive"}


def test_a_kill_of_the_caller_in_go_loses_nothing(program: Path, both: tuple[System, str]) -> None:
    system, port = both
    with refunding(program, port, "3"):
        request_of(system, "3").card()
    request_of(system, "3").click("U0MANAGER")
    with refunding(program, port, "3") as process:
        assert ended(process)["status"] == "refunded"
