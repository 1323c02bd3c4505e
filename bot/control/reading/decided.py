"""Decisions for auditors: one search over what the audit shows, as a page or as a CSV file."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError
from approvals.authority import Action
from approvals.moments import moment_of
from bot.access.authenticating import Access, Caller
from bot.control.reading.list_query import When, Word
from records import decided
from records.database import Database


class DecisionQuery(BaseModel):
    """A search for decisions; all that are given must match."""

    model_config = ConfigDict(extra="forbid")

    above: Decimal | None = Field(None, ge=0, description="more than this amount", examples=["5000"])
    below: Decimal | None = Field(None, ge=0, description="less than this amount")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", examples=["USD"])
    since: When | None = Field(None, description="within the last `30d`, or from a moment on", examples=["30d"])
    until: When | None = Field(None, description="before a moment", examples=["2026-02-01"])
    answer: decided.Answer | None = Field(None, description="approved or rejected")
    order: Word | None = Field(None, description="an order's id, or an instance id", examples=["42"])
    by: Word | None = Field(
        None, description="part of an approver's name, e-mail or id", examples=["manager@example.com"]
    )
    requester: Word | None = Field(None, description="part of the requester's e-mail or id")
    rule: Word | None = Field(None, description="the policy's rule", examples=["manager"])

    def wanted(self, now: datetime) -> decided.DecisionFilter:
        """Return the search that is meant, durations counted back from now."""
        given = self.model_dump(include=set(DecisionQuery.model_fields) - {"since", "until"})
        since = moment_of(self.since, now) if self.since else None
        return decided.DecisionFilter(**given, since=since, until=moment_of(self.until, now) if self.until else None)


class DecisionsSearch:
    """Finds decisions for callers who may read the audit."""

    def __init__(self, database: Database, directory: Directory, access: Access, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._directory = directory
        self._access = access
        self._clock = clock

    async def page(
        self, caller: Caller, query: DecisionQuery, *, before: int | None = None, limit: int = 50
    ) -> tuple[decided.Decided, ...]:
        """Return decisions, newest first; `before` is the `entry` of the last one seen. Raises: Refused."""
        await self._access.demand(caller, Action.AUDIT_READ)
        wanted = await self._wanted(query)
        async with self._database.read() as connection:
            return await decided.page(connection, wanted, before=before, limit=limit)

    async def csv(self, caller: Caller, query: DecisionQuery) -> AsyncIterator[str]:
        """Return the file, line by line. Raises: Refused, before the first line."""
        await self._access.demand(caller, Action.AUDIT_READ)
        return decided.lines(self._database, await self._wanted(query))

    async def _wanted(self, query: DecisionQuery) -> decided.DecisionFilter:
        wanted = query.wanted(self._clock())
        return wanted.model_copy(update={"people": await self._people(wanted.by)})

    async def _people(self, by: str | None) -> tuple[str, ...]:
        """Return the people of an e-mail or a user id; none while Slack is unavailable."""
        try:
            profile = await self._directory.find(by) if by and ("@" in by or by.isupper()) else None
        except (LookupFailedError, SlackRefusedError):
            return ()
        return (profile.person.key,) if profile else ()
