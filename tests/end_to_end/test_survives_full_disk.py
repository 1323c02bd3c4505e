"""No room for the app's files, for real: nothing is acknowledged that is not stored, and room is all that it needs.

A limit on the size of the process's files makes the kernel refuse what SQLite writes, as a full disk does. It needs no
rights and no mount, and it stops the process's log as well.
"""

import contextlib
import resource
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from records import instances
from tests.end_to_end.conftest import STORY, Systems
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import REAL_SIDECAR, Order, System, eventually

PAGE = 4_096
"""Bytes: less than the first page of SQLite's log takes, wherever in the file it is written."""


@contextlib.contextmanager
def no_room(app: AppProcess) -> Iterator[None]:
    """Let the process's files grow no more."""
    _, most = before = resource.prlimit(app.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(app.pid, resource.RLIMIT_FSIZE, (PAGE, most))
    try:
        yield
    finally:
        resource.prlimit(app.pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def disk(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, AppProcess]]:
    """Give an app of its own process."""
    if REAL_SIDECAR:
        systems.stop()
    with running_apps(tmp_path_factory.mktemp("disk"), policy=STORY) as (system, apps):
        yield system, apps[0]
        assert apps[0].end()[0] == 0  # the same process all along


def counted_once(order: Order) -> None:
    assert order.result() == {"status": "completed"}
    assert (order.actions().count("request.accepted"), len(order.processed())) == (1, 1)


def test_a_click_without_room_is_not_acknowledged_and_counts_once_there_is_room(
    disk: tuple[System, AppProcess],
) -> None:
    system, app = disk
    order = system.order("no-room")
    order.card()
    with no_room(app):
        assert [order.click("U0MANAGER").ok for _ in range(3)] == [False, False, False]
        assert order.decisions() == ()
        assert httpx.get(f"{app.url}/livez").status_code == 200
        found = httpx.get(f"{app.url}/readyz")
        assert (found.status_code, found.json()["status"]) == (200, "degraded")
        assert "full" in found.json()["checks"]["database"]
    eventually(lambda: order.click("U0MANAGER").ok)
    counted_once(order)
    eventually(lambda: httpx.get(f"{app.url}/readyz").json()["status"] == "ready")


def test_a_start_without_room_says_so_without_the_file_s_name_and_starts_nothing(
    disk: tuple[System, AppProcess],
) -> None:
    system, app = disk
    system.token()
    with no_room(app):
        answer = system.start("unstored")
    assert answer.status_code == 503
    assert "it may be full" in answer.json()["detail"]
    assert "countersign.db" not in answer.text
    assert system.engine.get_workflow_state(f"order-{system.order_id('unstored')}-workflow") is None
    order = system.order("unstored")
    order.click("U0MANAGER")
    counted_once(order)


def test_a_deadline_that_passes_without_room_is_written_down_when_there_is_room(
    disk: tuple[System, AppProcess],
) -> None:
    system, app = disk
    order = system.order("late", currency="EUR")
    order.card()
    row = order.system.records(lambda connection: instances.get(connection, order.instance_id))
    assert row is not None
    deadline = row.deadline
    assert deadline is not None
    with no_room(app):
        eventually(lambda: datetime.now(UTC) > deadline)
        assert order.status() == "RUNNING"
    assert order.result(60) == {"status": "rejected", "reason": "approval_timeout"}
    order.card_says("Nobody answered")
