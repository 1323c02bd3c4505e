"""A purge and the end of what was under way when it came, at once: no text stays, whichever is committed first."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records import instances, intake, notifications, tables, webhooks
from records.database import Database
from records.instances import Known

CANARY = "canary"
Work = Callable[[AsyncConnection], Awaitable[object]]


async def under_way(connection: AsyncConnection, now: datetime) -> None:
    """Write a request that has ended, with a decision, a telling and a delivery that have not."""
    await instances.insert(connection, Known(instance_id="i", name="w", phase="rejected"), now)
    submission = intake.Submission(id="d", instance_id="i", payload={"reason": CANARY}, person="T/U", through="slack")
    await intake.submit(connection, submission, now, lease=timedelta(hours=1))
    told = notifications.Notification(id="n", instance_id="i", kind="thread", content={"text": CANARY})
    await notifications.enqueue(connection, [told], now)
    delivery = webhooks.Delivery(
        id="w", instance_id="i", signer="k", url="https://a.example/", event="e", body=CANARY, created_at=now
    )
    await webhooks.enqueue(connection, delivery)


async def at_once(database: Database, first: Work, second: Work) -> None:
    """Do the first, begin the second before the first is committed, and let both end."""
    done, go_on = asyncio.Event(), asyncio.Event()

    async def held() -> None:
        async with database.write() as connection:
            await first(connection)
            done.set()
            await go_on.wait()

    async def following() -> None:
        async with database.write() as connection:
            await second(connection)

    async with asyncio.TaskGroup() as both:
        both.create_task(held())
        await done.wait()
        both.create_task(following())
        await asyncio.sleep(0.2)
        go_on.set()


@pytest.mark.parametrize("purged_first", [True, False], ids=["the purge first", "the purge last"])
@pytest.mark.parametrize("what", ["answer", "answer_last", "telling", "delivery"])
async def test_a_purge_and_an_end_at_once_leave_no_text(
    database: Database, now: datetime, what: str, *, purged_first: bool
) -> None:
    ends: dict[str, Work] = {
        "answer": lambda connection: intake.answer(connection, "d", {}, now),
        "answer_last": lambda connection: intake.answer_last(connection, "d", {}, "i", now),
        "telling": lambda connection: notifications.finish(connection, "n", "sent", now),
        "delivery": lambda connection: webhooks.settle(
            connection, "w", now, state="sent", again_at=None, last_status=200, problem=""
        ),
    }
    async with database.write() as connection:
        await under_way(connection, now)

    async def purge(connection: AsyncConnection) -> None:
        await instances.forget(connection, "i", now)

    order = (purge, ends[what]) if purged_first else (ends[what], purge)
    await at_once(database, *order)
    table = {"telling": tables.notifications, "delivery": tables.webhook_deliveries}.get(what, tables.intake)
    async with database.read() as connection:
        found = (await connection.execute(sa.select(table))).mappings().all()
    assert CANARY not in str(found)
