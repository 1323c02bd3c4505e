"""Leader leases on both databases: one holder, a term for each take, and a fence in the write."""

from datetime import datetime, timedelta

import pytest

from records import fencing, leaders, sent
from records.database import Database
from records.errors import LeaseLostError

LENGTH = timedelta(seconds=15)


async def take(database: Database, holder: str, later: timedelta = timedelta(0), *, fit: bool = True) -> int | None:
    async with database.write() as connection:
        now = await leaders.moment(connection, NOW[0]) + later
        return await leaders.take(connection, "reconciler", holder, now, LENGTH, fit=fit)


NOW: list[datetime] = []


@pytest.fixture(autouse=True)
def at(now: datetime) -> None:
    NOW[:] = [now]


async def test_one_process_leads_until_its_lease_is_over_and_each_take_is_a_new_term(database: Database) -> None:
    assert await take(database, "a") == 1
    assert await take(database, "b", LENGTH / 2) is None
    assert await take(database, "a", LENGTH / 2) == 1
    assert await take(database, "b", LENGTH * 1.6) == 2
    assert await take(database, "a", LENGTH * 1.7) is None


async def test_a_lease_that_was_handed_back_is_free_at_once(database: Database) -> None:
    assert await take(database, "a") == 1
    async with database.write() as connection:
        await leaders.hand_back(connection, ["reconciler"], "b")
    assert await take(database, "b") is None
    async with database.write() as connection:
        await leaders.hand_back(connection, ["reconciler"], "a")
    assert await take(database, "b") == 2


async def test_a_process_that_fails_at_a_job_gives_it_to_one_that_is_fit_and_keeps_it_while_there_is_none(
    database: Database,
) -> None:
    assert await take(database, "a") == 1
    assert await take(database, "a", fit=False) == 1
    assert await take(database, "b", fit=False) is None
    assert await take(database, "b") == 2
    assert await take(database, "a") is None


async def test_a_lease_of_before_the_clock_went_back_is_free(database: Database) -> None:
    assert await take(database, "a", timedelta(hours=1)) == 1
    assert await take(database, "b") == 2


async def test_a_fenced_write_of_an_older_term_is_not_written(database: Database) -> None:
    async def only(connection, term: int) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        if not await leaders.leads(connection, "reconciler", "a", term):
            raise LeaseLostError("lost")

    async def tell(key: str, term: int) -> None:
        with fencing.fenced(lambda connection: only(connection, term)):
            async with database.write() as connection:
                await sent.note(connection, key, NOW[0])

    assert await take(database, "a") == 1
    await tell("first", 1)
    assert await take(database, "b", LENGTH * 2) == 2
    assert await take(database, "a", LENGTH * 4) == 3
    with pytest.raises(LeaseLostError):
        await tell("second", 1)
    await tell("third", 3)
    async with database.read() as connection:
        assert [await sent.was(connection, key) for key in ("first", "second", "third")] == [True, False, True]
