"""A request as its requester sees it: one, or a page. Leaves out what the caller may not see."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from approvals.ends import EndCode
from approvals.values import Moment, Value
from bot.access.authenticating import Caller
from bot.access.refusals import Kind, Refused
from bot.control.reading.lines import DecidedBy, SeatShown, Workflow
from bot.control.reading.list_query import Word
from bot.control.reading.overview import Listed, Overview
from bot.control.subjects import Subject
from records import instances, listing
from records.database import Database

RequestStatus = Literal["starting", "waiting", "paused", EndCode]
OPEN: dict[str, listing.Filter] = {
    "starting": listing.Filter(phase="starting"),
    "waiting": listing.Filter(phase="waiting"),
    "paused": listing.Filter(status="SUSPENDED"),
}


class RequestShown(Value):
    """A request as its asker sees it. `status` is `starting`, `waiting`, `paused`, or how it ended.

    `fields` and `description` are empty once it is purged, and for those who may not see what it is about.
    """

    id: str
    kind: str
    subject: str
    status: str = Field(examples=["waiting", "approved", "rejected", "timed_out"])
    amount: str | None
    currency: str | None
    description: str = ""
    fields: dict[str, str] = Field(default_factory=dict)
    requester: str
    waiting_on: tuple[str, ...]
    deadline: Moment | None
    decided_by: tuple[DecidedBy, ...]
    approved: int | None = Field(None, description="how many yeses the stage has; null unless it waits")
    needed: int | None = Field(None, description="how many yeses the stage needs; null unless it waits")
    seats: tuple[SeatShown, ...] = Field((), description="the yeses of a stage that needs several kinds of them")
    card_link: str | None
    digest: str | None = Field(None, description="SHA-256 hex of request and rule: a decision is bound to it")
    created_at: Moment
    decided_at: Moment | None
    ended_at: Moment | None = None
    valid_until: Moment | None = Field(None, description="until when the approval may be used; null: for ever")
    consumed_at: Moment | None = Field(None, description="when it was used (`POST /requests/{id}/consume`)")


class RequestQuery(BaseModel):
    """A filter of requests; all that are given must match."""

    model_config = ConfigDict(extra="forbid")

    status: RequestStatus | None = Field(None, description="where it stands, or how it ended", examples=["approved"])
    kind: Word | None = Field(None, examples=["deploy"])
    mine: bool = Field(default=False, description="only what the caller has asked for")
    q: Word | None = Field(None, description="beginnings of words: subject, requester, description, id")
    cursor: str | None = Field(None, max_length=500, description="from the page before")
    limit: int = Field(50, ge=1, le=listing.MOST_LISTED)

    def filter(self, now: datetime) -> listing.Filter:
        """Return the read model's filter."""
        of_status = self._of_status(now)
        return of_status.model_copy(update={"requests_only": True, "kind": self.kind, "q": self.q})

    def _of_status(self, now: datetime) -> listing.Filter:
        if self.status is None:
            return listing.Filter()
        if self.status == "expired":
            return listing.Filter(end="approved", expired_at=now)
        usable = now if self.status == "approved" else None
        return OPEN.get(self.status) or listing.Filter(end=self.status, usable_at=usable)


class Requests:
    """Reads requests for those who asked, who are asked, and who may see all."""

    def __init__(self, database: Database, overview: Overview, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._overview = overview
        self._clock = clock

    async def get(self, caller: Caller, request_id: str, *, wait_s: float = 0) -> RequestShown:
        """Return a request, with `wait_s` as soon as it has ended. Raises: Refused NOT_FOUND, NOT_ALLOWED."""
        subject = await self._overview.get(caller, request_id)
        if wait_s:
            await self._overview.ended(subject.instance_id, wait_s)
            subject = await self._overview.get(caller, request_id)
        line = await self._overview.line(subject)
        if not line.kind or subject.row is None:
            raise Refused(Kind.NOT_FOUND, f"{request_id} is no request. /workflows shows every workflow.")
        return shown(line, subject.row, self._clock(), with_content=await self._overview.payloads(caller, subject))

    async def page(self, caller: Caller, query: RequestQuery) -> tuple[Listed, tuple[RequestShown, ...]]:
        """Return one page, newest first."""
        now = self._clock()
        page = await self._overview.page(
            caller, query.filter(now), cursor=query.cursor, limit=query.limit, mine=query.mine
        )
        async with self._database.read() as connection:
            rows = await instances.many(connection, [line.id for line in page.lines])
        found = [(line, rows.get(line.id)) for line in page.lines]
        return page, tuple(
            [
                shown(line, row, now, with_content=await self._overview.payloads(caller, _subject(row)))
                for line, row in found
                if row is not None
            ]
        )


def _subject(row: instances.Instance) -> Subject:
    return Subject(instance_id=row.instance_id, engine=None, row=row)


def shown(line: Workflow, row: instances.Instance, now: datetime, *, with_content: bool) -> RequestShown:
    """Return a request as its asker sees it."""
    request = row.request if with_content else None
    same = line.model_dump(
        include=set(RequestShown.model_fields) & set(Workflow.model_fields) - {"decided_by", "seats"}
    )
    return RequestShown(
        **same
        | {
            "status": status_of(line, row, now),
            "currency": line.currency or None,
            "description": line.description if with_content else "",
            "fields": request.fields if request else {},
            "digest": row.digest,
            "ended_at": row.decided_at or row.finished_at if row.ended_as else None,
            "valid_until": instances.valid_until(row),
            "consumed_at": row.consumed_at,
        },
        decided_by=line.decided_by,
        seats=line.seats,
    )


def status_of(line: Workflow, row: instances.Instance, now: datetime) -> str:
    """Return the word for where a request stands: its end, if it has one."""
    until = instances.valid_until(row)
    if until is not None and now >= until and row.consumed_at is None:
        return "expired"
    if line.outcome:
        return line.outcome
    return "paused" if line.status == "SUSPENDED" else "waiting" if line.phase == "waiting" else "starting"
