"""What runs beside the requests, broken from outside: each failure is logged, counted, shown, retried, and passes."""

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.control_room import key
from tests.end_to_end.processes import AppProcess, running_apps, variables
from tests.end_to_end.system import ROOT, System, eventually

PAYLOAD = "payload='{'"
TABLES = {
    "deliverer": ("intake", "instances"),
    "follow": ("instances",),
    "cards": ("instances",),
    "look": ("instances",),
    "sweep": ("instances",),
    "following": ("instances",),
    "pruning": ("replays",),
    "checkpoints": ("audit",),
}
"""Each loop and the tables without which it cannot work; the deliverer leaves out what is paused."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, AppProcess, Path]]:
    """Give an app of its own process, which does every round soon."""
    folder = tmp_path_factory.mktemp("loops")
    soon = {"reconcile_every_seconds": 0.5, "checkpoint_every_minutes": 0.01, "checkpoint_dir": folder / "kept"}
    with running_apps(folder, **soon) as (system, apps):
        yield system, apps[0], folder


def sql(folder: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "countersign.db", timeout=20)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def figure(system: System, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in text_string_to_metric_families(system.http.get("/metrics").text)
        for sample in family.samples
        if sample.name == f"countersign_{name}" and sample.labels == labels
    ]
    return found[0] if found else 0.0


def readiness(system: System) -> dict[str, str]:
    return {"status": str(system.http.get("/readyz").status_code), **system.http.get("/readyz").json()["checks"]}


@pytest.mark.parametrize("table", sorted({table for needs in TABLES.values() for table in needs}))
def test_each_loop_that_fails_is_logged_counted_and_shown_and_goes_on(
    broken: tuple[System, AppProcess, Path], table: str
) -> None:
    system, app, folder = broken
    loops = {loop for loop, needs in TABLES.items() if table in needs} - {"pruning"}  # that one looks once a minute
    with system.http.stream("GET", "/events", headers=key(system, "operator")) as stream:
        lines = stream.iter_lines()  # its end would close the stream
        assert next(lines) == ": following"
        time.sleep(1)  # until nothing moves and the follower waits for the loop
        sql(folder, f"ALTER TABLE {table} RENAME TO away")
        try:
            for loop in loops:
                eventually(lambda loop=loop: f"'{loop}'" in readiness(system).get(f"loop {loop}", ""), 30)  # type: ignore[misc]
                assert figure(system, "loop_down", loop=loop) == 1
                assert figure(system, "loop_failures_total", loop=loop) >= 3
            assert readiness(system)["status"] == "200"
        finally:
            sql(folder, f"ALTER TABLE away RENAME TO {table}")
        eventually(lambda: not [name for name in readiness(system) if name.startswith("loop")], 30)
    assert not loops or "Traceback" in app.written
    order = system.order(f"after-{table}")
    order.card()
    assert order.click("U0MANAGER").ok
    assert order.result() == {"status": "completed"}


def test_a_folder_that_cannot_be_written_shows_and_takes_no_decision_away(
    broken: tuple[System, AppProcess, Path],
) -> None:
    system, _, folder = broken
    kept = folder / "kept"
    system.order("signed")
    eventually(kept.exists)
    kept.rename(folder / "elsewhere")
    kept.write_text("a file stands where the folder was")
    try:
        order = system.order("no-folder")
        found = eventually(lambda: (now := readiness(system)).get("loop checkpoints") and now, 30)
        assert (found["status"], system.http.get("/readyz").json()["status"]) == ("200", "degraded")
        assert str(folder) not in found["loop checkpoints"]
        order.card()
        assert order.click("U0MANAGER").ok
        assert order.result() == {"status": "completed"}
    finally:
        kept.unlink()
        (folder / "elsewhere").rename(kept)
    eventually(lambda: "loop checkpoints" not in readiness(system), 30)


def test_a_damaged_row_in_each_table_stops_no_other_and_is_named(broken: tuple[System, AppProcess, Path]) -> None:
    system, _, folder = broken
    bad = system.order("damaged")
    bad.card()
    good = system.order("sound")
    good.card()
    sql(
        folder,
        f"UPDATE instances SET cards='[1]', state='{{' WHERE instance_id='{bad.instance_id}'",  # noqa: S608 our own id
        "INSERT INTO intake (id, instance_id, payload, person, through, state, attempts, next_attempt_at, created_at) "
        "VALUES ('damaged-decision', 'i', '{', 'T/U', 'slack', 'pending', 0, 1, 1)",
        "INSERT INTO checkpoints (seq, key_id, hash, at, signature) VALUES (999999, 'k', 'h', 'never', 's')",
        "INSERT INTO policies (version, content, seen_at, last_seen_at) VALUES ('v', 'c', 'x', 9223372036854775807)",
    )
    listed = system.http.get("/workflows", headers=key(system, "operator"))
    assert listed.status_code == 200
    assert good.instance_id in listed.text
    assert system.http.get("/statistics", headers=key(system, "operator")).status_code == 200
    assert good.click("U0MANAGER").ok
    assert good.result() == {"status": "completed"}
    assert "cannot be read" in eventually(lambda: readiness(system).get("rows", ""), 30)
    eventually(lambda: figure(system, "rows_unreadable", table="intake") == 1, 40)
    eventually(lambda: figure(system, "rows_unreadable", table="instances") == 1, 40)
    assert not [name for name in readiness(system) if name.startswith("loop")]
    answer = system.http.get(f"/workflows/{bad.instance_id}", headers=key(system, "operator"))
    assert (answer.status_code, "doctor" in answer.text) == (500, True)
    looked = doctor(system, folder)
    for name in ("damaged-decision", bad.instance_id, "checkpoints", "policies"):
        assert name in looked.stdout
    after = system.order("after-damage")
    after.card()


def doctor(system: System, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bot.cli", "doctor", "--look", "--settled", "0", "--output", "json"]
    environment = variables(system.settings) | {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_metrics_and_health_answer_whatever_is_damaged(broken: tuple[System, AppProcess, Path]) -> None:
    system, _, folder = broken
    sql(folder, "UPDATE instances SET decided_at='x', updated_at='y', amount='z', ended_as='?', asked_at='q'")
    for path in ("/metrics", "/readyz", "/livez"):
        assert httpx.get(system.url + path).status_code == 200
    for path in ("/workflows", "/statistics", "/workflows?sort=deadline"):
        assert system.http.get(path, headers=key(system, "operator")).status_code == 200
