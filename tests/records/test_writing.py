"""Writers that give up, at whatever moment, leave nothing behind that the next one waits for."""

import asyncio
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from approvals.audit_actions import AuditAction
from records import appending, audit, locks, sent
from records.database import Database
from records.errors import DatabaseUnavailableError
from records.tables import sent as told
from tests.postgres import Cluster


async def writable(database: Database) -> None:
    """Return when a write transaction and the lock of a name can be had."""
    async with database.write() as connection:
        await locks.alone(connection, "here")
        await connection.execute(sa.text("SELECT 1"))


async def give_up(database: Database, how_many: int) -> None:
    """Cancel writers that wait for another process's lock, the first of them inside its BEGIN."""
    writers = [asyncio.create_task(writable(database)) for _ in range(how_many)]
    await asyncio.wait(writers, timeout=0.2)
    for writer in writers:
        assert writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)


@pytest.mark.parametrize("how_many", [1, 3])
async def test_a_writer_that_gives_up_while_it_begins_leaves_no_lock_behind(tmp_path: Path, how_many: int) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/records.db")
    await database.migrate()
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await give_up(database, how_many)
    other.execute("ROLLBACK")
    await asyncio.wait_for(writable(database), 20)
    other.execute("BEGIN IMMEDIATE")  # and none in the database
    other.close()
    await asyncio.wait_for(database.close(), 20)


@pytest.mark.postgres
@pytest.mark.parametrize("how_many", [1, 3])
async def test_nor_does_it_in_postgresql(cluster: Cluster, how_many: int) -> None:
    database, other = Database.open(cluster.local_url), Database.open(cluster.local_url)
    async with other.write() as connection:
        await locks.alone(connection, "here")
        await give_up(database, how_many)
    await asyncio.wait_for(writable(database), 20)
    async with other.read() as connection:
        held = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert await connection.scalar(held) == 0
    await asyncio.wait_for(database.close(), 20)
    await other.close()


@pytest.mark.postgres
async def test_the_first_write_after_the_server_was_restarted_succeeds(cluster: Cluster) -> None:
    database = Database.open(cluster.local_url)
    await database.migrate()
    await writable(database)
    await database.ping()
    await asyncio.to_thread(cluster.stop)
    await asyncio.to_thread(cluster.start)
    await writable(database)
    await database.ping()
    await database.close()


async def test_who_gives_up_does_not_wait_for_another_process(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/records.db", busy_ms=20_000)
    await database.migrate()
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer = asyncio.create_task(writable(database))
    await asyncio.wait([writer], timeout=0.2)
    writer.cancel()
    await asyncio.wait([writer], timeout=10)
    gave_up = writer.cancelled()
    other.execute("ROLLBACK")
    other.close()
    await asyncio.wait_for(writable(database), 20)
    await database.close()
    assert gave_up


FAILING = {
    "one that the database refuses": lambda now: sa.insert(told).values(key=None, at=now),
    "one that never reaches it": lambda now: sa.insert(told).values(key="x", at=now.replace(tzinfo=None)),
}


@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("together", [False, True])
async def test_a_block_that_goes_on_after_a_failed_statement_is_kept_or_hears_of_it(
    database: Database, now: datetime, failing: str, *, together: bool
) -> None:
    async def write(key: str) -> None:
        async with database.write() as connection:
            await sent.note(connection, key, now)
            with pytest.raises(sa.exc.SQLAlchemyError):
                await connection.execute(FAILING[failing](now))

    keys = [f"{number}" for number in range(3 if together else 1)]
    results = await asyncio.gather(*map(write, keys), return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), DatabaseUnavailableError}
    async with database.read() as connection:
        kept = set(await connection.scalars(sa.select(told.c.key)))
    assert kept == {key for key, result in zip(keys, results, strict=True) if result is None}
    await writable(database)


async def test_a_commit_that_fails_is_heard_of_and_the_next_one_is_as_good_as_new(
    tmp_path: Path, now: datetime
) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/records.db")
    await database.migrate()
    async with database.write() as connection:
        await connection.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        refers = "REFERENCES parent DEFERRABLE INITIALLY DEFERRED"
        await connection.exec_driver_sql(f"CREATE TABLE child (id INTEGER {refers})")
    with pytest.raises(sa.exc.IntegrityError):  # noqa: PT012 the commit at the block's end is what is tested
        async with database.write() as connection:
            await sent.note(connection, "lost", now)
            await connection.exec_driver_sql("INSERT INTO child VALUES (7)")
    async with database.write() as connection:
        await sent.note(connection, "kept", now)
        await connection.execute(sa.text("SELECT 1"))
    async with database.read() as connection:
        assert list(await connection.scalars(sa.select(told.c.key))) == ["kept"]
    await database.close()


@pytest.mark.postgres
async def test_a_writer_whose_program_pauses_before_its_commit_keeps_no_other_from_the_audit(
    cluster: Cluster, now: datetime
) -> None:
    entry = audit.Entry(at=now, actor="system", action=AuditAction.POLICY_CHANGED, reason='"prev":"", ä \u2028')
    slow, quick = Database.open(cluster.local_url), Database.open(cluster.local_url)
    await slow.migrate()
    before = (await audit.verify(quick)).entries
    async with slow.write() as connection:
        await audit.append(connection, entry)
        await appending.write(connection, appending.Tip())  # what is left is the COMMIT
        async with asyncio.timeout(2), quick.write() as other:
            await audit.append(other, entry)
    found = await audit.verify(quick)
    assert (found.ok, found.entries) == (True, before + 2)
    await slow.close()
    await quick.close()
