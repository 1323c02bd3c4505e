"""A database that was restored to a moment before: the rows follow the engine, and no operator is blamed."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.process.settings import Settings
from local.sidecar import Sidecar
from local.slack import LocalSlack
from tests.end_to_end.system import (
    REAL_SIDECAR,
    AppServer,
    Order,
    System,
    buttons_of,
    eventually,
    settings_for,
    text_of,
    workspace,
)


@contextlib.contextmanager
def app(slack: LocalSlack, settings: Settings, sidecar: str) -> Iterator[System]:
    """Run the app on parts that go on without it."""
    with AppServer(settings) as url:
        slack.deliver_to = f"{url}/slack/events"
        system = System(slack, url, settings, sidecar)
        eventually(lambda: system.http.get("/readyz").status_code == 200)
        try:
            yield system
        finally:
            slack.deliver_to = None
            system.http.close()


def copied(source: Path, target: Path) -> None:
    """Copy a database as it is now, its log included."""
    for each in target.parent.glob(f"{target.name}*"):
        each.unlink()
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def moved(order: Order, system: System) -> Order:
    found = Order(system, "")
    found.id, found.instance_id = order.id, order.instance_id
    return found


@pytest.mark.skipif(REAL_SIDECAR is not None, reason="it needs an engine of its own")
def test_rows_that_are_behind_or_missing_follow_the_engine_and_nobody_is_told_twice(tmp_path: Path) -> None:
    with Sidecar(tmp_path / "sidecar.db") as sidecar, workspace() as slack:
        settings = settings_for(tmp_path, slack, sidecar.address, reconcile_every_seconds=1.0)
        database = tmp_path / "countersign.db"
        with app(slack, settings, sidecar.address) as system:
            orders = {name: system.order(name) for name in ("approved", "rejected", "waits")}
            for order in orders.values():
                order.card()
            copied(database, tmp_path / "kept.db")
            orders["missing"] = system.order("missing")
            orders["missing"].card()
            assert orders["approved"].click("U0MANAGER").ok
            assert orders["rejected"].reject("U0MANAGER", "too expensive").ok
            for name in ("approved", "rejected"):
                orders[name].output()
                eventually(lambda name=name: orders[name].thread(), 30)  # type: ignore[misc]
        copied(tmp_path / "kept.db", database)
        told = {name: len(orders[name].thread()) for name in ("approved", "rejected")}
        with app(slack, settings, sidecar.address) as system:
            now = {name: moved(order, system) for name, order in orders.items()}
            for name in ("approved", "rejected", "missing"):
                eventually(lambda name=name: "workflow.found_ahead" in now[name].actions(), 60)  # type: ignore[misc]
            assert "Stopped" not in text_of(now["approved"].card_says("Approved", seconds=30))
            assert "Stopped" not in text_of(now["rejected"].card_says("Rejected", "too expensive", seconds=30))
            for name in ("waits", "missing"):
                assert now[name].click("U0MANAGER").ok
                assert now[name].result() == {"status": "completed"}
            assert {name: len(now[name].thread()) for name in told} == told
            assert not [name for name in told if buttons_of(now[name].card())]
            assert "operator" not in " ".join(system.private("U0REQUESTER")).lower()
