"""GET /statistics: how approvals go."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from approvals.moments import moment_of
from approvals.values import Moment
from bot.access.authenticating import Access, Caller
from bot.control.reading.list_query import When
from bot.control.reading.overview import Overview
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems
from records import statistics


class StatisticsQuery(BaseModel):
    """Since when decisions are counted."""

    model_config = ConfigDict(extra="forbid")

    since: When = Field("30d", description="a duration such as `30d`, or a moment", examples=["30d"])


class DayAnswer(BaseModel):
    """Decisions of one day (UTC) by how they ended."""

    day: date
    outcomes: dict[str, int]


class StatisticsAnswer(BaseModel):
    """Waiting requests, and decisions since a moment. Times are seconds, shares between 0 and 1."""

    since: Moment
    until: Moment
    waiting: int
    oldest: Moment | None
    waiting_by_rule: tuple[statistics.Waiting, ...]
    waiting_by_approver: tuple[statistics.Waiting, ...]
    decided_per_day: tuple[DayAnswer, ...]
    decided: int = Field(description="by a person; automatic ones have no time to decision")
    median_seconds: float | None
    p90_seconds: float | None
    outcomes: dict[str, int]
    shares: dict[str, float]
    timeouts: int
    refusals: dict[str, int]


def routes(access: Access, overview: Overview, clock: Callable[[], datetime]) -> APIRouter:
    """Return the route of statistics."""
    router = APIRouter(tags=["statistics"], dependencies=SIGNED_IN)
    who = Depends(caller_of(access))

    @router.get("/statistics", responses=problems())
    async def get_statistics(
        caller: Annotated[Caller, who], query: Annotated[StatisticsQuery, Query()]
    ) -> StatisticsAnswer:
        """Return what waits now by rule and approver, and how decisions went."""
        return answer(await overview.statistics(caller, moment_of(query.since, clock())))

    return router


def answer(found: statistics.Statistics) -> StatisticsAnswer:
    """Return the figures with times in seconds."""
    median, p90 = found.duration.median, found.duration.p90
    return StatisticsAnswer(
        since=found.since,
        until=found.until,
        waiting=found.waiting,
        oldest=found.oldest,
        waiting_by_rule=found.by_rule,
        waiting_by_approver=found.by_approver,
        decided_per_day=tuple(DayAnswer(day=each.day, outcomes=each.outcomes) for each in found.per_day),
        decided=found.duration.count,
        median_seconds=None if median is None else median.total_seconds(),
        p90_seconds=None if p90 is None else p90.total_seconds(),
        outcomes=found.outcomes,
        shares=found.shares,
        timeouts=found.timeouts,
        refusals=found.refusals,
    )
