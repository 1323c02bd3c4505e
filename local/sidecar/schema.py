"""Opening the database file: locked against a second sidecar, recognised, never rebuilt. Raises SidecarError."""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final

from local.sidecar.errors import SidecarError

APPLICATION_ID: Final = 0x43535743  # "CSWC"
VERSION: Final = 2

_INSTANCES: Final = """
CREATE TABLE instances (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- creation order; never used twice
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    status INTEGER NOT NULL,
    run INTEGER NOT NULL DEFAULT 1,         -- counts generations and new runs of the same id
    length INTEGER NOT NULL DEFAULT 0,      -- the number of history rows
    execution TEXT NOT NULL DEFAULT '',
    parent_app TEXT,
    parent TEXT,
    parent_task INTEGER,
    custom_status TEXT,
    UNIQUE (app, id)
)
"""
_TABLES: Final = f"""{_INSTANCES};
CREATE TABLE history (
    key INTEGER NOT NULL, seq INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (key, seq)
) WITHOUT ROWID;
CREATE TABLE inbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL, event BLOB NOT NULL);
CREATE INDEX inbox_of ON inbox (key);
CREATE TABLE timers (
    key INTEGER NOT NULL, timer INTEGER NOT NULL, seconds INTEGER NOT NULL, nanos INTEGER NOT NULL,
    PRIMARY KEY (key, timer)
) WITHOUT ROWID;
CREATE INDEX timers_due ON timers (seconds, nanos);
CREATE TABLE activities (
    key INTEGER NOT NULL, run INTEGER NOT NULL, task INTEGER NOT NULL, event BLOB NOT NULL,
    PRIMARY KEY (key, run, task)
) WITHOUT ROWID;
"""

_FROM_1: Final = (  # it knew one app only; its counter of keys goes on, for a key must not be used twice
    "ALTER TABLE instances RENAME TO instances_1",
    _INSTANCES,
    """INSERT INTO instances SELECT key, :app, id, status, run, length, execution,
       iif(parent IS NULL, NULL, :app), parent, parent_task, custom_status FROM instances_1""",
    "DELETE FROM sqlite_sequence WHERE name = 'instances'",
    "UPDATE sqlite_sequence SET name = 'instances' WHERE name = 'instances_1'",
    "DROP TABLE instances_1",
    "PRAGMA user_version = 2",
)


def lock(path: Path) -> int:
    """Take the file for this process; the descriptor holds the lock until it is closed."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SidecarError(f"Can't open {path}.lock: {error.strerror}. Does the directory exist?") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SidecarError(
            f"Another sidecar already uses {path}. Stop it first, or give this one its own file."
        ) from error
    return descriptor


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Give a connection to a prepared file; commits are durable when they return (WAL, synchronous=FULL)."""
    mode = "ro" if read_only else "rw"
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA cache_size = -8192")
    return database


def prepare(path: Path, app_id: str) -> None:
    """Create the tables in a new file, move an older one on, and refuse what isn't a sound file of ours.

    `app_id` is the app that instances of a version 1 file belong to.
    """
    try:
        path.touch(mode=0o600)  # SQLite gives the WAL and its index the mode of the database: payloads are private
    except OSError as error:
        raise SidecarError(f"Can't open {path}: {error.strerror}. Name a file that this user may write.") from error
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            _prepare(path, database, app_id)
    except sqlite3.Error as error:
        raise SidecarError(
            f"{path} can't be used as the sidecar's database: {error}. Nothing was changed in it; restore it from a "
            "backup, or name another file."
        ) from error


def _prepare(path: Path, database: sqlite3.Connection, app_id: str) -> None:
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if tables == 0 and application == 0:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(
            f"BEGIN; {_TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
        return
    if application != APPLICATION_ID:
        raise SidecarError(f"{path} is a database of another program. Name another file for the sidecar.")
    if version > VERSION:
        raise SidecarError(
            f"{path} was written by a newer version (schema {version}, this one knows {VERSION}). Upgrade, or name "
            "another file."
        )
    problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise SidecarError(
            f"{path} is damaged: {problem}. Nothing was changed in it; restore it from a backup, or name another file."
        )
    database.execute("PRAGMA journal_mode = WAL")
    if version == 1:
        _move_on(database, app_id)


def _move_on(database: sqlite3.Connection, app_id: str) -> None:
    """Bring a version 1 file to version 2, wholly or not at all."""
    database.execute("BEGIN IMMEDIATE")
    for statement in _FROM_1:
        database.execute(statement, {"app": app_id} if ":app" in statement else {})
    database.execute("COMMIT")
