"""Lists of instances: filters, orders and pages that each follow an index, at 100 rows or at 100,000. Reads only."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.request import CardRef
from approvals.statuses import Status
from approvals.values import Moment, Value
from records import search
from records.columns import EPOCH, canonical, from_micros, to_micros
from records.errors import BadCursorError
from records.instances import Instance, Phase
from records.sql import Read, rows
from records.tables import instances, waiting

Sort = Literal["created", "deadline", "since", "progress"]
LIMIT = 200


class Filter(Value):
    """Which instances to list; all that are set must fit. `older_than` and `newer_than` are moments of creation.

    `waiting_on` is a principal such as "group:managers"; `policy_versions` goes with it, for no index is by version.
    `q` is described in `search`; `unfinished` leaves out what has ended in the engine; `finished_before` and
    `progress_before` are for bulk operations.
    """

    status: Status | None = None
    phase: Phase | None = None
    name: str | None = None
    kind: str | None = None
    waiting_on: str | None = None
    policy_versions: tuple[str, ...] | None = None
    requester: str | None = None
    older_than: Moment | None = None
    newer_than: Moment | None = None
    q: str | None = None
    unfinished: bool = False
    overdue_at: Moment | None = None
    finished_before: Moment | None = None
    progress_before: Moment | None = None


class Line(Value):
    """What a list shows of an instance."""

    instance_id: str
    name: str
    kind: str
    subject: str
    engine_status: Status
    custom_status: str
    phase: Phase
    amount: str | None
    currency: str | None
    description: str
    requester: str
    rule: str | None
    stage: int
    waiting_on: tuple[str, ...]
    asked_at: Moment | None
    deadline: Moment | None
    cards: tuple[CardRef, ...]
    created_at: Moment
    updated_at: Moment
    decided_at: Moment | None
    finished_at: Moment | None


class Page(Value):
    """One page of a list. `cursor` gives the next page; None at the end."""

    lines: tuple[Line, ...]
    cursor: str | None = None


SHOWN = tuple(instances.c[name] for name in Line.model_fields)


def _order(sort: Sort, wanted: Filter) -> tuple[sa.Column[Any], sa.Column[Any], bool]:
    """Return the columns to sort by and whether the highest come first."""
    if sort == "created":
        table = waiting if wanted.waiting_on is not None else instances
        return table.c.created_at, table.c.instance_id, True
    column = {"deadline": "deadline", "since": "asked_at", "progress": "updated_at"}[sort]
    return instances.c[column], instances.c.instance_id, False


async def page(
    connection: AsyncConnection,
    wanted: Filter | None = None,
    *,
    sort: Sort = "created",
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """Return one page: newest first, or the unfinished ones by deadline, by time of asking or by least progress.

    Raises BadCursorError for a cursor of another order, or of none. `limit` is bounded by LIMIT.
    """
    wanted, limit = wanted or Filter(), max(1, min(limit, LIMIT))
    column, key, falling = _order(sort, wanted)
    query = await select(connection, wanted, SHOWN)
    if sort != "created":
        query = query.where(instances.c.finished_at.is_(None), column.is_not(None))
    if cursor is not None:
        last = sa.tuple_(*_position(cursor, sort), types=[column.type, key.type])
        here = sa.tuple_(column, key)
        query = query.where(here < last if falling else here > last)
    order = (column.desc(), key.desc()) if falling else (column, key)
    found = await rows(connection, query.order_by(*order).limit(limit + 1), Line)
    more = len(found.raw) > limit
    lines = found[:limit] if len(found) == len(found.raw) else found[: max(1, limit - 1)]
    return Page(lines=lines, cursor=_cursor(lines[-1], sort) if more and lines else None)


def _cursor(line: Line, sort: Sort) -> str:
    fields = {
        "created": line.created_at,
        "deadline": line.deadline,
        "since": line.asked_at,
        "progress": line.updated_at,
    }
    moment = fields[sort]
    position = [sort, None if moment is None else to_micros(moment), line.instance_id]
    return base64.urlsafe_b64encode(canonical(position).encode()).decode().rstrip("=")


def _position(cursor: str, sort: Sort) -> tuple[datetime, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        of, micros, instance_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        position = from_micros(micros), str(instance_id)
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        of, position = None, (EPOCH, "")
    if of != sort or "\0" in position[1]:
        raise BadCursorError(f"This cursor does not belong to a list sorted by {sort!r}: start again without a cursor.")
    return position


async def select(
    connection: AsyncConnection, wanted: Filter, columns: tuple[sa.ColumnElement[Any], ...]
) -> sa.Select[Any]:
    """Return the SELECT for a filter, without order and limit."""
    query = sa.select(*columns).where(*_equal(wanted), *_times(wanted))
    if wanted.waiting_on is not None:
        joined = waiting.join(instances, waiting.c.instance_id == instances.c.instance_id)
        query = query.select_from(joined).where(waiting.c.principal == wanted.waiting_on)
    if wanted.q is not None:
        query = query.where(*await search.matching(connection, wanted.q))
    return query


def _equal(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    fields = {
        "engine_status": wanted.status,
        "phase": wanted.phase,
        "name": wanted.name,
        "kind": wanted.kind,
        "requester": wanted.requester,
    }
    conditions = [instances.c[name] == value for name, value in fields.items() if value is not None]
    if wanted.policy_versions is not None:
        conditions.append(instances.c.policy_version.in_(wanted.policy_versions))
    return conditions


def _times(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    c = instances.c
    created = waiting.c.created_at if wanted.waiting_on is not None else c.created_at
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.older_than is not None:
        conditions.append(created < wanted.older_than)
    if wanted.newer_than is not None:
        conditions.append(created >= wanted.newer_than)
    if wanted.unfinished:
        conditions.append(c.finished_at.is_(None))
    if wanted.overdue_at is not None:
        conditions += [c.finished_at.is_(None), c.deadline < wanted.overdue_at]
    if wanted.finished_before is not None:
        conditions += [c.finished_at < wanted.finished_before, c.phase != "purged"]
    if wanted.progress_before is not None:
        conditions += [c.finished_at.is_(None), c.updated_at < wanted.progress_before]
    return conditions


async def count(connection: AsyncConnection, wanted: Filter | None = None, *, at_most: int = 1_000) -> int:
    """Count matches, but not beyond `at_most`: a list says "1000 or more" and costs the same at any size."""
    few = (await select(connection, wanted or Filter(), (instances.c.instance_id,))).limit(at_most).subquery()
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0)


async def ids(connection: AsyncConnection, wanted: Filter, *, after: str = "", limit: int = 1_000) -> tuple[str, ...]:
    """Return matching ids in their own order, for bulk operations; `after` is the last one seen."""
    query = (await select(connection, wanted, (instances.c.instance_id,))).where(instances.c.instance_id > after)
    return tuple((await connection.execute(query.order_by(instances.c.instance_id).limit(limit))).scalars())


async def unfinished(connection: AsyncConnection, *, after: str = "", limit: int = 500) -> Read[Instance]:
    """Return what has not ended in the engine as far as we know, by id, for reconciliation."""
    query = sa.select(instances).where(instances.c.finished_at.is_(None), instances.c.instance_id > after)
    return await rows(connection, query.order_by(instances.c.instance_id).limit(limit), Instance)


async def overdue(connection: AsyncConnection, now: datetime, *, limit: int = 100) -> tuple[Instance, ...]:
    """Return unfinished instances whose deadline has passed, longest overdue first."""
    query = sa.select(instances).where(instances.c.finished_at.is_(None), instances.c.deadline < now)
    return await rows(connection, query.order_by(instances.c.deadline, instances.c.instance_id).limit(limit), Instance)


async def stuck(connection: AsyncConnection, before: datetime, *, limit: int = 100) -> tuple[Instance, ...]:
    """Return unfinished instances without progress since a moment, longest standing first."""
    query = sa.select(instances).where(instances.c.finished_at.is_(None), instances.c.updated_at < before)
    order = (instances.c.updated_at, instances.c.instance_id)
    return await rows(connection, query.order_by(*order).limit(limit), Instance)


async def missing(connection: AsyncConnection, candidates: tuple[str, ...]) -> tuple[str, ...]:
    """Return those ids that have no row, in their order: what the engine knows and we don't. At most 1,000 at once."""
    have = sa.select(instances.c.instance_id).where(instances.c.instance_id.in_(candidates))
    known = set((await connection.execute(have)).scalars())
    return tuple(candidate for candidate in candidates if candidate not in known)


async def principals(connection: AsyncConnection, limit: int = 1_000) -> tuple[str, ...]:
    """Return whom anything waits for now, such as `group:S0MANAGERS`."""
    return tuple((await connection.execute(sa.select(waiting.c.principal).distinct().limit(limit))).scalars())
