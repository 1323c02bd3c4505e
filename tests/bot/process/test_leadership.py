"""One process at a time does a job: two and three processes on both databases, killed, frozen and told to end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.process.leadership import Job, Leadership
from bot.process.periodic import Periodic
from records import sent
from records.database import Database
from tests.migrated import migrated
from tests.records.conftest import cluster, place  # noqa: F401 fixtures
from tests.torture import leaders as torture


class Clock:
    """A clock that can be put forward, for leases on SQLite."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Database, Leadership, Leadership, Clock]]:
    """Give two processes' leases on one SQLite file."""
    shared = Database.open(await migrated(tmp_path / "records.db"))
    clock = Clock()
    yield shared, Leadership(shared, clock, 15.0), Leadership(shared, clock, 15.0), clock
    await shared.close()


Two = tuple[Database, Leadership, Leadership, Clock]


async def test_a_loop_that_needs_a_lease_runs_in_one_process_alone(two: Two) -> None:
    _, first, second, _ = two
    ran: list[str] = []

    async def work(name: str) -> None:
        ran.append(name)

    await first.round()
    await second.round()
    for name, leadership in (("first", first), ("second", second)):
        lease = leadership.lease(Job.RECONCILER)
        await Periodic("sweep", lambda name=name: work(name), 60.0).led_by(lease).once()  # type: ignore[misc]
    assert ran == ["first"]
    assert set(first.held.values()) == {True}
    assert set(second.held.values()) == {False}


async def test_jobs_that_were_handed_back_are_taken_at_the_next_round(two: Two) -> None:
    _, first, second, _ = two
    await first.round()
    await first.hand_back()
    await second.round()
    assert set(first.held.values()) == {False}
    assert set(second.held.values()) == {True}


async def test_a_leader_whose_lease_ended_in_the_middle_of_a_round_writes_nothing(two: Two) -> None:
    database, first, second, clock = two

    async def work() -> None:
        clock.ahead += timedelta(seconds=16)
        await second.round()
        async with database.write() as connection:
            await sent.note(connection, "twice", clock())

    await first.round()
    loop = Periodic("sweep", work, 60.0).led_by(first.lease(Job.RECONCILER))
    assert await loop.once() < 1
    assert loop.state.failures == 0
    assert not first.held[Job.RECONCILER]
    async with database.read() as connection:
        assert not await sent.was(connection, "twice")


async def test_a_process_whose_loop_is_down_gives_the_job_to_another(two: Two) -> None:
    _, first, second, _ = two

    async def work() -> None:
        raise ValueError("its sidecar is away")

    await first.round()
    loop = Periodic("sweep", work, 60.0).led_by(first.lease(Job.RECONCILER))
    for _ in range(3):
        await loop.once()
    await first.round()
    assert first.held[Job.RECONCILER]
    await second.round()
    await first.round()
    assert [each.held[Job.RECONCILER] for each in (first, second)] == [False, True]
    assert second.held[Job.CARDS] is False
    await loop.once()
    assert not loop.state.down


async def test_a_process_that_waits_writes_nothing(two: Two) -> None:
    database, first, second, _ = two
    await first.round()
    async with database.read() as connection:
        before = (await connection.exec_driver_sql("PRAGMA data_version")).scalar()
        for _ in range(3):
            await second.round()
        assert (await connection.exec_driver_sql("PRAGMA data_version")).scalar() == before


async def test_a_leader_that_cannot_reach_the_database_stops_by_itself(two: Two) -> None:
    database, _, _, clock = two
    short = Leadership(database, clock, 0.2)
    await short.round()
    assert short.held[Job.RECONCILER]
    await asyncio.sleep(0.25)
    assert not short.held[Job.RECONCILER]


@pytest.mark.slow
async def test_a_leader_that_is_killed_frozen_or_stopped_is_followed_and_nothing_is_done_twice(
    place: str,  # noqa: F811 the fixture
) -> None:
    count, acts = (3, ["freeze", "kill"]) if place.startswith("sqlite") else (2, ["freeze", "stop"])
    _, wrong = await torture.torture(place, acts, count)
    assert wrong == []
