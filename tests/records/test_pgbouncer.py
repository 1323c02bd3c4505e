"""PgBouncer in transaction mode: whatever a transaction leaves behind at a connection, the next one finds or misses."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import sqlalchemy as sa

from records.database import Database
from records.errors import DatabaseUnavailableError, DatabaseUnusableError
from tests.pgbouncer import pooled
from tests.postgres import Cluster
from tests.records.conftest import emptied
from tests.records.test_side_by_side import compete

pytestmark = pytest.mark.postgres


@pytest.fixture
async def url(cluster: Cluster) -> AsyncIterator[str]:
    """Give PgBouncer's URL of a migrated database without rows."""
    direct = Database.open(await emptied(cluster, wholly=False))
    await direct.migrate()
    await direct.close()
    with pooled(cluster) as found:
        yield found


@pytest.mark.slow
async def test_three_processes_write_beside_one_another_through_it(url: str) -> None:
    database = Database.open(f"{url}?pgbouncer=true")
    await compete(database, f"{url}?pgbouncer=true")
    assert await database.own_connection() is None
    await database.close()


async def test_nothing_stays_at_the_server_s_connections_and_each_write_has_its_limits(
    url: str, cluster: Cluster
) -> None:
    database = Database.open(f"{url}?pgbouncer=true")
    shown = sa.text("SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')")
    left = sa.text("SELECT count(*) FROM pg_prepared_statements")
    async with database.write() as connection:
        assert tuple((await connection.execute(shown)).one()) == ("5s", "10s")
        assert (await connection.execute(left)).scalar() == 0
    beside = await asyncpg.connect(url, statement_cache_size=0)
    async with beside.transaction():  # on the connection that the write before had
        assert await beside.fetchval("SHOW lock_timeout") == "0"
    await beside.close()
    await database.close()


async def test_an_address_that_does_not_say_that_it_is_a_pool_is_told_what_to_write(url: str) -> None:
    database = Database.open(url)
    with pytest.raises(DatabaseUnusableError, match=r"through PgBouncer.*pgbouncer=true.*COUNTERSIGN_DATABASE_URL"):
        await database.ping()
    await database.close()


async def test_a_migration_asks_for_the_database_s_own_address(url: str, cluster: Cluster) -> None:
    database = Database.open(f"{url}?pgbouncer=true")
    assert await database.migrate() == await database.revision()
    await emptied(cluster, wholly=True)
    with pytest.raises(DatabaseUnavailableError, match=r"countersign migrate.*the database's own address"):
        await database.migrate()
    await database.close()
