"""The write-ahead log is moved into the file beside the writers, and does not grow without end."""

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from records import sent
from records.database import Database
from records.errors import DatabaseUnavailableError
from records.sqlite.wal import COMMITS, WriteAheadLog

NOW = datetime(2026, 5, 4, tzinfo=UTC)


async def write(database: Database, name: str, how_many: int) -> None:
    for number in range(how_many):
        async with database.write() as connection:
            await sent.note(connection, f"{name} {number} {'x' * 2000}", NOW)


def in_the_file_alone(path: Path, copy: Path) -> int:
    """Count what stands in the file without its log, while nothing is moved."""
    copy.write_bytes(path.read_bytes())
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sent'").fetchone()[0]
        return int(connection.execute("SELECT count(*) FROM sent").fetchone()[0]) if known else 0


async def test_what_was_committed_moves_into_the_file_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    database = Database.open(f"sqlite:///{path}")
    assert database._log
    await database.migrate()
    await write(database, "first", COMMITS - 10)
    async with asyncio.timeout(30):
        while True:
            await write(database, "more", 1)
            await database._log.close()  # a copy from the middle of a move is torn
            if in_the_file_alone(path, tmp_path / "copy.db") >= COMMITS - 10:
                break
            await write(database, f"later {path.stat().st_mtime_ns}", 20)
    await database.close()


@pytest.mark.slow
async def test_the_log_is_used_again_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    sizes = []
    for turn in range(6):
        await write(database, str(turn), COMMITS)
        await asyncio.sleep(0.2)
        sizes.append(path.with_name("records.db-wal").stat().st_size)
    assert sizes[-1] <= 2 * sizes[0]  # without a move it would be six times as long
    await database.close()


UNMOVED = (
    OperationalError("PRAGMA", {}, sqlite3.OperationalError("disk I/O error")),
    DatabaseUnavailableError("The database cannot be opened: its folder does not exist."),
)


@pytest.mark.parametrize("error", UNMOVED)
async def test_a_log_that_cannot_be_moved_disturbs_nobody_and_is_tried_again_as_many_commits_later(
    error: Exception,
) -> None:
    class Broken:
        def connect(self) -> None:
            raise error

    wal = WriteAheadLog(Broken())  # type: ignore[arg-type]
    with structlog.testing.capture_logs() as logs:
        for _ in range(2 * COMMITS + 10):
            wal.committed()
            await wal.close()
    assert [entry["event"] for entry in logs] == ["the write-ahead log was not moved; the next time does it too"] * 2
