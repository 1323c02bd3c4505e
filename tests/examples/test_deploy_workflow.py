"""examples/deploy: a package with a workflow of its own, installed beside the app and run by its worker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.engine.extensions import ExtensionError, load
from bot.engine.worker import OURS
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import REAL_SIDECAR, ROOT, Order, System

EXAMPLE = ROOT / "examples/deploy"
POLICY = """
version: 1
channel: approvals
currency: USD
groups: {managers: managers}
rules:
  - name: deploys
    when: {kind: deploy}
    approve: [{group: managers}]
    within: 1 day
"""

pytestmark = pytest.mark.skipif(REAL_SIDECAR is not None, reason="its ids are those of the example")


def installed(package: Path, folder: Path) -> Path:
    """Install a package into a folder, as pip does it in a network without an index."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options, str(package)], check=True
    )
    return folder


def declaring(folder: Path, name: str, where: str, group: str = "countersign.workflows") -> Path:
    """Make an installed package that declares one entry point."""
    info = folder / "others-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {where}\n")
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "policy.yml").write_text(POLICY)
    packages = installed(EXAMPLE, folder / "packages")
    with running_apps(folder, packages=packages, policy=folder / "policy.yml") as (found, _):
        yield found


def started(system: System, instance_id: str, **more: str) -> Order:
    release = {"kind": "deploy", "subject": "release 7.1", "requester": "requester@example.com", **more}
    body = {"name": "deploy_workflow", "instance_id": instance_id, "input": release}
    answer = system.post("/workflows", body, by="operator@example.com", roles=("operator",))
    assert answer.status_code == 201, answer.text
    order = Order(system, instance_id, instance_id)
    order.card()
    return order


def test_a_workflow_of_another_package_is_started_asks_and_does_its_own_work(system: System) -> None:
    order = started(system, "deploy-7.1")
    order.click("U0MANAGER")
    assert order.output() == {"status": "deployed", "release": "release 7.1 is live"}
    line = system.http.get(
        "/workflows/deploy-7.1", headers={"Authorization": f"Bearer {system.token('o@example.com', 'operator')}"}
    ).json()["workflow"]
    assert (line["name"], line["kind"], line["subject"]) == ("deploy_workflow", "deploy", "release 7.1")


def test_a_rejection_ends_it_without_its_work(system: System) -> None:
    order = started(system, "deploy-7.2")
    order.reject("U0MANAGER", "not on a Friday")
    assert order.output() == {"status": "rejected", "reason": "not on a Friday"}


def test_readme_and_tutorial_show_the_example() -> None:
    code = (EXAMPLE / "deploy_workflow.py").read_text().splitlines()
    for page, own in (("README.md", 2), ("docs/tutorial/your-own-process.md", 1)):  # lines without types, or shorter
        blocks = [each.split("```")[0] for each in (ROOT / page).read_text().split("```python\n")]
        (block,) = (each for each in blocks if "def deploy_workflow(ctx, release: ApprovalRequest):" in each)
        shown = [line for line in block.splitlines() if line.strip()]
        assert len([line for line in shown if line not in code]) == own
    entries = (EXAMPLE / "pyproject.toml").read_text()
    tutorial = (ROOT / "docs/tutorial/your-own-process.md").read_text()
    assert all(line in entries for line in tutorial.split("```toml\n")[1].split("```")[0].splitlines())


@pytest.mark.parametrize(
    ("name", "where", "said"),
    [
        ("approval_workflow", "json:loads", "Countersign has this name itself"),
        ("Record", "json:loads", "Countersign has this name itself"),
        ("mine", "no_such_module:run", "it cannot be loaded (ModuleNotFoundError"),
        ("mine", "json:no_such_function", "it cannot be loaded (AttributeError"),
        ("mine", "sys:path", "is no function"),
        ("no good", "json:loads", "a name has letters"),
    ],
)
def test_what_cannot_be_registered_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str, said: str
) -> None:
    monkeypatch.syspath_prepend(str(declaring(tmp_path, name, where)))
    with pytest.raises(ExtensionError, match="of others") as caught:
        load(OURS)
    assert said in str(caught.value)


def test_two_packages_with_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("one", "two"):
        monkeypatch.syspath_prepend(str(declaring(tmp_path / number, "mine", "json:loads")))
        info = tmp_path / number / "others-1.dist-info"
        info.rename(info.with_name(f"{number}-1.dist-info"))
        (info.with_name(f"{number}-1.dist-info") / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {number}\n")
    with pytest.raises(ExtensionError, match="another package declares this name too"):
        load(OURS)


def test_the_app_does_not_start_with_an_entry_point_that_is_broken(system: System, tmp_path: Path) -> None:
    packages = declaring(tmp_path / "packages", "mine", "no_such_module:run")
    app = AppProcess(system.settings, tmp_path / "app.log", packages=packages)
    assert app.exit_code() == 2
    assert "The entry point 'mine' of others (group countersign.workflows): it cannot be loaded" in app.written
