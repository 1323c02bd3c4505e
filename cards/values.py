"""The content of lists, history and statistics: small values that the caller fills from its records. No rendering."""

from datetime import timedelta
from decimal import Decimal

from pydantic import Field

from approvals.people import Principal
from approvals.statuses import Status
from approvals.values import Moment, Value
from cards.money import money


class InstanceLine(Value):
    """One workflow instance. All but id and status may be unknown: another app may have started it.

    `standing` says in a word or two where a request stands; Dapr's status is shown beside it only for operators.
    """

    instance_id: str
    status: Status
    name: str = ""
    standing: str = Field(default="", description="`Waiting`, `Approved`, `Nobody answered`; empty for no request")
    meaning: str = Field(default="", description="what `standing` means, as a message")
    for_operators: bool = False
    what: str = Field(default="", description="kind and subject: `order 42`")
    description: str = ""
    amount: Decimal | None = None
    currency: str = ""
    requester: str = ""
    custom_status: str = ""
    stage: str = Field(default="", description="`1 of 2`, empty where there is only one")
    approved: str = Field(default="", description="`1 of 2`, empty where one yes is enough")
    seats: tuple[str, ...] = Field(default=(), description="`legal 1 of 1`, empty if the stage has no seats")
    approved_by: tuple[str, ...] = Field(default=(), description="names or Slack user ids of who said yes")
    waiting_on: tuple[Principal, ...] = ()
    since: Moment | None = Field(default=None, description="waiting since then")
    ended: Moment | None = None
    deadline: Moment | None = None
    card_link: str | None = Field(default=None, description="the https address of the card in Slack")

    @property
    def money(self) -> str:
        """The amount as people read it, empty if there is none."""
        return money(self.amount, self.currency) if self.amount is not None else ""


class LinePage(Value):
    """One page of a list: its lines number `before` + 1 and following of `total`. `place` says so in words."""

    lines: tuple[InstanceLine, ...] = ()
    total: int = 0
    before: int = 0
    place: str = ""
    following: str | None = None
    previous: str | None = None


class HistoryLine(Value):
    """One event of an instance's time line. `what` is a word such as `asked`; `by` a Slack user id."""

    at: Moment
    what: str
    text: str = ""
    by: str | None = None
    by_name: str = ""


class Diagnosis(Value):
    """One answer to "why does it not go on?": a message, what it rests on, and what to do next."""

    sentence: str
    evidence: str = ""
    next_step: str = ""


class StatisticsShown(Value):
    """Statistics of approvals. Counts are of requests; `share` maps an outcome to its number of requests."""

    since: Moment
    waiting: int = 0
    waiting_by_rule: tuple[tuple[str, int], ...] = ()
    waiting_by_approver: tuple[tuple[str, int], ...] = ()
    oldest: InstanceLine | None = None
    decided_per_day: tuple[tuple[str, int], ...] = Field(default=(), description="ISO date and count, oldest first")
    median: timedelta | None = None
    p90: timedelta | None = None
    outcomes: tuple[tuple[str, int], ...] = ()
    timeouts: int = 0
    refusals: int = 0


class DryRun(Value):
    """The dry run of a bulk action: exactly the instances that the token names. It is no permission."""

    token: str = Field(max_length=200)
    total: int = Field(ge=0)
    lines: tuple[InstanceLine, ...] = ()
    filter: str = Field(default="", description="the filter in words: `no progress for 2 h`")
