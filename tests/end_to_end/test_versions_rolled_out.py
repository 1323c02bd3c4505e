"""A changed workflow is rolled out over requests that wait: in two deployments, beside the version they began with."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from bot.cli.checks import CheckResult
from bot.cli.replay_check import replayed
from bot.services import Services
from local.sidecar import Sidecar
from tests.end_to_end.control_room import key
from tests.end_to_end.system import REAL_SIDECAR, AppServer, Order, System, eventually, settings_for, workspace
from tests.workflows.next_version import CHANGED, KNOWN, TAKEN
from workflows.versions import APPROVALS, Versions

ONLY_NEW = TAKEN._replace(each=TAKEN.each[1:])


class Fleet:
    """One sidecar, workspace and database; the apps on them are deployed one after the other, or beside each other."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        sidecar = REAL_SIDECAR or stack.enter_context(Sidecar(folder / "sidecar.db")).address
        self._slack = stack.enter_context(workspace())
        self.settings = settings_for(folder, self._slack, sidecar, reconcile_every_seconds=0.5)
        self._sidecar = sidecar

    @contextlib.contextmanager
    def deployed(self, versions: Versions) -> Iterator[System]:
        """Run the app with these versions. What Slack sends goes to the one that was deployed last."""
        before = self._slack.deliver_to
        with AppServer(self.settings, partial(Services, approvals=versions)) as url:
            self._slack.deliver_to = f"{url}/slack/events"
            system = System(self._slack, url, self.settings, self._sidecar)
            eventually(lambda: system.http.get("/readyz").status_code == 200)
            yield system
            system.http.close()
        self._slack.deliver_to = before

    def check(self, versions: Versions) -> list[CheckResult]:
        """Ask what `countersign config check --replay` of a program with these versions would say."""
        return asyncio.run(replayed(self.settings, versions))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path, stack)


def waiting(system: System, *names: str) -> list[Order]:
    orders = [system.order(name) for name in names]
    for order in orders:
        order.card()
    return orders


def seen_by(system: System, orders: list[Order]) -> list[Order]:
    return [Order(system, order.id) for order in orders]


DONE = {"status": "completed"}


def test_in_two_deployments_no_waiting_request_fails(fleet: Fleet) -> None:
    with fleet.deployed(APPROVALS) as system:
        orders = waiting(system, "a", "b", "c")
    assert [each.state for each in fleet.check(KNOWN)] == ["ok"]
    with fleet.deployed(KNOWN) as system:
        orders = seen_by(system, orders) + waiting(system, "d")
        orders[0].click("U0MANAGER")
        assert orders[0].result() == DONE
    with fleet.deployed(KNOWN), fleet.deployed(TAKEN) as system:
        orders = seen_by(system, orders)
        orders[1].click("U0MANAGER")
        assert orders[1].result() == DONE
    with fleet.deployed(TAKEN) as system:
        orders = seen_by(system, orders)
        [late] = waiting(system, "late")
        for order in (*orders[2:], late):
            order.click("U0MANAGER")
        assert [order.result() for order in (*orders, late)] == [DONE] * 5
        assert late.output()["by"] == "v2"
        assert [len(order.processed()) for order in (*orders, late)] == [1] * 5


def test_a_worker_without_the_version_leaves_the_request_waiting_and_says_so(fleet: Fleet) -> None:
    with fleet.deployed(APPROVALS) as system:
        [order] = waiting(system, "kept")
    with fleet.deployed(ONLY_NEW) as system:
        order = seen_by(system, [order])[0]
        assert order.click("U0MANAGER").ok
        eventually(lambda: order.status() == "STALLED")
        why = partial(_diagnosis, system, order)
        eventually(lambda: "no worker knows this version" in why(), 20)
        assert "Deploy a worker that knows the version" in why()
        told = " ".join(system.private("U0MANAGER"))
        assert not {"request.refused", "decision.refused"} & set(order.actions())
        assert "over" not in told
    with fleet.deployed(TAKEN) as system:
        order = seen_by(system, [order])[0]
        assert order.result() == DONE
        assert len(order.processed()) == 1
        assert not {"request.refused", "decision.refused"} & set(order.actions())


def test_who_decided_is_told_that_a_changed_version_broke_the_request_off(fleet: Fleet) -> None:
    """The mistake that all of this is against: it must not be answered as if the request had ended."""
    with fleet.deployed(APPROVALS) as system:
        [order] = waiting(system, "broken-off")
    with fleet.deployed(CHANGED) as system:
        order = seen_by(system, [order])[0]
        with system.hears("U0MANAGER", "has broken off with an error before it was decided"):
            assert order.click("U0MANAGER").ok
        assert order.status() == "FAILED"
        assert "request is over" not in " ".join(system.private("U0MANAGER"))
        assert order.processed() == ()


def _diagnosis(system: System, order: Order) -> str:
    return system.http.get(f"/workflows/{order.instance_id}/diagnosis", headers=key(system, "operator")).text


@pytest.mark.parametrize(
    ("versions", "part"),
    [(CHANGED, "this program would break it off: it would fail"), (ONLY_NEW, "its version is not in this program")],
    ids=["a changed v1", "v1 taken away"],
)
def test_the_replay_before_a_deployment_names_what_it_would_break(fleet: Fleet, versions: Versions, part: str) -> None:
    with fleet.deployed(APPROVALS) as system:
        [order, ended] = waiting(system, "broken", "ended")
        ended.click("U0MANAGER")
        assert ended.result() == DONE
        found = [each for each in fleet.check(versions) if order.instance_id in each.what_to_do]
        assert [each.state for each in found] == ["wrong"]
        assert part in found[0].what_to_do
        assert "docs/how-to/change-a-waiting-workflow.md" in found[0].what_to_do
        assert not [each for each in fleet.check(versions) if ended.instance_id in each.what_to_do]
        order.click("U0MANAGER")
        assert order.result() == DONE


def test_the_replay_changes_nothing(fleet: Fleet) -> None:
    with fleet.deployed(APPROVALS) as system:
        [order] = waiting(system, "read")
        eventually(lambda: "card.posted" in order.actions())
        time.sleep(0.5)  # the turn after it
        before = (order.actions(), order.state().last_updated_at)
        assert [each.what_to_do for each in fleet.check(APPROVALS)] == ["requests that wait: 1 on v1"]
        assert (order.actions(), order.state().last_updated_at) == before
