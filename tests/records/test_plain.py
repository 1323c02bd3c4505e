"""Plain work of a transaction: whole, with its neighbours in one commit on SQLite, and undone alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from approvals.audit_actions import AuditAction
from records import audit, fencing, sent
from records.database import Database
from records.errors import LeaseLostError
from records.plain import Transaction
from records.prepared import Prepared
from records.sqlite import driver
from records.tables import sent as told
from tests.migrated import migrated


class WrongError(Exception):
    """Something of the work's own is wrong."""


def write(transaction: Transaction, key: str, now: datetime) -> str:
    """Note a key, with an entry."""
    sent.note.on(transaction, key, now)
    audit.append.on(transaction, audit.Entry(at=now, actor="system", action=AuditAction.POLICY_CHANGED, reason=key))
    if key == "wrong":
        raise WrongError
    return key


THERE = Prepared(sa.select(told.c.key).where(told.c.key == sa.bindparam("wanted")))


def noted(transaction: Transaction, key: str) -> bool:
    """Return whether a key is noted."""
    return bool(THERE.run(transaction, {"wanted": key}).rows)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """Give a database in a file."""
    opened = Database.open(await migrated(tmp_path / "records.db"))
    yield opened
    await opened.close()


async def keys(database: Database) -> set[str]:
    """Return what is noted."""
    async with database.read() as connection:
        return set(await connection.scalars(sa.select(told.c.key)))


async def test_work_that_fails_is_undone_alone_and_its_neighbours_are_kept(database: Database, now: datetime) -> None:
    wanted = ["a", "wrong", "b", "c"]
    results = await asyncio.gather(*(database.transact(write, key, now) for key in wanted), return_exceptions=True)
    assert [type(each) if isinstance(each, Exception) else each for each in results] == ["a", WrongError, "b", "c"]
    assert await keys(database) == {"a", "b", "c"}
    async with database.read() as connection:
        entries = await audit.page(connection)
    assert {entry.reason for entry in entries} == {"a", "b", "c"}
    assert (await audit.verify(database)).ok


async def test_work_that_fails_by_itself_leaves_nothing_and_holds_up_nobody(database: Database, now: datetime) -> None:
    with pytest.raises(WrongError):
        await database.transact(write, "wrong", now)
    assert await database.transact(write, "next", now) == "next"
    assert await keys(database) == {"next"}
    assert (await audit.verify(database)).entries == 1


async def test_work_waits_for_the_writer_before_it(sqlite: Database, now: datetime) -> None:
    async with sqlite.write() as connection:
        await sent.note(connection, "before", now)
        later = asyncio.create_task(sqlite.transact(noted, "before"))
        await asyncio.sleep(0.02)
    assert await later is True


async def test_work_whose_caller_gave_up_before_its_turn_is_not_begun(sqlite: Database, now: datetime) -> None:
    async with sqlite.write() as connection:
        given_up = asyncio.create_task(sqlite.transact(write, "given up", now))
        await asyncio.sleep(0.02)
        given_up.cancel()
        await sent.note(connection, "kept", now)
    await asyncio.gather(given_up, return_exceptions=True)
    await sqlite.transact(write, "next", now)
    assert await keys(sqlite) == {"kept", "next"}


async def test_work_that_waits_together_is_flushed_once(sqlite: Database, now: datetime) -> None:
    commits: list[str] = []
    async with sqlite.write() as connection:
        watched = driver.of(connection).raw
        watched.set_trace_callback(lambda text: commits.append(text) if text.startswith("COMMIT") else None)
        waiting = [asyncio.create_task(sqlite.transact(write, f"{number}", now)) for number in range(10)]
        await asyncio.sleep(0.02)
    await asyncio.gather(*waiting)
    assert len(commits) == 2  # the block's own, and one for all ten
    assert len(await keys(sqlite)) == 10


async def test_a_database_that_is_closed_writes_first_what_waits(sqlite: Database, now: datetime) -> None:
    waiting = [asyncio.create_task(sqlite.transact(write, f"{number}", now)) for number in range(40)]
    await asyncio.sleep(0)
    await sqlite.close()
    assert await asyncio.gather(*waiting) == [f"{number}" for number in range(40)]


async def test_work_of_a_leader_that_lost_its_lease_is_not_done(database: Database, now: datetime) -> None:
    async def lost(_: object) -> None:
        raise LeaseLostError("another process leads", "another process leads")

    with fencing.fenced(lost), pytest.raises(LeaseLostError):
        await database.transact(write, "late", now)
    assert await keys(database) == set()


async def test_a_look_sees_what_is_committed_and_cannot_write(database: Database, now: datetime) -> None:
    await database.transact(write, "seen", now)
    assert await database.look(noted, "seen") is True
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await database.look(sent.note.on, "unseen", now)
    assert await database.look(noted, "unseen") is False
