"""Looking for rows that cannot be read, table by table. Reads only, in short transactions; slow on large databases."""

from collections.abc import AsyncIterator
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from approvals.values import Moment, Value
from records import tables
from records.audit import Chained
from records.bulk import Item, Operation
from records.chain import Checkpoint
from records.database import Database
from records.instances import Instance
from records.intake import Row
from records.keys import ApiKey
from records.leaders import Leader
from records.ledger import LedgerRow
from records.notifications import NotificationRow
from records.policies import PolicySeen
from records.quotas import Use
from records.replays import Replay
from records.slack_answers import SlackAnswer
from records.slack_pace import Held
from records.unreadable import BadRow, bad_row
from records.webhooks import Delivery

ROWS_PER_SEARCH = 500


class _Lease(Value):
    name: str
    holder: str
    until: Moment


class _Sent(Value):
    key: str
    at: Moment


class _RevokedSession(Value):
    session_id: str
    at: Moment


class _Waiting(Value):
    principal: str
    created_at: Moment
    instance_id: str


KINDS: tuple[tuple[sa.Table, type[Value]], ...] = (
    (tables.instances, Instance),
    (tables.intake, Row),
    (tables.audit, Chained),
    (tables.checkpoints, Checkpoint),
    (tables.keys, ApiKey),
    (tables.order_ledger, LedgerRow),
    (tables.policies, PolicySeen),
    (tables.bulk_operations, Operation),
    (tables.bulk_items, Item),
    (tables.replays, Replay),
    (tables.leases, _Lease),
    (tables.leaders, Leader),
    (tables.notifications, NotificationRow),
    (tables.sent, _Sent),
    (tables.slack_pace, Held),
    (tables.slack_answers, SlackAnswer),
    (tables.quota_uses, Use),
    (tables.webhook_deliveries, Delivery),
    (tables.waiting, _Waiting),
    (tables.revoked_sessions, _RevokedSession),
)
"""The model of each table's rows."""


async def find(database: Database) -> AsyncIterator[BadRow]:
    """Give every row that cannot be read. Raises RecordsError."""
    for table, kind in KINDS:
        columns = [table.c[name] for name in kind.model_fields]
        async for page in _pages(database, table):
            for row in page:
                try:
                    kind.model_validate({column.name: row[column.name] for column in columns})
                except ValidationError as error:
                    yield bad_row(sa.select(table), row, error)


async def _pages(database: Database, table: sa.Table) -> AsyncIterator[Any]:
    """Page by the position alone: a damaged key could not be compared with."""
    keys, offset = list(table.primary_key), 0
    while True:
        query = sa.select(table).order_by(*keys).limit(ROWS_PER_SEARCH).offset(offset)
        async with database.read() as connection:
            page = (await connection.execute(query)).mappings().all()
        yield page
        if len(page) < ROWS_PER_SEARCH:
            return
        offset += ROWS_PER_SEARCH
