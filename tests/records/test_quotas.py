"""Quotas are counted for all replicas together: however many starts come at once, no more than the quota pass."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from records import quotas
from records.database import Database

AT_MOST = 5
HOUR = timedelta(hours=1)
REPLICAS = 3


@pytest.fixture
async def replicas(place: str) -> AsyncIterator[list[Database]]:
    """Give several apps' databases on one place."""
    opened = [Database.open(place) for _ in range(REPLICAS)]
    await opened[0].migrate()
    yield opened
    for each in opened:
        await each.close()


async def taken(database: Database, name: str, now: datetime, *subjects: str) -> bool:
    """Take one use of each subject's quota as a start does. Returns whether all had one left."""
    async with database.write() as connection:
        await quotas.hold(connection, subjects)
        for subject in subjects:
            if await quotas.full_until(connection, subject, AT_MOST, now) is not None:
                return False
        for subject in subjects:
            await quotas.take(connection, subject, name, now, HOUR)
    return True


async def test_replicas_that_start_at_once_share_one_quota(replicas: list[Database], now: datetime) -> None:
    starts = [taken(replicas[number % REPLICAS], f"order-{number}", now, "key:a") for number in range(24)]
    assert sum(await asyncio.gather(*starts)) == AT_MOST


async def test_two_quotas_taken_in_either_order_by_replicas_never_wait_for_each_other(
    replicas: list[Database], now: datetime
) -> None:
    both = ("key:b", "approver:m")
    starts = [
        taken(replicas[number % REPLICAS], f"order-{number}", now, *(both if number % 2 else both[::-1]))
        for number in range(24)
    ]
    assert sum(await asyncio.wait_for(asyncio.gather(*starts), 30)) == AT_MOST


async def test_a_use_is_free_again_when_its_time_is_over(replicas: list[Database], now: datetime) -> None:
    for number in range(AT_MOST):
        assert await taken(replicas[0], f"order-{number}", now + timedelta(minutes=number), "key:c")
    async with replicas[1].read() as connection:
        assert await quotas.full_until(connection, "key:c", AT_MOST, now + timedelta(minutes=10)) == now + HOUR
    assert not await taken(replicas[1], "late", now + HOUR - timedelta(seconds=1), "key:c")
    assert await taken(replicas[2], "free", now + HOUR, "key:c")
