"""Leases: one holder at a time, on both databases."""

from datetime import datetime, timedelta

from records import leases
from records.database import Database

MINUTE = timedelta(minutes=1)


async def take(database: Database, holder: str, now: datetime) -> bool:
    async with database.write() as connection:
        return await leases.take(connection, "order-1-workflow", holder, now, MINUTE)


async def test_a_lease_has_one_holder_until_it_is_over_or_given_back(database: Database, now: datetime) -> None:
    assert await take(database, "a", now)
    assert not await take(database, "b", now + MINUTE / 2)
    assert await take(database, "a", now + MINUTE / 2)
    assert await take(database, "b", now + MINUTE * 2)
    async with database.write() as connection:
        await leases.release(connection, "order-1-workflow", "a")
    assert not await take(database, "a", now + MINUTE * 2)
    async with database.write() as connection:
        await leases.release(connection, "order-1-workflow", "b")
    assert await take(database, "a", now + MINUTE * 2)


async def test_a_lease_of_before_the_clock_went_back_does_not_hold_until_it_has_caught_up(
    database: Database, now: datetime
) -> None:
    assert await take(database, "a", now + MINUTE * 10)
    assert await take(database, "b", now)
    assert not await take(database, "c", now + MINUTE / 2)
