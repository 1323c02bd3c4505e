"""Routing's answers beside a route: why there is none, and why each rule does or does not apply."""

from pydantic import Field

from approvals.decision import Verdict
from approvals.request import Route
from approvals.values import Value, absent


class NoRoute(Value):
    """No rule applies, or the rule that does has no approvers: no approval is possible (law: fail closed)."""

    verdict: Verdict
    sentence: str
    policy_version: str

    @property
    def closed(self) -> Route:
        """A route without stages: the machine rejects a request that has it."""
        return Route(rule=self.verdict.rule, why=self.sentence, policy_version=self.policy_version)


class RuleExplanation(Value):
    """The result of one rule for one request."""

    rule: str
    line: int
    matched: bool
    wins: bool
    why: str


class SeatExplanation(Value):
    """One seat of a stage in words."""

    name: str
    needed: int
    approvers: tuple[str, ...]

    @property
    def text(self) -> str:
        """`finance (2 of group finance or cfo@example.com)`."""
        many = f"{self.needed} of " if self.needed > 1 else ""
        return f"{self.name} ({many}{' or '.join(self.approvers)})"


class StageExplanation(Value):
    """One stage in words. `approvers` and `needed` are those of all its seats together, if it has any."""

    approvers: tuple[str, ...]
    needed: int
    within: str
    remind: tuple[str, ...] = ()
    escalate: str = ""
    seats: tuple[SeatExplanation, ...] = Field(default=(), exclude_if=absent)

    @property
    def people(self) -> str:
        """Whose yes it needs: `2 of group managers`, or each seat with its people."""
        if self.seats:
            return f"a yes for each of {', '.join(seat.text for seat in self.seats)}"
        return f"{self.needed} of {', '.join(self.approvers)}"


class Explanation(Value):
    """The winning rule for one request, with reasons for each rule. `stages` is empty for an automatic rule or none."""

    rules: tuple[RuleExplanation, ...]
    winner: str = ""
    automatic: bool = False
    sentence: str
    stages: tuple[StageExplanation, ...] = ()
    route: Route | None = None
