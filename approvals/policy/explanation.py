"""Routing's answers beside a route: why there is none, and why each rule does or does not apply."""

from approvals.decision import Verdict
from approvals.request import Route
from approvals.values import Value


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


class StageExplanation(Value):
    """One stage in words."""

    approvers: tuple[str, ...]
    needed: int
    within: str
    remind: tuple[str, ...] = ()
    escalate: str = ""


class Explanation(Value):
    """The winning rule for one request, with reasons for each rule. `stages` is empty for an automatic rule or none."""

    rules: tuple[RuleExplanation, ...]
    winner: str = ""
    automatic: bool = False
    sentence: str
    stages: tuple[StageExplanation, ...] = ()
    route: Route | None = None
