"""Opening, migrating, writing together, and what is said when it cannot be."""

import asyncio
import sqlite3
import stat
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from records.addresses import parse, shown
from records.appending import waiting
from records.database import Database
from records.errors import DatabaseUnavailableError, DatabaseUnusableError
from records.schema import MIGRATIONS
from records.tables import VERSION_TABLE, metadata, policies

HEAD = str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


async def put(database: Database, version: str, now: datetime) -> None:
    async with database.write() as connection:
        await connection.execute(
            sa.insert(policies).values(version=version, content="x", seen_at=now, last_seen_at=now)
        )


async def versions(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(sa.select(policies.c.version).order_by(policies.c.version))).scalars())


async def test_the_migrations_build_exactly_the_tables_that_the_program_knows(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": False,
                "compare_server_default": False,
                "include_name": lambda name, kind, _: (kind, name) != ("table", waiting.name),
            },
        )
        return compare_metadata(context, metadata)

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert await database.migrate() == await database.revision() == HEAD


async def test_processes_that_start_at_once_migrate_once(bare: str) -> None:
    several = [Database.open(bare) for _ in range(4)]
    assert await asyncio.gather(*(one.migrate() for one in several)) == [HEAD] * 4
    for one in several:
        await one.ping()
        await one.close()


async def test_a_newer_schema_is_refused_and_left_as_it_is(bare: str) -> None:
    database = Database.open(bare)
    await database.migrate()
    async with database.write() as connection:
        await connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608 a constant
        await connection.execute(sa.text("UPDATE schema_floor SET oldest = '9999'"))
    with pytest.raises(DatabaseUnusableError, match=r"newer than this program.*start the newer program"):
        await database.migrate()
    assert await database.revision() == "9999"
    await database.close()


async def test_a_foreign_file_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE customers (id)")
    theirs.close()
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnusableError, match=r"theirs\.db belongs to another program .*'customers'"):
        await database.migrate()
    await database.close()
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]


@pytest.mark.parametrize("content", [b"this is no database at all, but a letter to my aunt" * 50, b"\0\xff" * 4096])
async def test_a_file_that_is_no_database_is_named_and_never_rebuilt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.db"
    path.write_bytes(content)
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnusableError, match=r"letter\.db is damaged or not a database"):
        await database.migrate()
    await database.close()
    assert path.read_bytes() == content


async def test_a_damaged_page_is_said_and_the_integrity_check_finds_it(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "records.db"
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    for number in range(50):
        await put(database, f"{number}" * 200, now)
    await database.close()
    whole = bytearray(path.read_bytes())
    for page in range(2, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 512] = b"\xaa" * 512
    path.write_bytes(whole)
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnusableError, match=r"records\.db is damaged"):
        await versions(database)
    await database.close()


async def test_a_healthy_file_has_no_complaints(sqlite: Database) -> None:
    assert await sqlite.check() == ()


async def test_an_exception_undoes_its_own_block_only(database: Database, now: datetime) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 the block is what is tested
        async with database.write() as connection:
            await connection.execute(
                sa.insert(policies).values(version="lost", content="x", seen_at=now, last_seen_at=now)
            )
            raise ZeroDivisionError
    await put(database, "kept", now)
    assert await versions(database) == ["kept"]


async def test_writers_that_queue_share_commits_and_a_failing_one_harms_nobody(
    database: Database, now: datetime
) -> None:
    async def write(number: int) -> None:
        async with database.write() as connection:
            await connection.execute(
                sa.insert(policies).values(version=f"{number:03}", content="x", seen_at=now, last_seen_at=now)
            )
            if number % 7 == 3:
                raise ZeroDivisionError

    results = await asyncio.gather(*(write(number) for number in range(100)), return_exceptions=True)
    good = [f"{number:03}" for number in range(100) if number % 7 != 3]
    assert [type(one) for one in results if one is not None] == [ZeroDivisionError] * 14
    assert await versions(database) == good


async def test_writers_are_cancelled_without_leaving_the_lock_or_others_behind(
    database: Database, now: datetime
) -> None:
    tasks = [asyncio.create_task(put(database, f"{number:03}", now)) for number in range(60)]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            task.cancel()
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await put(database, "after", now)
    stored = await versions(database)
    assert "after" in stored
    assert all(f"{number:03}" in stored for number, result in enumerate(results) if result is None)


async def test_a_waiter_that_gives_up_does_not_hold_up_the_commit_before_it(database: Database, now: datetime) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with database.write() as connection:
            await connection.execute(
                sa.insert(policies).values(version="first", content="x", seen_at=now, last_seen_at=now)
            )
            inside.set()
            await go_on.wait()

    leader = asyncio.create_task(first())
    await inside.wait()
    follower = asyncio.create_task(put(database, "second", now))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.sleep(0)
    follower.cancel()
    await asyncio.wait_for(leader, 5)
    assert "first" in await versions(database)


