"""Lists of instances: filters, orders and pages that each follow an index, at 100 rows or at 100,000. Reads only."""

import base64
import binascii
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.request import CardRef
from approvals.statuses import Status
from approvals.values import Moment, Value
from records import search
from records.columns import Instant, canonical, to_micros
from records.database import Database
from records.errors import BadCursorError
from records.instances import Instance, Phase
from records.sql import Read, fetch_all
from records.tables import instances, waiting

Sort = Literal["created", "deadline", "since", "progress", "ended", "amount", "requester"]
MOST_LISTED = 200
MOST_COUNTED = 10_000
"""A list says "more than 10,000" beyond this: counting costs the same at any size."""


class Decider(Value):
    """A person whose own decision requests wait for.

    `principals` are the names under which a policy may mean them, `also` the instances that they may decide besides
    (as a delegate). A row that names one of their `identities` (user id, person key, e-mail; in lower case) as barred
    is left out.
    """

    principals: tuple[str, ...]
    identities: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


class Filter(Value):
    """A filter of instances; all that are set must match. `older_than` and `newer_than` are moments of creation.

    `waiting_on` is a principal such as "group:managers"; `policy_versions` goes with it, for no index is by version.
    `decider` is a person whose decision is wanted: see Decider. `end` is how the request ended, purged or not.
    `usable_at` leaves out approvals that were not used in time; `expired_at` are these alone.
    `amount_from` and `amount_to` are inclusive and of any currency unless `currency` is given.
    `q` is described in `search`; `requests_only` leaves out what asks nobody, `unfinished` leaves out what has
    ended in the engine; `finished_before` and `progress_before` are for bulk operations.
    """

    status: Status | None = None
    phase: Phase | None = None
    name: str | None = None
    not_named: str | None = None
    requests_only: bool = False
    kind: str | None = None
    waiting_on: str | None = None
    policy_versions: tuple[str, ...] | None = None
    requester: str | None = None
    requesters: tuple[str, ...] | None = None
    older_than: Moment | None = None
    newer_than: Moment | None = None
    q: str | None = None
    unfinished: bool = False
    overdue_at: Moment | None = None
    finished_before: Moment | None = None
    progress_before: Moment | None = None
    decider: Decider | None = None
    end: str | None = None
    usable_at: Moment | None = None
    expired_at: Moment | None = None
    currency: str | None = None
    amount_from: Decimal | None = None
    amount_to: Decimal | None = None

    @property
    def open_only(self) -> bool:
        """Whether only what waits can match, which always has a deadline: a list's second part need not be read."""
        return self.decider is not None or self.waiting_on is not None


class Line(Value):
    """An instance as a list shows it."""

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
    ended_as: str | None
    amount_number: float | None = Field(exclude=True)


class Page(Value):
    """One page of a list. `cursor` gives the next page, `previous` the one before; None if there is none.

    `before` is how many lines come before this page, as far as its cursor tells.
    """

    lines: tuple[Line, ...]
    cursor: str | None = None
    previous: str | None = None
    before: int = 0


SHOWN = tuple(instances.c[name] for name in Line.model_fields)


class _Order(NamedTuple):
    """Columns to sort by, the last one unique; whether the highest come first; the conditions of the rows it is for."""

    columns: tuple[sa.Column[Any], ...]
    falling: bool
    fits: tuple[sa.ColumnElement[bool], ...] = ()


class _Place(Value):
    """The begin of a page: after the line with these values in the order's columns. It is kept in the cursor."""

    sort: str
    part: int = Field(ge=0, le=1)
    values: tuple[int | float | str, ...] | None = Field(
        description="None: from the very beginning, or end, of the part"
    )
    before: int = Field(ge=0, le=10**12)
    back: bool = False


def _orders(sort: Sort, wanted: Filter) -> tuple[_Order, ...]:
    """Return a list's parts, one after the other: what the order is made for, then the rest, newest first."""
    c = instances.c
    if sort == "created":
        table = waiting if wanted.waiting_on is not None else instances
        return (_Order((table.c.created_at, table.c.instance_id), falling=True),)
    if sort == "requester":
        return (_Order((c.requester, c.created_at, c.instance_id), falling=False),)
    column = {
        "deadline": c.deadline,
        "since": c.asked_at,
        "progress": c.updated_at,
        "ended": c.finished_at,
        "amount": c.amount_number,
    }[sort]
    has = column.is_not(None)
    if sort in {"ended", "amount"}:
        return _Order((column, c.instance_id), falling=True, fits=(has,)), _newest_first(column.is_(None))
    first = _Order((column, c.instance_id), falling=False, fits=(c.finished_at.is_(None), has))
    rest = _newest_first(sa.or_(c.finished_at.is_not(None), column.is_(None)))
    return (first,) if wanted.open_only else (first, rest)


def _newest_first(fits: sa.ColumnElement[bool]) -> _Order:
    return _Order((instances.c.created_at, instances.c.instance_id), falling=True, fits=(fits,))


