"""The small books: ledger, replays, policies, bulk operations."""

from datetime import datetime, timedelta
from decimal import Decimal

from records import bulk, ledger, policies, replays
from records.bulk import ItemCounts, Operation
from records.database import Database
from records.ledger import LedgerRow


async def test_an_order_is_processed_once_however_often_it_is_asked(database: Database, now: datetime) -> None:
    row = LedgerRow(
        idempotency_key="order-1/run", order_id="1", amount=Decimal("2400.10"), currency="USD", instance_id="i",
        digest="d", at=now,
    )  # fmt: skip
    async with database.write() as connection:
        assert await ledger.process(connection, row) == (row, True)
        assert await ledger.process(connection, row.model_copy(update={"amount": Decimal(9)})) == (row, False)
        assert await ledger.of_order(connection, "1") == await ledger.since(connection, now) == (row,)


async def test_a_signed_request_is_answered_by_one_and_its_replay_gets_the_same(
    database: Database, now: datetime
) -> None:
    async with database.write() as connection:
        assert await replays.reserve(connection, "h", now) is None
        again = await replays.reserve(connection, "h", now)
        assert again is not None
        assert again.status is None
        await replays.complete(connection, "h", status=200, headers={"a": "b"}, body=b"\0ok")
        await replays.complete(connection, "h", status=500, headers={}, body=b"")
        last = await replays.reserve(connection, "h", now)
    assert last is not None
    assert (last.status, last.headers, last.body) == (200, {"a": "b"}, b"\0ok")


async def test_replays_older_than_twenty_minutes_are_pruned_in_batches(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        for number in range(7):
            await replays.reserve(connection, str(number), now + timedelta(minutes=number))
        late = now + timedelta(minutes=24, seconds=1)
        assert [await replays.prune(connection, late, limit=3) for _ in range(3)] == [3, 2, 0]
        assert await replays.get(connection, "5") is not None


async def test_the_policy_in_force_is_written_once_however_many_requests_it_routes(
    database: Database, now: datetime
) -> None:
    async with database.write() as connection:
        for minutes in range(3):
            await policies.record_seen(connection, "a", "rules", now + timedelta(minutes=minutes))
        found = await policies.get(connection, "a")
    assert found is not None
    assert (found.seen_at, found.last_seen_at) == (now, now)


async def test_every_policy_that_was_in_force_can_be_read_later(database: Database, now: datetime) -> None:
    hour = timedelta(hours=1)
    async with database.write() as connection:
        seen = [
            await policies.record_seen(connection, version, f"rules of {version}", now + hour * number)
            for number, version in enumerate(["a", "a", "b", "a"])
        ]
        first = await policies.get(connection, "a")
        listed = [policy.version for policy in await policies.page(connection)]
        versions = [await policies.versions(connection, limit) for limit in (2, 1)]
    assert seen == [(True, None), (False, "a"), (True, "a"), (True, "b")]
    assert first is not None
    assert (first.content, first.seen_at, first.last_seen_at) == ("rules of a", now, now + hour * 3)
    assert listed == ["a", "b"]
    assert versions == [("a", "b"), ("a",)]


def operation(now: datetime) -> Operation:
    return Operation(
        id="o1", action="terminate", filter={"phase": "waiting"}, reason="cleanup", actor="T1/U1", token_hash="t",
        created_at=now, updated_at=now,
    )  # fmt: skip


async def test_a_bulk_operation_is_continued_where_it_stopped(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        assert await bulk.plan(connection, operation(now))
        assert not await bulk.plan(connection, operation(now))
        await bulk.add(connection, "o1", ["c", "a", "b", "a"], now)
        await bulk.add(connection, "o1", [], now)
        assert [item.instance_id for item in await bulk.pending(connection, "o1")] == ["a", "b", "c"]
        assert await bulk.finish(connection, "o1", "a", now, state="done", result="terminated")
        assert not await bulk.finish(connection, "o1", "a", now, state="failed", result="again")
        await bulk.finish(connection, "o1", "b", now, state="failed", result="the sidecar did not answer")
    async with database.write() as connection:
        assert await bulk.progress(connection, "o1") == ItemCounts(pending=1, done=1, failed=1)
        assert await bulk.retry_failed(connection, "o1", now) == 1
        assert [item.instance_id for item in await bulk.items(connection, "o1", state="pending")] == ["b", "c"]
        assert [item.instance_id for item in await bulk.items(connection, "o1", after="a", limit=1)] == ["b"]
        assert (await bulk.progress(connection, "o1")).total == 3


async def test_a_bulk_operation_is_started_by_one_with_its_token(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await bulk.plan(connection, operation(now))
        found = await bulk.by_token(connection, "t")
        assert found == operation(now) == await bulk.get(connection, "o1")
        assert await bulk.move(connection, "o1", "running", now, of=("planned",))
        assert not await bulk.move(connection, "o1", "running", now, of=("planned",))
        assert [one.state for one in await bulk.page(connection)] == ["running"]
        assert await bulk.page(connection, before=now) == ()
