"""kill -9 of the app in the middle of bulk operations: they go on by themselves, and each instance has one result."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bulk import ITEMS_AT_ONCE
from bot.control.operations.selection import BulkAction
from bot.process.settings import Settings
from local.sidecar import Sidecar
from local.slack import LocalSlack
from records import audit, leases, tables
from records.database import Database
from tests.end_to_end.control_room import Room, ok
from tests.end_to_end.forking import Forks
from tests.end_to_end.system import REAL_SIDECAR, SHARED, System, eventually, settings_for, workspace

MANY = 40
OTHERS = 3
"""Orders that the dry run does not list."""


class Killed:
    """The app, that is killed and started again on the same sidecar and database."""

    def __init__(self, forks: Forks, slack: LocalSlack, settings: Settings, sidecar: str) -> None:
        self._forks = forks
        self._settings = settings
        self._pid, url = forks.start(settings)
        slack.deliver_to = f"{url}/slack/events"
        self.system = System(slack, url, settings, sidecar)
        self.up()

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        eventually(self._gone)

    def start(self) -> None:
        self._pid, url = self._forks.start(self._settings)
        self.system.slack.deliver_to = f"{url}/slack/events"
        self.system.http.base_url = url
        self.up()

    def up(self) -> None:
        eventually(lambda: self.system.http.get("/readyz").json()["status"] == "ready")

    def _gone(self) -> bool:
        try:
            self.system.http.get("/livez")
        except httpx.TransportError:
            return True
        return False


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Killed]:
    with ExitStack() as stack:
        for stop in SHARED if REAL_SIDECAR else ():
            stop()
        sidecar = REAL_SIDECAR or stack.enter_context(Sidecar(tmp_path / "sidecar.db")).address
        slack = stack.enter_context(workspace())
        settings = settings_for(tmp_path, slack, sidecar, reconcile_every_seconds=0.5)
        started = Killed(stack.enter_context(Forks()), slack, settings, sidecar)
        stack.callback(started.system.http.close)
        yield started


@pytest.mark.timeout(300)  # two kills among forty orders
def test_a_bulk_operation_goes_on_after_a_kill_and_each_instance_has_one_result(app: Killed) -> None:
    room = Room(app.system)
    others = orders(room, "calm", OTHERS)
    listed = orders(room, "torn", MANY)
    eventually(lambda: len(app.system.slack.messages("approvals")) == MANY + OTHERS, 40)

    survives(app, room, "terminate", listed)
    assert {line(room, each)["status"] for each in listed} == {"TERMINATED"}
    for each in listed:
        room.without_buttons(each, 40)
        assert line(room, each)["phase"] == "terminated"

    survives(app, room, "purge", listed)
    assert all(room.get(f"/workflows/{each}")["purged"] for each in listed)
    for each in others:
        assert line(room, each)["status"] == "RUNNING"
        assert managed(room, each) == []
    assert asyncio.run(whole(app.system.settings.database_url))


def orders(room: Room, name: str, count: int) -> list[str]:
    names = [room.system.order_id(f"{name}-{number:02}") for number in range(count)]
    for each in names:
        ok(room.post(f"/orders/{each}/start", {"amount": 2400}, room.requester))
    return [f"order-{each}-workflow" for each in names]


def survives(app: Killed, room: Room, action: BulkAction, listed: list[str]) -> None:
    """Do it to all that are listed, killing the app when some have a result and not all."""
    words = f"torn {room.system.order_id('x')[2:]}"
    eventually(lambda: plan(room, action, words)["ids"] == listed)
    token = plan(room, action, words)["token"]
    room.system.records(lambda connection: hold(connection, listed[-1]), write=True)
    body = {"action": action, "dry_run": False, "token": token, "reason": "Ordered twice"}
    operation_id = ok(room.post("/workflows/bulk", body))["operation_id"]
    page = f"/workflows/bulk/{operation_id}"
    eventually(lambda: room.get(page)["done"])
    app.kill()
    before = room.system.records(lambda connection: without_result(connection, operation_id))
    held = room.system.records(holders)
    assert 0 < len(before) < len(listed)

    app.start()
    room.system.records(lambda connection: let_leases_end(connection, held), write=True)
    ended = eventually(lambda: (now := room.get(page))["state"] == "done" and now, 40)
    assert (ended["total"], ended["done"]) == (len(listed), len(listed)), ended
    results = room.get(f"{page}/results")["results"]
    assert [each["instance_id"] for each in results] == listed
    assert all(each["state"] == "done" and each["result"] for each in results)

    # A call is audited before it is made, so one that the kill has cut off stands there without its effect, and again
    # when it is made. That can only be one of those that were at work at the same time.
    calls = {each: managed(room, each).count(f"workflow.{action}") for each in listed}
    twice = {each for each, count in calls.items() if count == 2}
    assert set(calls.values()) <= {1, 2}
    assert twice <= set(before)
    assert len(twice) <= ITEMS_AT_ONCE
    state = room.get(f"/workflows/{ended['workflow']}")["workflow"]
    assert state["custom_status"] == f"{MANY} of {MANY}: {MANY} done, 0 failed, 0 skipped"


def plan(room: Room, action: BulkAction, words: str) -> Any:
    return ok(room.post("/workflows/bulk", {"action": action, "filter": {"q": words}}))


def line(room: Room, instance_id: str) -> Any:
    return room.get(f"/workflows/{instance_id}")["workflow"]


def managed(room: Room, instance_id: str) -> list[str]:
    """Return the management calls in an instance's audit, oldest first."""
    entries = room.system.records(lambda connection: audit.of_instance(connection, instance_id))
    return [each.action for each in entries if each.action.startswith("workflow.")]


async def without_result(connection: AsyncConnection, operation_id: str) -> list[str]:
    items = tables.bulk_items.c
    found = sa.select(items.instance_id).where(items.operation_id == operation_id, items.state == "pending")
    return list((await connection.execute(found)).scalars())


async def hold(connection: AsyncConnection, instance_id: str) -> None:
    """Hold an instance as another process does whose call is at work: so the operation never ends before the kill."""
    assert await leases.take(connection, instance_id, "another process", datetime.now(UTC), timedelta(minutes=2))


async def holders(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(sa.select(tables.leases.c.holder))).scalars())


async def let_leases_end(connection: AsyncConnection, held: list[str]) -> None:
    """Let pass the two minutes after which those that died hold nothing any more."""
    change = sa.update(tables.leases).where(tables.leases.c.holder.in_(held))
    await connection.execute(change.values(until=datetime.now(UTC)))


async def whole(database_url: str) -> bool:
    """Say whether the audit's chain is unbroken."""
    database = Database.open(database_url)
    try:
        return (await audit.verify(database)).ok
    finally:
        await database.close()
