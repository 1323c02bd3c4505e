"""When a process says that it should get no requests: never because of a part that all replicas share."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bot.control.reconciling.restoring import Restoration
from bot.process.leadership import Job
from bot.process.periodic import Loops
from bot.rest.health import Health
from records.database import READERS, Database
from records.errors import DatabaseUnavailableError
from tests.records.conftest import sqlite  # noqa: F401 a fixture


class Parts:
    """All that readiness looks at, as the test wants it."""

    def __init__(self, database: Any) -> None:
        self.worker = self.sidecar = self.socket = True
        self.leaving = self.another_is_fit = self.everywhere = False
        self.held = {Job.CARDS: True}
        self.message = "ok"
        self.failing: Exception | None = None
        self.database = database
        self.health = Health(
            database=database,
            engine=cast("Any", self),
            worker=cast("Any", self),
            socket=cast("Any", self),
            loops=Loops(),
            raises=cast("Any", self),
            leadership=cast("Any", self),
            restoration=Restoration(database, None, (), lambda: datetime.now(UTC)),
            leaving=lambda: self.leaving,
        )

    @property
    def ready(self) -> bool:
        return self.worker

    async def ping(self) -> None:
        if not self.sidecar:
            await asyncio.sleep(60)

    async def state(self) -> str:
        return "ok" if self.socket else "The socket to Slack is not open."

    async def status(self) -> str:
        return self.health.status(await self.health.checks())


@pytest.fixture
def parts(sqlite: Database) -> Parts:  # noqa: F811 the fixture
    return Parts(sqlite)


@pytest.mark.parametrize("part", ["worker", "socket"])
async def test_a_start_is_over_when_its_own_connections_stood_once(parts: Parts, part: str) -> None:
    setattr(parts, part, False)
    assert await parts.status() == "not ready"
    setattr(parts, part, True)
    assert await parts.status() == "ready"
    setattr(parts, part, False)
    assert await parts.status() == "degraded"


@pytest.mark.parametrize("part", ["worker", "sidecar"])
async def test_a_process_without_its_sidecar_gets_requests_only_if_no_other_is_fit(parts: Parts, part: str) -> None:
    assert await parts.status() == "ready"
    setattr(parts, part, False)
    assert await parts.status() == "degraded"
    parts.another_is_fit = True
    assert await parts.status() == "not ready"


async def test_a_socket_that_dropped_leaves_rest_and_pages_served(parts: Parts) -> None:
    assert await parts.status() == "ready"
    parts.socket, parts.another_is_fit = False, True
    assert await parts.status() == "degraded"


async def test_a_process_that_ends_is_not_ready(parts: Parts) -> None:
    parts.leaving = True
    assert await parts.status() == "not ready"


async def test_a_database_that_is_away_or_hangs_is_said_within_a_probe_s_second_and_keeps_the_process_in(
    parts: Parts,
) -> None:
    await parts.status()
    async with AsyncExitStack() as stack:
        for _ in range(READERS):
            await stack.enter_async_context(parts.database.read())
        async with asyncio.timeout(1):
            checks = await parts.health.checks()
    assert checks["database"] != "ok"
    assert parts.health.status(checks) == "degraded"


async def test_readiness_writes_nothing_and_says_why_the_last_write_failed(parts: Parts) -> None:
    async with parts.database.read() as connection:
        before = (await connection.exec_driver_sql("PRAGMA data_version")).scalar()
        assert await parts.status() == "ready"
        assert (await connection.exec_driver_sql("PRAGMA data_version")).scalar() == before
    with pytest.raises(DatabaseUnavailableError):
        async with parts.database.write():
            raise DatabaseUnavailableError("/data/x.db is full.", "The database is full.")
    assert (await parts.health.checks())["database"] == "The database is full."
    async with parts.database.write():
        pass
    assert await parts.status() == "ready"
