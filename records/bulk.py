"""Bulk operations: exactly the instances that a dry run showed, each with its own result, continued after any stop.

Storage only: authorization and actions are the operations'.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.sql import fetch_all, fetch_one, insert_or_ignore, inserting
from records.tables import bulk_items, bulk_operations

OperationState = Literal["planned", "running", "done", "stopped"]
ItemState = Literal["pending", "done", "failed", "skipped"]
ITEMS_PER_WRITE = 200


class Operation(Value):
    """One bulk operation. `token_hash` is the SHA-256 of the dry run's token that starts it."""

    id: str
    action: str
    filter: dict[str, Any]
    reason: str
    actor: str
    token_hash: str
    state: OperationState = "planned"
    created_at: Moment
    updated_at: Moment


class Item(Value):
    """One instance of an operation; `result` is a message."""

    operation_id: str
    instance_id: str
    state: ItemState
    result: str
    updated_at: Moment


class ItemCounts(Value):
    """The number of items in each state."""

    pending: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Return how many items there are."""
        return self.pending + self.done + self.failed + self.skipped


async def plan(connection: AsyncConnection, operation: Operation) -> bool:
    """Write an operation down. False when its id is taken."""
    return await insert_or_ignore(connection, bulk_operations, operation.model_dump())


async def add(connection: AsyncConnection, operation_id: str, instance_ids: Iterable[str], now: datetime) -> None:
    """Add instances, each once. Call it with batches of at most ITEMS_PER_WRITE, a transaction each."""
    row = {"operation_id": operation_id, "state": "pending", "result": "", "updated_at": now}
    found = [row | {"instance_id": instance_id} for instance_id in instance_ids]
    if found:
        await connection.execute(inserting(connection, bulk_items).on_conflict_do_nothing(), found)


async def get(connection: AsyncConnection, operation_id: str) -> Operation | None:
    """Return one operation."""
    return await fetch_one(
        connection, sa.select(bulk_operations).where(bulk_operations.c.id == operation_id), Operation
    )


async def by_token(connection: AsyncConnection, token_hash: str) -> Operation | None:
    """Return the operation that a dry run's token belongs to."""
    wanted = sa.select(bulk_operations).where(bulk_operations.c.token_hash == token_hash)
    return await fetch_one(connection, wanted.limit(1), Operation)


async def move(
    connection: AsyncConnection,
    operation_id: str,
    state: OperationState,
    now: datetime,
    *,
    of: tuple[OperationState, ...] = ("planned", "running", "stopped"),
) -> bool:
    """Change an operation's state from one of `of`; False if it is in another, because another call was faster."""
    done = await connection.execute(
        sa.update(bulk_operations)
        .where(bulk_operations.c.id == operation_id, bulk_operations.c.state.in_(of))
        .values(state=state, updated_at=now)
    )
    return bool(done.rowcount)


async def give_reason(connection: AsyncConnection, operation_id: str, reason: str) -> None:
    """Keep the reason that was given at the start of an operation: a dry run needs none."""
    await connection.execute(
        sa.update(bulk_operations).where(bulk_operations.c.id == operation_id).values(reason=reason)
    )


async def pending(connection: AsyncConnection, operation_id: str, limit: int = ITEMS_PER_WRITE) -> tuple[Item, ...]:
    """Return items without a result, in the order of their ids: where to begin or continue."""
    return await items(connection, operation_id, state="pending", limit=limit)


async def items(
    connection: AsyncConnection,
    operation_id: str,
    *,
    state: ItemState | None = None,
    after: str = "",
    limit: int = ITEMS_PER_WRITE,
) -> tuple[Item, ...]:
    """Return an operation's items by instance id; `after` is the last one seen."""
    wanted = sa.select(bulk_items).where(bulk_items.c.operation_id == operation_id, bulk_items.c.instance_id > after)
    if state is not None:
        wanted = wanted.where(bulk_items.c.state == state)
    return await fetch_all(connection, wanted.order_by(bulk_items.c.instance_id).limit(limit), Item)


async def finish(  # noqa: PLR0913 an item's key and its result
    connection: AsyncConnection, operation_id: str, instance_id: str, now: datetime, *, state: ItemState, result: str
) -> bool:
    """Keep an item's result, once: False when it had one."""
    done = await connection.execute(
        sa.update(bulk_items)
        .where(
            bulk_items.c.operation_id == operation_id,
            bulk_items.c.instance_id == instance_id,
            bulk_items.c.state == "pending",
        )
        .values(state=state, result=result, updated_at=now)
    )
    return bool(done.rowcount)


async def retry_failed(connection: AsyncConnection, operation_id: str, now: datetime) -> int:
    """Make failed items pending again, for an operation that is continued. Returns how many."""
    done = await connection.execute(
        sa.update(bulk_items)
        .where(bulk_items.c.operation_id == operation_id, bulk_items.c.state == "failed")
        .values(state="pending", result="", updated_at=now)
    )
    return int(done.rowcount)


async def progress(connection: AsyncConnection, operation_id: str) -> ItemCounts:
    """Return how far an operation is."""
    counted = (
        sa.select(bulk_items.c.state, sa.func.count().label("items"))
        .where(bulk_items.c.operation_id == operation_id)
        .group_by(bulk_items.c.state)
    )
    return ItemCounts(**{row.state: row.items for row in (await connection.execute(counted)).all()})


async def page(
    connection: AsyncConnection, *, before: datetime | None = None, limit: int = 50
) -> tuple[Operation, ...]:
    """Return operations, newest first; `before` is the creation of the last one seen."""
    wanted = sa.select(bulk_operations)
    if before is not None:
        wanted = wanted.where(bulk_operations.c.created_at < before)
    order = (bulk_operations.c.created_at.desc(), bulk_operations.c.id)
    return await fetch_all(connection, wanted.order_by(*order).limit(limit), Operation)
