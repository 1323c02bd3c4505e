"""A file of the version before app-ids is moved on, wholly or not at all."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from local.sidecar import Sidecar, schema
from local.sidecar.store import Reader
from tests.local.sidecar.cast import staffed

pytestmark = pytest.mark.local_only

BACK_TO_1 = """
CREATE TABLE instances_1 (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, status INTEGER NOT NULL,
    run INTEGER NOT NULL DEFAULT 1, length INTEGER NOT NULL DEFAULT 0, execution TEXT NOT NULL DEFAULT '',
    parent TEXT, parent_task INTEGER, custom_status TEXT
);
INSERT INTO instances_1
    SELECT key, id, status, run, length, execution, parent, parent_task, custom_status FROM instances;
DROP TABLE instances;
ALTER TABLE instances_1 RENAME TO instances;
UPDATE sqlite_sequence SET seq = 70 WHERE name = 'instances';
PRAGMA user_version = 1;
"""


@pytest.fixture
def older(tmp_path: Path) -> Any:
    """Give a version 1 file with a parent and a child that wait, in which instance 70 was purged."""
    path = tmp_path / "workflows.db"
    with Sidecar(path) as sidecar, staffed(sidecar.address, "older") as house:
        house.schedule("parent", {"t": 60}, "p")
    with sqlite3.connect(path) as database:
        database.executescript(BACK_TO_1)
    return path


def test_what_waits_in_an_older_file_goes_on(older: Path) -> None:
    with Sidecar(older) as sidecar, staffed(sidecar.address, "older") as house:
        assert list(house.client.iter_workflow_instance_ids()) == ["p", "p-child"]
        house.raise_event("p-child", "approval_decision", {"ok": True})
        assert house.finish("p").serialized_output == '{"status": "ok", "seen": 1}'
        house.finish(house.schedule("nothing"))


def test_no_key_of_an_older_file_is_used_twice(older: Path) -> None:
    schema.prepare(older, "app")
    with schema.connect(older) as database:
        database.execute("INSERT INTO instances (app, id, status) VALUES ('app', 'new', 0)")
        reader = Reader(database)
        rows = [reader.find("app", name) for name in ("p", "p-child", "new")]
    assert [row.key for row in rows if row] == [1, 2, 71]
    assert [row.parent_app for row in rows if row] == [None, "app", None]


def test_a_move_that_fails_leaves_the_older_file_as_it_was(older: Path) -> None:
    with sqlite3.connect(older) as database:
        database.execute("CREATE TABLE instances_1 (key)")
    with pytest.raises(schema.SidecarError, match="can't be used as the sidecar's database"):
        schema.prepare(older, "app")
    with sqlite3.connect(older) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT id FROM instances").fetchall() == [("p",), ("p-child",)]
