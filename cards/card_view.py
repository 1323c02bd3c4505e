"""The content of a card as a value: the same when it is posted, rewritten and repaired. No rendering."""

from typing import Literal

from pydantic import Field

from approvals.decision import Approval, Outcome
from approvals.people import Principal
from approvals.request import ApprovalRequest, Binding, Route, Seat
from approvals.seats import SeatStanding, standings
from approvals.values import Moment, Value
from cards import parts
from cards.money import money

TIMEOUT = "approval_timeout"

Standing = Literal[
    "waiting", "advanced", "escalated", "approved", "rejected", "timed_out", "withdrawn",
    "terminated", "vanished", "failed", "stopped",
]  # fmt: skip


class Ending(Value):
    """An end that the workflow did not decide: an operator stopped it, or its instance is gone."""

    kind: Literal["terminated", "vanished", "failed", "stopped"]
    by: str | None = None
    by_name: str = ""
    reason: str = ""
    at: Moment | None = None


class Paused(Value):
    """A pause by an operator: by whom and why, as far as it is known."""

    by: str | None = None
    by_name: str = ""
    reason: str = ""


class CardView(Value):
    """The content of a card. `approvers` are resolved: groups by id, users by id, e-mails if Slack knows no user."""

    request: ApprovalRequest
    route: Route
    binding: Binding
    deadline: Moment
    approvers: tuple[Principal, ...]
    seats: tuple[Seat, ...] = Field(default=(), description="of the card's stage, resolved like `approvers`")
    requester_user: str | None = Field(default=None, description="the requester's Slack user id, if they were found")
    requester_name: str = ""
    from_a_door: bool = Field(default=True, description="false: a workflow asks, and nobody signed in to ask")
    approvals: tuple[Approval, ...] = Field(default=(), description="all accepted ones, of every stage")
    reminders: int = 0
    links: tuple[str, ...] = Field(default=(), description="the cards by stage, as https addresses; empty: unknown")
    passed: Literal["", "advanced", "escalated"] = Field(default="", description="this card's stage or round is over")
    outcome: Outcome | None = None
    outcome_sentence: str = Field(default="", description="what a Reason means, where the machine ended the request")
    ending: Ending | None = None
    paused: Paused | None = Field(default=None, description="while it waits, and an operator has paused it")

    @property
    def given(self) -> list[tuple[str, str]]:
        """What the asker gave: the kind's fields by their labels, then the rest by name."""
        fields = [(self.route.labels.get(name, name), text) for name, text in self.request.fields.items()]
        return [*fields, *self.request.details.items()]

    @property
    def standing(self) -> Standing:
        """The form in which the card is shown."""
        if self.ending:
            return self.ending.kind
        if self.outcome is None:
            return self.passed or "waiting"
        if self.outcome.approved:
            return "approved"
        if self.outcome.end == "withdrawn":
            return "withdrawn"
        return "timed_out" if self.outcome.reason == TIMEOUT else "rejected"

    @property
    def what(self) -> str:
        """`order 42`: the request in two words, as plain text."""
        return f"{parts.typed(self.request.kind, 30)} {parts.typed(self.request.subject, 100)}"

    @property
    def amount(self) -> str:
        """The amount as people read it, empty if the request is not about money."""
        return money(self.request.amount, self.request.currency) if self.request.amount is not None else ""

    @property
    def what_and_amount(self) -> str:
        """`order 42 ($2,400.00)`, or `deploy web` alone."""
        return f"{self.what} ({self.amount})" if self.amount else self.what

    @property
    def amount_for_what(self) -> str:
        """`$2,400.00 for order 42`, or `deploy web` alone: the amount first, so that no long name pushes it out."""
        return f"{self.amount} for {self.what}" if self.amount else self.what

    @property
    def requester(self) -> str:
        """The requester as plain text."""
        return parts.typed(self.requester_name or self.request.requester, 80)

    @property
    def needed(self) -> int:
        """The number of yeses that this card's stage needs."""
        stages = self.route.stages
        return stages[self.binding.stage].needed if self.binding.stage < len(stages) else 1

    @property
    def counted(self) -> tuple[Approval, ...]:
        """The approvals of this card's stage."""
        return tuple(one for one in self.approvals if one.approved and one.stage == self.binding.stage)

    @property
    def filled(self) -> tuple[SeatStanding, ...]:
        """The seats of this card's stage with the yeses that fill them; nothing for a stage without seats."""
        stages = self.route.stages
        if self.binding.stage >= len(stages):
            return ()
        return standings(stages[self.binding.stage], self.binding.round, self.counted)

    @property
    def so_far(self) -> str:
        """`1 of 2 approved`, with the seats of the stage: `1 of 2 approved: legal 1 of 1, finance 0 of 1`."""
        seats = ", ".join(parts.typed(seat.text, 60) for seat in self.filled)
        return f"{len(self.counted)} of {self.needed} approved{f': {seats}' if seats else ''}"

    @property
    def place(self) -> str:
        """`stage 1 of 2`."""
        return f"stage {self.binding.stage + 1} of {max(len(self.route.stages), self.binding.stage + 1)}"
