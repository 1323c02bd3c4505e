"""Figures for operators: what waits and for whom, how long decisions take, how they end. Reads only."""

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.audit_actions import AuditAction
from approvals.values import Moment, Value
from records.columns import EPOCH
from records.tables import audit, instances, waiting

DAY = 86_400_000_000
GROUPS = 100


class Waiting(Value):
    """The waiting requests under one heading (a rule, an approver), and since when the oldest waits."""

    what: str
    count: int
    oldest: Moment | None


class Day(Value):
    """Decisions of one day (UTC) by how they ended."""

    day: date
    outcomes: dict[str, int]


class Duration(Value):
    """From a request's beginning to a person's decision, over `count` requests. None if there were none."""

    count: int
    median: timedelta | None = None
    p90: timedelta | None = None


class Statistics(Value):
    """All figures at once. `outcomes` counts requests by how they ended, `refusals` refused decisions by reason.

    Decisions by a rule alone are counted apart: `approved_by_rule`, `rejected_by_rule`.
    """

    since: Moment
    until: Moment
    waiting: int
    oldest: Moment | None
    by_rule: tuple[Waiting, ...]
    by_approver: tuple[Waiting, ...]
    per_day: tuple[Day, ...]
    duration: Duration
    outcomes: dict[str, int]
    shares: dict[str, float]
    timeouts: int
    refusals: dict[str, int]


async def gather(connection: AsyncConnection, since: datetime, until: datetime) -> Statistics:
    """Return the figures of now (what waits) and of decisions between two moments (`until` exclusive)."""
    count, oldest = (await connection.execute(_waits(sa.func.count(), sa.func.min(ASKED)))).one()
    outcomes = await by_outcome(connection, since, until)
    total = sum(outcomes.values())
    return Statistics(
        since=since,
        until=until,
        waiting=count,
        oldest=_moment(oldest),
        by_rule=await by_rule(connection),
        by_approver=await by_approver(connection),
        per_day=await per_day(connection, since, until),
        duration=await duration(connection, since, until),
        outcomes=outcomes,
        shares={phase: number / total for phase, number in outcomes.items()},
        timeouts=outcomes.get("timed_out", 0),
        refusals=await refusals(connection, since, until),
    )


ASKED = sa.func.coalesce(instances.c.asked_at, instances.c.created_at, type_=instances.c.created_at.type)


_BY_RULE = sa.and_(instances.c.ended_as.in_(("approved", "rejected")), instances.c.asked_at.is_(None))
ENDED_AS = sa.case(
    (_BY_RULE, instances.c.ended_as + sa.literal_column("'_by_rule'")),
    else_=sa.func.coalesce(instances.c.ended_as, sa.literal_column("'unknown'")),
)
"""How a request ended. A rule's own approval or rejection is not counted as a person's decision."""


def _waits(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(*columns).where(instances.c.phase == "waiting")


async def by_rule(connection: AsyncConnection, limit: int = GROUPS) -> tuple[Waiting, ...]:
    """Return what waits now by rule, most first."""
    rule = sa.func.coalesce(instances.c.rule, "")
    query = _waits(rule, sa.func.count(), sa.func.min(ASKED)).group_by(rule)
    return await _groups(connection, query, rule, limit)


async def by_approver(connection: AsyncConnection, limit: int = GROUPS) -> tuple[Waiting, ...]:
    """Return what waits now by whom it waits for, most first. A request that waits for two counts for both."""
    joined = waiting.join(instances, waiting.c.instance_id == instances.c.instance_id)
    query = sa.select(waiting.c.principal, sa.func.count(), sa.func.min(ASKED)).select_from(joined)
    return await _groups(connection, query.group_by(waiting.c.principal), waiting.c.principal, limit)


async def _groups(
    connection: AsyncConnection, query: sa.Select[Any], key: sa.ColumnElement[Any], limit: int
) -> tuple[Waiting, ...]:
    found = (await connection.execute(query.order_by(sa.func.count().desc(), key).limit(limit))).all()
    return tuple(Waiting(what=what, count=count, oldest=_moment(oldest)) for what, count, oldest in found)


def _moment(value: object) -> datetime | None:
    """Return the moment, None if the row that holds it is damaged: a figure is missing then, and no other."""
    return value if isinstance(value, datetime) else None


def _decided(since: datetime, until: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return instances.c.decided_at >= since, instances.c.decided_at < until


async def per_day(connection: AsyncConnection, since: datetime, until: datetime) -> tuple[Day, ...]:
    """Return decisions by day (UTC), oldest day first; days without any are left out."""
    day = sa.type_coerce(instances.c.decided_at, sa.BigInteger).op("/")(sa.literal_column(str(DAY)))
    query = sa.select(day.label("day"), ENDED_AS, sa.func.count()).where(*_decided(since, until))
    days: dict[int, dict[str, int]] = {}
    for number, phase, count in await connection.execute(query.group_by("day", ENDED_AS).order_by("day")):
        days.setdefault(int(number), {})[phase] = count
    return tuple(Day(day=(EPOCH + timedelta(days=number)).date(), outcomes=found) for number, found in days.items())


async def duration(connection: AsyncConnection, since: datetime, until: datetime) -> Duration:
    """Return median and p90 (nearest rank) of the time to a person's decision; automatic ones do not count."""
    by_person = (
        *_decided(since, until),
        instances.c.ended_as.in_(("approved", "rejected")),
        instances.c.asked_at.is_not(None),
    )
    count = int(await connection.scalar(sa.select(sa.func.count()).where(*by_person)) or 0)
    if not count:
        return Duration(count=0)
    took = sa.type_coerce(instances.c.decided_at, sa.BigInteger) - sa.type_coerce(instances.c.created_at, sa.BigInteger)
    ordered = sa.select(took).where(*by_person).order_by(took).limit(1)
    median, p90 = [
        timedelta(microseconds=int(await connection.scalar(ordered.offset(-(-count * percent // 100) - 1)) or 0))
        for percent in (50, 90)
    ]
    return Duration(count=count, median=median, p90=p90)


async def by_outcome(connection: AsyncConnection, since: datetime, until: datetime) -> dict[str, int]:
    """Return how many requests ended in each way: by a decision, or without one (terminated, failed)."""
    undecided = (
        instances.c.decided_at.is_(None),
        instances.c.ended_as.is_not(None),
        instances.c.finished_at >= since,
        instances.c.finished_at < until,
    )
    found: dict[str, int] = {}
    for conditions in (_decided(since, until), undecided):
        query = sa.select(ENDED_AS, sa.func.count()).where(*conditions).group_by(ENDED_AS).order_by(ENDED_AS)
        for ended, count in await connection.execute(query):
            found[ended] = found.get(ended, 0) + count
    return found


REFUSED = (AuditAction.DECISION_REFUSED, AuditAction.REQUEST_REFUSED)
"""The audit's actions for a decision that did not count: refused early, or by the workflow."""


async def refusals(connection: AsyncConnection, since: datetime, until: datetime) -> dict[str, int]:
    """Return how many decisions were refused, by verdict reason, from the audit (purged requests included)."""
    what = (audit.c.action.in_(REFUSED), audit.c.at >= since, audit.c.at < until)
    query = sa.select(audit.c.verdict, sa.func.count()).where(*what).group_by(audit.c.verdict)
    found = (await connection.execute(query.order_by(sa.func.count().desc()).limit(GROUPS))).all()
    return {reason: count for reason, count in found}  # noqa: C416 rows are no pairs for the type checker