async def test_a_reader_cannot_write(database: Database, now: datetime) -> None:
    with pytest.raises((sa.exc.DBAPIError, DatabaseUnavailableError), match=r"read-?only"):
        async with database.read() as connection:
            await connection.execute(
                sa.insert(policies).values(version="x", content="x", seen_at=now, last_seen_at=now)
            )
    assert await versions(database) == []


async def test_a_reader_sees_one_state_while_others_write(database: Database, now: datetime) -> None:
    async with database.read() as connection:
        count = sa.select(sa.func.count()).select_from(policies)
        assert await connection.scalar(count) == 0
        await put(database, "meanwhile", now)
        assert await connection.scalar(count) == 0
    assert await versions(database) == ["meanwhile"]


async def test_a_lock_held_by_another_process_is_said_and_it_goes_on_afterwards(
    sqlite: Database, now: datetime
) -> None:
    other = sqlite3.connect(sqlite.where, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailableError, match=r"is locked by another process.*Nothing was written"):
        await put(sqlite, "locked", now)
    other.execute("ROLLBACK")
    other.close()
    await put(sqlite, "free", now)
    assert await versions(sqlite) == ["free"]


async def test_a_writer_waits_for_another_process_that_is_short(tmp_path: Path, now: datetime) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/records.db", busy_ms=5000)
    await database.migrate()
    other = sqlite3.connect(database.where, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(put(database, "waited", now))
    _, unfinished = await asyncio.wait([waiting], timeout=0.05)
    assert unfinished == {waiting}
    other.execute("COMMIT")
    other.close()
    await waiting
    assert await versions(database) == ["waited"]
    await database.close()


async def test_a_full_disk_acknowledges_nothing_and_recovers_when_there_is_space(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "records.db"
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    await database.close()
    pages = path.stat().st_size // 4096 + 4
    full = Database.open(f"sqlite:///{path}", pragmas=(f"PRAGMA max_page_count={pages}",))
    told: list[str] = []

    async def fill(number: int) -> None:
        async with full.write() as connection:
            await connection.execute(
                sa.insert(policies).values(version=f"{number:03}", content="x" * 3000, seen_at=now, last_seen_at=now)
            )
        told.append(f"{number:03}")

    results = await asyncio.gather(*(fill(number) for number in range(40)), return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert refused
    assert all(isinstance(result, DatabaseUnavailableError) for result in refused)
    assert any("the disk is full" in str(result) for result in refused)
    assert await versions(full) == sorted(told)
    await full.close()
    roomy = Database.open(f"sqlite:///{path}")
    await put(roomy, "space", now)
    assert await versions(roomy) == [*sorted(told), "space"]
    await roomy.close()


async def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/nowhere/records.db")
    with pytest.raises(DatabaseUnavailableError, match="its folder does not exist") as caught:
        await database.ping()
    assert str(tmp_path) in str(caught.value)
    assert caught.value.public.startswith("The database cannot be opened: its folder")
    await database.close()


async def test_a_reader_that_gets_no_connection_says_both_that_can_be_behind_it(place: str) -> None:
    database = Database.open(place, busy_ms=100, readers=1)
    await database.migrate()
    async with database.read():
        with pytest.raises(DatabaseUnavailableError, match="it does not answer, or too many read it at once"):
            await database.ping()
    await database.ping()
    await database.close()


async def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    database = Database.open("postgresql://me:hunter2@127.0.0.1:1/orders")
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached") as caught:
        await database.ping()
    assert "hunter2" not in str(caught.value)
    assert caught.value.public == (
        "The database cannot be reached. Nothing was written; try again when that is mended."
    )
    await database.close()


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


async def test_the_file_is_readable_for_its_owner_only(sqlite: Database) -> None:
    assert mode(sqlite.where) == 0o600


async def test_a_commit_is_synchronous_and_the_journal_is_a_write_ahead_log(sqlite: Database) -> None:
    async with sqlite.write() as connection:
        values = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in ("synchronous", "journal_mode")
        ]
    assert values == [2, "wal"]


@pytest.mark.parametrize(
    ("url", "driver", "seen"),
    [
        ("sqlite:///a/b.db", "sqlite+aiosqlite", "a/b.db"),
        ("sqlite:////var/b.db", "sqlite+aiosqlite", "/var/b.db"),
        ("postgresql://u:secret@db:5433/n", "postgresql+asyncpg", "PostgreSQL db:5433/n"),
        ("postgres://u:secret@db/n?sslmode=require&password=secret", "postgresql+asyncpg", "PostgreSQL db/n"),
    ],
)
def test_urls_as_people_write_them_are_taken_and_shown_without_secrets(url: str, driver: str, seen: str) -> None:
    parsed = parse(url)
    assert parsed.drivername == driver
    assert "sslmode" not in parsed.query
    assert shown(parsed) == seen


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("orders.db", "cannot be read"),
        ("mysql://me:hunter2@db/n", "only sqlite:/// and postgresql://"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://me:hunter2@db:port/n", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_used_get_a_sentence_without_secrets(url: str, sentence: str) -> None:
    with pytest.raises(DatabaseUnusableError, match=sentence) as caught:
        Database.open(url)
    assert "hunter2" not in str(caught.value)
