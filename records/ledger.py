"""The built-in effect of an approved order: one row in a ledger, however often the activity runs."""

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.plain import Plain, Transaction
from records.sql import One, fetch_all, insert_or_ignore
from records.tables import order_ledger


class LedgerRow(Value):
    """An order that was processed. `idempotency_key` names the one time it may be."""

    idempotency_key: str
    order_id: str
    amount: Decimal | None = None
    currency: str
    instance_id: str
    digest: str
    at: Moment


@Plain
def process(transaction: Transaction, row: LedgerRow) -> tuple[LedgerRow, bool]:
    """Write the order down once. Returns the row that stands and whether it is new."""
    amount = None if row.amount is None else str(row.amount)
    if insert_or_ignore.on(transaction, order_ledger, row.model_dump() | {"amount": amount}):
        return row, True
    first = get.on(transaction, row.idempotency_key)
    if first is None:
        raise LookupError(row.idempotency_key)
    return first, False


@Plain
def get(transaction: Transaction, idempotency_key: str) -> LedgerRow | None:
    """Return one row by its key."""
    return GET.get(transaction, LedgerRow, wanted=idempotency_key)


GET = One(sa.select(order_ledger).where(order_ledger.c.idempotency_key == sa.bindparam("wanted")))


async def of_order(connection: AsyncConnection, order_id: str, limit: int = 100) -> tuple[LedgerRow, ...]:
    """Return the ledger's rows of one order, oldest first."""
    wanted = sa.select(order_ledger).where(order_ledger.c.order_id == order_id)
    return await fetch_all(connection, wanted.order_by(order_ledger.c.at).limit(limit), LedgerRow)


async def since(connection: AsyncConnection, moment: datetime, limit: int = 100) -> tuple[LedgerRow, ...]:
    """Return the ledger's rows since a moment, oldest first."""
    wanted = sa.select(order_ledger).where(order_ledger.c.at >= moment)
    return await fetch_all(connection, wanted.order_by(order_ledger.c.at).limit(limit), LedgerRow)