async def page(
    connection: AsyncConnection,
    wanted: Filter | None = None,
    *,
    sort: Sort = "created",
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """Return one page: newest first, or by what `sort` names. Whatever the order, no match is left out.

    `deadline`, `since` and `progress` are orders of what is open: the most urgent comes first, what is over after it.
    `amount` and `ended` begin with the highest and the latest. `limit` is bounded by MOST_LISTED.
    Raises BadCursorError for a cursor of another order, or of none.
    """
    wanted, limit = wanted or Filter(), max(1, min(limit, MOST_LISTED))
    orders = _orders(sort, wanted)
    place = _Place(sort=sort, part=0, values=None, before=0) if cursor is None else _read(cursor, sort, orders)
    query = await select(connection, wanted, SHOWN)
    found, more = await _collect(connection, query, orders, place, limit)
    return _page(found[:limit], place, orders, more=more)


Placed = tuple[int, Line]
"""A line with the part of the list that it stands in."""


async def _collect(
    connection: AsyncConnection, query: sa.Select[Any], orders: tuple[_Order, ...], place: _Place, limit: int
) -> tuple[list[Placed], bool]:
    """Return the next lines from a place, on to the next part if one is used up; in reverse when going back.

    And whether there are more. A row that cannot be read is in no page, but counts towards whether one was full.
    """
    found: list[Placed] = []
    read, step = 0, -1 if place.back else 1
    part, values = place.part, place.values
    while 0 <= part < len(orders) and read <= limit:
        order = orders[part]
        here = _beyond(query.where(*order.fits), order, values, back=place.back).limit(limit + 1 - read)
        lines = await fetch_all(connection, here, Line)
        found += [(part, line) for line in lines]
        read += len(lines.raw)
        part, values = part + step, None
    return found, read > limit


def _beyond(query: sa.Select[Any], order: _Order, values: tuple[Any, ...] | None, *, back: bool) -> sa.Select[Any]:
    falling = order.falling != back
    if values is not None:
        stored = [sa.literal(value, _stored(column)) for value, column in zip(values, order.columns, strict=True)]
        here = sa.tuple_(*(sa.type_coerce(column, _stored(column)) for column in order.columns))
        query = query.where(here < sa.tuple_(*stored) if falling else here > sa.tuple_(*stored))
    return query.order_by(*(column.desc() if falling else column for column in order.columns))


def _stored(column: sa.Column[Any]) -> Any:
    """Return the type in which a column's values travel: moments as microseconds."""
    return sa.BigInteger() if isinstance(column.type, Instant) else column.type


def _page(shown: list[Placed], place: _Place, orders: tuple[_Order, ...], *, more: bool) -> Page:
    if place.back:
        shown.reverse()
    before = max(0, place.before - len(shown)) if place.back else place.before
    if place.back and not more:
        before = 0  # what has come and gone since makes the count wrong; the beginning of the list is certain
    has_next = place.back or more
    has_previous = more if place.back else before > 0
    return Page(
        lines=tuple(line for _, line in shown),
        cursor=_cursor(shown[-1], orders, place.sort, before + len(shown)) if has_next and shown else None,
        previous=_cursor(shown[0], orders, place.sort, before, back=True) if has_previous and shown else None,
        before=before,
    )


def _cursor(placed: Placed, orders: tuple[_Order, ...], sort: str, before: int, *, back: bool = False) -> str:
    part, line = placed
    values = tuple(_value(line, column.name) for column in orders[part].columns)
    place = _Place(sort=sort, part=part, values=values, before=before, back=back)
    return base64.urlsafe_b64encode(canonical(place.model_dump()).encode()).decode().rstrip("=")


def _value(line: Line, name: str) -> int | float | str:
    found = getattr(line, name)
    return to_micros(found) if isinstance(found, datetime) else found


def _read(cursor: str, sort: Sort, orders: tuple[_Order, ...]) -> _Place:
    """Return the place that a cursor names. Raises BadCursorError."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = _Place.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        place = None
    if place is None or place.sort != sort or place.part >= len(orders) or not _fits(place, orders[place.part]):
        raise BadCursorError(f"This cursor does not belong to a list sorted by {sort!r}: start again without a cursor.")
    return place


def _fits(place: _Place, order: _Order) -> bool:
    """Whether a cursor's values are of the columns' types; a database would raise if they are not."""
    if place.values is None or len(place.values) != len(order.columns):
        return False
    return all(_is_of(value, column) for value, column in zip(place.values, order.columns, strict=True))


def _is_of(value: object, column: sa.Column[Any]) -> bool:
    if isinstance(column.type, Instant):
        return isinstance(value, int) and abs(value) < 2**63
    if isinstance(column.type, sa.Float):
        return isinstance(value, int | float)
    return isinstance(value, str) and "\0" not in value


async def select(
    connection: AsyncConnection, wanted: Filter, columns: tuple[sa.ColumnElement[Any], ...]
) -> sa.Select[Any]:
    """Return the SELECT for a filter, without order and limit."""
    query = sa.select(*columns).where(*_equal(wanted), *_times(wanted))
    if wanted.waiting_on is not None:
        joined = waiting.join(instances, waiting.c.instance_id == instances.c.instance_id)
        query = query.select_from(joined).where(waiting.c.principal == wanted.waiting_on)
    if wanted.decider is not None:
        query = query.where(*_for_decider(wanted.decider))
    if wanted.q is not None:
        query = query.where(*await search.matching(connection, wanted.q))
    return query


def _for_decider(decider: Decider) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for what waits for a person's own decision."""
    c = instances.c
    asked = sa.select(waiting.c.instance_id).where(waiting.c.principal.in_(decider.principals))
    barred = sa.type_coerce(c.barred, sa.Text)
    own = [~barred.contains(canonical(identity), autoescape=True) for identity in decider.identities]
    theirs = sa.and_(c.instance_id.in_(asked), *own)
    also = [c.instance_id.in_(decider.also)] if decider.also else []
    return [c.phase == "waiting", c.finished_at.is_(None), sa.or_(theirs, *also)]


def _equal(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    fields = {
        "engine_status": wanted.status,
        "phase": wanted.phase,
        "name": wanted.name,
        "kind": wanted.kind,
        "requester": wanted.requester,
        "ended_as": wanted.end,
        "currency": wanted.currency,
    }
    conditions = [instances.c[name] == value for name, value in fields.items() if value is not None]
    if wanted.amount_from is not None:
        conditions.append(instances.c.amount_number >= float(wanted.amount_from))
    if wanted.amount_to is not None:
        conditions.append(instances.c.amount_number <= float(wanted.amount_to))
    if wanted.not_named is not None:
        conditions.append(instances.c.name != wanted.not_named)
    if wanted.requests_only:
        conditions.append(instances.c.kind != "")
    if wanted.requesters is not None:
        conditions.append(instances.c.requester.in_(wanted.requesters))
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
    if wanted.usable_at is not None:
        conditions.append(sa.or_(c.valid_until.is_(None), c.valid_until > wanted.usable_at, c.consumed_at.is_not(None)))
    if wanted.expired_at is not None:
        conditions += [c.valid_until <= wanted.expired_at, c.consumed_at.is_(None)]
    if wanted.finished_before is not None:
        conditions += [c.finished_at < wanted.finished_before, c.phase != "purged"]
    if wanted.progress_before is not None:
        conditions += [c.finished_at.is_(None), c.updated_at < wanted.progress_before]
    return conditions


async def count(connection: AsyncConnection, wanted: Filter | None = None, *, at_most: int = MOST_COUNTED) -> int:
    """Count matches, but not beyond `at_most`."""
    few = (await select(connection, wanted or Filter(), (instances.c.instance_id,))).limit(at_most).subquery()
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0)


async def ids(connection: AsyncConnection, wanted: Filter, *, after: str = "", limit: int = 1_000) -> tuple[str, ...]:
    """Return matching ids in their own order, for bulk operations; `after` is the last one seen."""
    query = (await select(connection, wanted, (instances.c.instance_id,))).where(instances.c.instance_id > after)
    return tuple((await connection.execute(query.order_by(instances.c.instance_id).limit(limit))).scalars())


async def unfinished(connection: AsyncConnection, *, after: str = "", limit: int = 500) -> Read[Instance]:
    """Return rows that have not ended in the engine as far as we know, by id, for reconciliation."""
    query = sa.select(instances).where(instances.c.finished_at.is_(None), instances.c.instance_id > after)
    return await fetch_all(connection, query.order_by(instances.c.instance_id).limit(limit), Instance)


async def each_unfinished(database: Database, size: int) -> AsyncIterator[Instance]:
    """Yield all of them, reading `size` rows at a time, those included that cannot be read."""
    after = ""
    while True:
        async with database.read() as connection:
            found = await unfinished(connection, after=after, limit=size)
        for row in found:
            yield row
        if len(found.raw) < size:
            return
        after = str(found.raw[-1]["instance_id"])


async def missing(connection: AsyncConnection, candidates: tuple[str, ...]) -> tuple[str, ...]:
    """Return those ids that have no row, in their order. At most 1,000 at once."""
    have = sa.select(instances.c.instance_id).where(instances.c.instance_id.in_(candidates))
    known = set((await connection.execute(have)).scalars())
    return tuple(candidate for candidate in candidates if candidate not in known)


async def principals(connection: AsyncConnection, limit: int = 1_000) -> tuple[str, ...]:
    """Return whom anything waits for now, such as `group:S0MANAGERS`."""
    return tuple((await connection.execute(sa.select(waiting.c.principal).distinct().limit(limit))).scalars())
