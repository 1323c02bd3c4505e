"""One batch of a bulk operation: each instance once, at most so many at a time, each with its own result.

What an action does to an instance is handed in; here is only the book-keeping that lets any stop be continued.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from dapr.ext.workflow import WorkflowActivityContext

from approvals.values import Value
from records import bulk
from records.database import Database

ITEMS_PER_ACTIVITY = 100
ITEMS_AT_ONCE = 8


class BatchInput(Value):
    """The id of an operation. All else is in the database, where only an authorized call could write it."""

    operation_id: str


class BatchResult(Value):
    """The operation's progress."""

    pending: int
    done: int
    failed: int
    skipped: int


class ItemResult(Value):
    """The result for one instance. `result` is a message; a `pending` one is left to a later batch."""

    state: bulk.ItemState
    result: str


Act = Callable[[bulk.Operation, str], Awaitable[ItemResult]]
"""Does an operation's action to one instance. Raises nothing: a failure is a result."""


class BulkActivities:
    """Works through operations."""

    def __init__(self, database: Database, act: Act, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._act = act
        self._clock = clock

    async def bulk_batch(self, ctx: WorkflowActivityContext, what: BatchInput) -> dict[str, Any]:
        """Do the next instances of a running operation. A retry does only those without a result."""
        async with self._database.read() as connection:
            operation = await bulk.get(connection, what.operation_id)
            items = await bulk.pending(connection, what.operation_id, ITEMS_PER_ACTIVITY)
        if operation is None or operation.state != "running":
            return BatchResult(pending=0, done=0, failed=0, skipped=0).model_dump()
        slots = asyncio.Semaphore(ITEMS_AT_ONCE)
        await asyncio.gather(*(self._one(slots, operation, item.instance_id) for item in items))
        async with self._database.write() as connection:
            progress = await bulk.progress(connection, operation.id)
            if progress.pending == 0:
                await bulk.move(connection, operation.id, "done", self._clock(), of=("running",))
        return BatchResult(**progress.model_dump()).model_dump()

    async def _one(self, slots: asyncio.Semaphore, operation: bulk.Operation, instance_id: str) -> None:
        async with slots:
            found = await self._act(operation, instance_id)
        async with self._database.write() as connection:
            await bulk.finish(
                connection, operation.id, instance_id, self._clock(), state=found.state, result=found.result
            )
