"""The book of a bulk operation: a batch at a time, bounded, each instance once, failures kept and tried again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from activities.bulk import ITEMS_AT_ONCE, ITEMS_PER_ACTIVITY, BatchInput, BatchResult, BulkActivities, ItemResult
from bot.access.refusals import Refused
from bot.control.operations.selection import BulkFilter, check, filters
from records import bulk
from records.database import Database
from tests.migrated import migrated
from workflows.bulk import bulk_workflow

NOW = datetime(2026, 1, 5, 14, tzinfo=UTC)
COUNT = ITEMS_PER_ACTIVITY + 20


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database.open(await migrated(tmp_path / "countersign.db"))
    yield opened
    await opened.close()


async def operation(database: Database, state: bulk.OperationState = "running") -> None:
    made = bulk.Operation(
        id="op",
        action="purge",
        filter={},
        reason="r",
        actor="key:1",
        token_hash="t",
        state=state,
        created_at=NOW,
        updated_at=NOW,
    )
    async with database.write() as connection:
        await bulk.plan(connection, made)
        await bulk.add(connection, "op", [f"i{number:03}" for number in range(COUNT)], NOW)


class Actor:
    """Does what it is told, and remembers how many at once."""

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        self.failing = failing
        self.seen: list[str] = []
        self.most = self._now = 0

    async def __call__(self, _: bulk.Operation, instance_id: str) -> ItemResult:
        self._now += 1
        self.most = max(self.most, self._now)
        self.seen.append(instance_id)
        await asyncio.sleep(0)
        self._now -= 1
        failed = instance_id in self.failing
        return ItemResult(state="failed" if failed else "done", result="Down." if failed else "Purged.")


async def batch(database: Database, actor: Actor) -> BatchResult:
    activities = BulkActivities(database, actor, lambda: NOW)
    return BatchResult.model_validate(await activities.bulk_batch(cast("Any", None), BatchInput(operation_id="op")))


async def test_a_batch_is_bounded_and_the_last_one_ends_the_operation(database: Database) -> None:
    await operation(database)
    actor = Actor()
    assert await batch(database, actor) == BatchResult(pending=20, done=ITEMS_PER_ACTIVITY, failed=0, skipped=0)
    assert await batch(database, actor) == BatchResult(pending=0, done=COUNT, failed=0, skipped=0)
    assert actor.most <= ITEMS_AT_ONCE
    assert len(actor.seen) == len(set(actor.seen)) == COUNT
    async with database.read() as connection:
        ended = await bulk.get(connection, "op")
    assert ended is not None
    assert ended.state == "done"


async def test_what_failed_keeps_its_sentence_and_only_that_is_tried_again(database: Database) -> None:
    await operation(database)
    broken = Actor(frozenset({"i007", "i110"}))
    await batch(database, broken)
    assert (await batch(database, broken)).failed == 2
    async with database.write() as connection:
        assert [each.result for each in await bulk.items(connection, "op", state="failed")] == ["Down.", "Down."]
        await bulk.retry_failed(connection, "op", NOW)
        await bulk.move(connection, "op", "running", NOW, of=("done",))
    mended = Actor()
    assert await batch(database, mended) == BatchResult(pending=0, done=COUNT, failed=0, skipped=0)
    assert sorted(mended.seen) == ["i007", "i110"]


async def test_what_another_call_holds_has_no_result_yet_and_comes_again(database: Database) -> None:
    await operation(database)
    held = {"i007"}

    async def act(_: bulk.Operation, instance_id: str) -> ItemResult:
        return ItemResult(state="pending" if instance_id in held else "done", result="Busy or purged.")

    activities = BulkActivities(database, act, lambda: NOW)
    for left in (21, 1, 1):
        result = await activities.bulk_batch(cast("Any", None), BatchInput(operation_id="op"))
        assert result == {"pending": left, "done": COUNT - left, "failed": 0, "skipped": 0}
    held.clear()
    result = await activities.bulk_batch(cast("Any", None), BatchInput(operation_id="op"))
    assert result == {"pending": 0, "done": COUNT, "failed": 0, "skipped": 0}


@pytest.mark.parametrize("state", ["planned", "stopped", "done"])
async def test_an_operation_that_nobody_started_touches_nothing(database: Database, state: bulk.OperationState) -> None:
    await operation(database, state)
    actor = Actor()
    await batch(database, actor)
    assert actor.seen == []


class Context:
    """As much of the SDK's context as the workflow uses."""

    def __init__(self) -> None:
        self.status = ""
        self.again: object = None

    def call_activity(self, *_: object, **__: object) -> str:
        return "task"

    def set_custom_status(self, text: str) -> None:
        self.status = text

    def continue_as_new(self, value: object) -> None:
        self.again = value


def run(results: list[dict[str, int]]) -> tuple[Context, Any]:
    context = Context()
    generator = bulk_workflow(cast("Any", context), BatchInput(operation_id="op"))
    next(generator)
    try:
        for result in results:
            generator.send(result)
    except StopIteration as end:
        return context, end.value
    raise AssertionError("it goes on")


def test_the_workflow_says_how_far_it_is_and_what_came_of_it() -> None:
    context, result = run(
        [{"pending": 1, "done": 2, "failed": 0, "skipped": 0}, {"pending": 0, "done": 2, "failed": 1, "skipped": 0}]
    )
    assert context.status == "3 of 3: 2 done, 1 failed, 0 skipped"
    assert result == {"status": "completed", "done": 2, "failed": 1, "skipped": 0}


def test_the_workflow_starts_over_before_its_history_grows_long() -> None:
    context, result = run([{"pending": 5, "done": 2, "failed": 0, "skipped": 0}] * 25)
    assert result is None
    assert context.again == {"operation_id": "op"}


def test_stuck_means_no_progress_or_past_the_deadline() -> None:
    found = filters("terminate", BulkFilter(stuck=True, older_than=timedelta(hours=3), status="RUNNING"), NOW)
    assert [(each.progress_before, each.overdue_at) for each in found] == [
        (NOW - timedelta(hours=3), None),
        (None, NOW),
    ]


def test_what_is_purged_is_old_by_its_end_and_anything_else_by_its_creation() -> None:
    chosen = BulkFilter(older_than=timedelta(days=30))
    assert {each.finished_before for each in filters("purge", chosen, NOW)} == {NOW - timedelta(days=30)}
    assert {each.older_than for each in filters("pause", chosen, NOW)} == {NOW - timedelta(days=30)}


@pytest.mark.parametrize(
    "wanted",
    [BulkFilter(), BulkFilter(status="RUNNING"), BulkFilter(stuck=True), BulkFilter(completed=True, status="FAILED")],
)
def test_a_purge_of_what_cannot_be_purged_is_refused(wanted: BulkFilter) -> None:
    with pytest.raises(Refused):
        check("purge", wanted)
