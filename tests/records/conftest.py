"""Real databases: an SQLite file always, a PostgreSQL cluster of one's own where its server programs are installed."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from records.database import Database
from records.tables import VERSION_TABLE, metadata
from tests.migrated import migrated
from tests.postgres import Cluster, running_cluster

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Give a running cluster."""
    with running_cluster() as started:
        yield started


async def emptied(cluster: Cluster, *, wholly: bool) -> str:
    """Give the URL of a database without rows, or wholly without tables. Both are faster than a new database."""
    connection = await asyncpg.connect(cluster.local_url)
    if wholly or await connection.fetchval(f"SELECT to_regclass('{VERSION_TABLE}')") is None:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    else:
        await connection.execute("SET session_replication_role = replica")  # silences the audit's triggers
        await connection.execute("; ".join(f"DELETE FROM {table}" for table in metadata.tables))  # noqa: S608 our names
    await connection.close()
    return cluster.local_url


@pytest.fixture(params=BOTH)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of each kind of database, for tests that use `database` from elsewhere too."""
    if request.param == "sqlite":
        return await migrated(tmp_path / "records.db")
    return await emptied(request.getfixturevalue("cluster"), wholly=False)


@pytest.fixture(params=BOTH)
async def bare(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Give the URL of a database of each kind that has no tables; what is left behind is removed."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/records.db"
    else:
        cluster = request.getfixturevalue("cluster")
        yield await emptied(cluster, wholly=True)
        await emptied(cluster, wholly=True)


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    """Give a migrated database of each kind."""
    opened = Database.open(place)
    if place.startswith("postgresql"):
        await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """Give a migrated SQLite database, for what is SQLite's alone or the same everywhere."""
    opened = Database.open(await migrated(tmp_path / "records.db"), busy_ms=200)
    yield opened
    await opened.close()


@pytest.fixture
def now() -> datetime:
    return NOW
