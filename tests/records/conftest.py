"""Real databases: an SQLite file always, a PostgreSQL cluster of one's own where its server programs are installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from records.database import Database
from records.tables import VERSION_TABLE, metadata

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


def programs() -> Path:
    """Where initdb and postgres are. In CI a missing server fails; elsewhere its tests are skipped."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    if not found and on_path:
        found = [Path(on_path)]
    if not found and os.environ.get("CI"):
        pytest.fail("PostgreSQL's server programs are missing: install postgresql")
    if not found:
        pytest.skip("PostgreSQL's server programs are not installed")
    return found[0].parent


def unprivileged() -> dict[str, object]:
    """Run as nobody where we are root: the server refuses root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Give the folder of a running cluster's socket."""
    bin_folder, folder = programs(), Path(tempfile.mkdtemp(prefix="cs-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    run = unprivileged()
    options = ["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(
        [bin_folder / "initdb", "-D", folder / "data", *options], check=True, capture_output=True, cwd=folder, **run
    )
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "shared_buffers=16MB"]
    control = [bin_folder / "pg_ctl", "-D", folder / "data", "-w", "-s"]
    start = ["-o", " ".join(f"-c {one}" for one in settings), "-l", folder / "log", "start"]
    subprocess.run([*control, *start], check=True, cwd=folder, **run)
    try:
        yield str(folder)
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=folder, **run)
        shutil.rmtree(folder, ignore_errors=True)


async def emptied(folder: str, *, wholly: bool) -> str:
    """Give the URL of a database without rows, or wholly without tables. Both are faster than a new database."""
    connection = await asyncpg.connect(host=folder, user="postgres", database="postgres")
    if wholly or await connection.fetchval(f"SELECT to_regclass('{VERSION_TABLE}')") is None:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    else:
        await connection.execute("SET session_replication_role = replica")  # silences the audit's triggers
        await connection.execute("; ".join(f"DELETE FROM {table}" for table in metadata.tables))  # noqa: S608 our names
    await connection.close()
    return f"postgresql://postgres@/postgres?host={folder}"


@pytest.fixture(params=BOTH)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of each kind of database, for tests that use `database` from elsewhere too."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    return await emptied(request.getfixturevalue("cluster"), wholly=False)


@pytest.fixture(params=BOTH)
async def bare(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Give the URL of a database of each kind that has no tables; what is left behind is removed."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/records.db"
    else:
        folder = request.getfixturevalue("cluster")
        yield await emptied(folder, wholly=True)
        await emptied(folder, wholly=True)


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    """Give a migrated database of each kind."""
    opened = Database.open(place)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """Give a migrated SQLite database, for what is SQLite's alone or the same everywhere."""
    opened = Database.open(f"sqlite:///{tmp_path}/records.db", busy_ms=200)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
def now() -> datetime:
    return NOW
