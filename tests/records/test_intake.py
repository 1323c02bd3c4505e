"""Decisions on their way: taken in once, given to one deliverer at a time, answered once."""

import asyncio
from datetime import datetime, timedelta

import pytest

from records import intake
from records.database import Database
from records.intake import Row, Submission

LEASE = timedelta(seconds=30)


def submission(decision: str = "d1", instance_id: str = "order-1-workflow") -> Submission:
    return Submission(
        id=decision,
        instance_id=instance_id,
        payload={"mac": "é\0"},
        person="T1/U1",
        through="slack",
    )


async def submit(database: Database, now: datetime, *decisions: str) -> None:
    for number, decision in enumerate(decisions):
        async with database.write() as connection:
            await intake.submit(connection, submission(decision), now + timedelta(seconds=number))


async def get(database: Database, decision: str) -> Row:
    async with database.read() as connection:
        row = await intake.get(connection, decision)
    assert row is not None
    return row


async def test_the_same_decision_is_taken_in_once_and_the_first_row_stands(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        first, new = await intake.submit(connection, submission(), now)
        again, repeated = await intake.submit(connection, submission(instance_id="another"), now + LEASE)
    assert (new, repeated) == (True, False)
    assert again == first == await get(database, "d1")
    assert first.payload == {"mac": "é\0"}


async def test_a_row_is_due_once_until_its_lease_ends(database: Database, now: datetime) -> None:
    await submit(database, now, "d1", "d2", "d3")
    async with database.write() as connection:
        first = await intake.due(connection, now + timedelta(seconds=1), 10, LEASE)
        second = await intake.due(connection, now + timedelta(seconds=2), 10, LEASE)
        nobody = await intake.due(connection, now + timedelta(seconds=3), 10, LEASE)
        later = await intake.due(connection, now + timedelta(seconds=40), 2, LEASE)
    assert [[row.id for row in rows] for rows in (first, second, nobody, later)] == [
        ["d1", "d2"], ["d3"], [], ["d1", "d2"],
    ]  # fmt: skip
    assert [row.attempts for row in later] == [2, 2]
    assert await get(database, "d1") == later[0]


async def test_a_decision_of_before_the_clock_went_back_is_due_at_once_and_then_leased_as_ever(
    database: Database, now: datetime
) -> None:
    ahead = now + timedelta(minutes=10)
    async with database.write() as connection:
        await intake.submit(connection, submission("pending"), ahead, lease=LEASE)
        await intake.submit(connection, submission("raised"), ahead)
        await intake.raised(connection, "raised", ahead + intake.LONGEST_WAIT)
        first = await intake.due(connection, now, 10, LEASE)
        again = await intake.due(connection, now + LEASE / 2, 10, LEASE)
        later = await intake.due(connection, now + LEASE, 10, LEASE)
    assert [{row.id for row in rows} for rows in (first, again, later)] == [
        {"pending", "raised"}, set(), {"pending", "raised"},
    ]  # fmt: skip


async def test_a_clock_that_is_a_little_ahead_elsewhere_takes_no_lease_away(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await intake.submit(connection, submission("pending"), now + LEASE / 2, lease=LEASE)
        await intake.submit(connection, submission("raised"), now)
        await intake.raised(connection, "raised", now + intake.LONGEST_WAIT)
        assert await intake.due(connection, now, 10, LEASE) == ()


async def test_whoever_delivers_at_once_keeps_the_row_from_others_meanwhile(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await intake.submit(connection, submission(), now, lease=LEASE)
        assert await intake.due(connection, now, 10, LEASE) == ()
        assert len(await intake.due(connection, now + LEASE, 10, LEASE)) == 1


async def test_two_deliverers_never_get_the_same_row(place: str, database: Database, now: datetime) -> None:
    async with database.write() as connection:
        for number in range(60):
            await intake.submit(connection, submission(f"d{number:02}"), now)
    other = Database.open(place)

    async def claim(which: Database) -> list[str]:
        async with which.write() as connection:
            return [row.id for row in await intake.due(connection, now, 7, LEASE)]

    claims = await asyncio.gather(*(claim(which) for which in (database, other) * 6))
    await other.close()
    claimed = [decision for one in claims for decision in one]
    assert sorted(claimed) == [f"d{number:02}" for number in range(60)]


async def test_a_raised_decision_without_an_answer_comes_again(database: Database, now: datetime) -> None:
    await submit(database, now, "d1")
    async with database.write() as connection:
        await intake.due(connection, now, 10, LEASE)
        await intake.raised(connection, "d1", now + timedelta(minutes=1))
        assert await intake.due(connection, now + LEASE, 10, LEASE) == ()
        assert [row.state for row in await intake.due(connection, now + timedelta(minutes=1), 10, LEASE)] == ["raised"]
        await intake.retry_at(connection, "d1", now + timedelta(minutes=9))
        assert await intake.due(connection, now + timedelta(minutes=8), 10, LEASE) == ()


async def test_an_answer_is_kept_once_and_ends_the_delivery(database: Database, now: datetime) -> None:
    await submit(database, now, "d1")
    async with database.write() as connection:
        assert await intake.answer(connection, "d1", {"allowed": True}, now)
        assert not await intake.answer(connection, "d1", {"allowed": False}, now)
        assert not await intake.answer(connection, "unknown", {"allowed": False}, now)
        await intake.raised(connection, "d1", now)
        await intake.retry_at(connection, "d1", now)
        assert await intake.due(connection, now + LEASE, 10, LEASE) == ()
    row = await get(database, "d1")
    assert (row.state, row.verdict, row.answered_at) == ("answered", {"allowed": True}, now)


async def test_the_oldest_undelivered_decision_has_an_age(database: Database, now: datetime) -> None:
    async with database.read() as connection:
        assert await intake.oldest_undelivered(connection, now) is None
    await submit(database, now, "d1", "d2")
    async with database.write() as connection:
        await intake.answer(connection, "d1", {}, now)
        assert await intake.oldest_undelivered(connection, now + LEASE) == timedelta(seconds=29)
        assert await intake.undelivered(connection) == 1


async def test_what_is_pending_for_an_instance_and_all_it_ever_had_are_listed(
    database: Database, now: datetime
) -> None:
    await submit(database, now, "d1", "d2")
    async with database.write() as connection:
        await intake.submit(connection, submission("d3", "another"), now)
        await intake.answer(connection, "d1", {}, now)
        assert [row.id for row in await intake.pending_for(connection, "order-1-workflow")] == ["d2"]
        assert [row.id for row in await intake.of_instance(connection, "order-1-workflow")] == ["d2", "d1"]


@pytest.mark.parametrize("missing", ["id", "payload", "person"])
def test_a_submission_is_whole(missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        Submission.model_validate(submission().model_dump(exclude={missing}))
