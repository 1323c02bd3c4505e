"""The list's query as people type it: durations or moments, e-mails or groups, each mistake with a message. No I/O."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from approvals.ends import EndCode
from approvals.moments import moment_of
from approvals.statuses import Status
from records import instances, listing

SORTS = Literal["created", "deadline", "since", "progress", "ended", "amount", "requester"]
ME = "me"


def _a_moment(text: str) -> str:
    moment_of(text, datetime.now(UTC))
    return text


def principal_of(text: str) -> str:
    """Return whom a request waits for as the read model names them: `group:…`, `user:…` or `email:…`."""
    written = text.strip()
    if ":" in written:
        return written
    if "@" in written[1:]:
        return f"email:{written}"
    return f"user:{written}" if written[:1] in {"U", "W"} and written.isupper() else f"group:{written.lstrip('@')}"


When = Annotated[str, Field(max_length=60), AfterValidator(_a_moment)]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class ListQuery(BaseModel):
    """A list's filter and order; all that are given must match."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = Field(None, description="one of Dapr's", examples=["RUNNING"])
    phase: instances.Phase | None = Field(None, description="where the request stands", examples=["waiting"])
    name: Word | None = Field(None, description="the workflow's name", examples=["approval_workflow"])
    waiting_on: Word | None = Field(
        None,
        description="whom it waits for: a group, a Slack user id, an e-mail, or `me` for what waits for the caller",
        examples=["group:managers"],
    )
    older_than: When | None = Field(None, description="created longer ago than `2h`, or before a moment")
    newer_than: When | None = Field(None, description="created within the last `30d`, or after a moment")
    outcome: EndCode | None = Field(None, description="how it ended", examples=["rejected"])
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", examples=["USD"])
    amount_from: Decimal | None = Field(None, ge=0, description="at least this amount", examples=["5000"])
    amount_to: Decimal | None = Field(None, ge=0, description="at most this amount")
    q: Word | None = Field(None, description="beginnings of words: subject, requester, description, id")
    mine: bool = Field(default=False, description="only the caller's own requests")
    sort: SORTS = Field(
        "created",
        description="newest first; by deadline, by time of asking or by least progress, what is over last; by the "
        "latest end; by the highest amount; by requester",
    )
    cursor: str | None = Field(None, max_length=500, description="from the page before")
    limit: int = Field(50, ge=1, le=listing.MOST_LISTED)

    @property
    def for_me(self) -> bool:
        """Whether what waits for the caller's own decision is asked for."""
        return (self.waiting_on or "").strip().casefold() == ME

    def filter(self, now: datetime) -> listing.Filter:
        """Return the read model's filter."""
        return listing.Filter(
            status=self.status,
            phase=self.phase,
            name=self.name,
            waiting_on=principal_of(self.waiting_on) if self.waiting_on and not self.for_me else None,
            older_than=moment_of(self.older_than, now) if self.older_than else None,
            newer_than=moment_of(self.newer_than, now) if self.newer_than else None,
            end=self.outcome,
            currency=self.currency,
            amount_from=self.amount_from,
            amount_to=self.amount_to,
            q=self.q,
        )
