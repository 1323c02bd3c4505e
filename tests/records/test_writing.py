"""Writers that give up, at whatever moment, leave nothing behind that the next one waits for."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from records.database import WRITE_LOCK, Database
from tests.postgres import Cluster


async def give_up(database: Database, how_many: int) -> None:
    """Cancel writers that wait for another process's lock, the first of them inside its BEGIN."""
    writers = [asyncio.create_task(database.writable()) for _ in range(how_many)]
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
    await asyncio.wait_for(database.writable(), 20)
    other.execute("BEGIN IMMEDIATE")  # and none in the database
    other.close()
    await asyncio.wait_for(database.close(), 20)


@pytest.mark.postgres
@pytest.mark.parametrize("how_many", [1, 3])
async def test_nor_does_it_in_postgresql(cluster: Cluster, how_many: int) -> None:
    database, other = Database.open(cluster.local_url), Database.open(cluster.local_url)
    async with other.write():
        await give_up(database, how_many)
    await asyncio.wait_for(database.writable(), 20)
    async with other.read() as connection:
        held = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock")
        assert await connection.scalar(held, {"lock": WRITE_LOCK}) == 0
    await asyncio.wait_for(database.close(), 20)
    await other.close()


@pytest.mark.postgres
async def test_the_first_write_after_the_server_was_restarted_succeeds(cluster: Cluster) -> None:
    database = Database.open(cluster.local_url)
    await database.migrate()
    cluster.stop()
    cluster.start()
    await database.writable()
    await database.ping()
    await database.close()
