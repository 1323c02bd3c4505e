"""Upgrade and rollback: the program before works on the schema after, and nobody who writes waits for an index."""

import asyncio
import shutil
import time
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from records import sent
from records.database import Database
from records.errors import DatabaseUnavailableError, DatabaseUnusableError
from records.schema import MIGRATIONS
from tests.records.conftest import emptied

REVISIONS = sorted(path.name for path in (MIGRATIONS / "versions").glob("r*.py"))
HEAD = str(ScriptDirectory(str(MIGRATIONS)).get_current_head())
NEXT = """
from records.migrations import concurrently

revision = "9000"
down_revision = "{head}"
works_with = "{works_with}"


def upgrade() -> None:
    concurrently.create_index("audit_by_digest", "audit", ["request_digest"])
"""


def program(folder: Path, *, without_last: bool = False, following: str = "") -> Path:
    """Return the migrations of the program before this one, or of one after it."""
    target = folder / f"program-{without_last}-{bool(following)}"
    shutil.copytree(MIGRATIONS, target, ignore=shutil.ignore_patterns("__pycache__"))
    if without_last:
        (target / "versions" / REVISIONS[-1]).unlink()
    if following:
        (target / "versions" / "r9000_next.py").write_text(NEXT.format(head=HEAD, works_with=following))
    return target


async def test_the_program_before_works_on_the_schema_after_and_leaves_it(bare: str, tmp_path: Path) -> None:
    database = Database.open(bare)
    assert await database.migrate() == HEAD
    assert await database.migrate(program(tmp_path, without_last=True)) == HEAD
    await database.close()


async def test_a_schema_whose_migration_broke_with_older_programs_is_refused(bare: str, tmp_path: Path) -> None:
    database = Database.open(bare)
    assert await database.migrate(program(tmp_path, following="9000")) == "9000"
    with pytest.raises(DatabaseUnusableError, match="newer than this program"):
        await database.migrate()
    with pytest.raises(DatabaseUnusableError, match="newer than this program"):
        await database.demand()
    await database.close()


async def test_a_start_that_only_checks_waits_for_the_migration(bare: str, tmp_path: Path) -> None:
    database = Database.open(bare)
    before = program(tmp_path, without_last=True)
    await database.migrate(before)
    with pytest.raises(DatabaseUnavailableError, match=rf"needs '{HEAD}'.*countersign migrate"):
        await database.demand()
    await database.migrate()
    assert await database.demand() == HEAD
    await database.close()


@pytest.mark.postgres
async def test_writers_go_on_while_an_index_is_built(
    request: pytest.FixtureRequest, tmp_path: Path, now: datetime
) -> None:
    cluster = request.getfixturevalue("cluster")
    url = await emptied(cluster, wholly=True)
    database, longest = Database.open(url), 0.0
    await database.migrate()
    # The index waits for every transaction that is older than it: this one makes the build take three seconds.
    holder = await asyncpg.connect(url)
    transaction = holder.transaction(isolation="repeatable_read")
    await transaction.start()
    await holder.fetchval("SELECT count(*) FROM audit")
    building = asyncio.create_task(database.migrate(program(tmp_path, following=HEAD)))
    began, number = time.monotonic(), 0
    while time.monotonic() - began < 3:
        at, number = time.monotonic(), number + 1
        async with database.write() as connection:
            await sent.note(connection, f"click-{number}", now)
        longest = max(longest, time.monotonic() - at)
        await asyncio.sleep(0.02)
    assert not building.done()
    await transaction.rollback()
    await holder.close()
    assert await building == "9000"
    assert longest < 1
    async with database.read() as connection:
        valid = await connection.scalar(
            sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'audit_by_digest'::regclass")
        )
    assert valid
    assert await database.migrate() == "9000"
    await database.close()
    await emptied(cluster, wholly=True)
