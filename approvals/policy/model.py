"""What a policy file says, as values. Reading one is `policy_schema`'s work, choosing a rule is `policy`'s.

A `line` is where something stands in the file; it is no part of the content, so the version does not depend on it.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from approvals.canonical import decimal_text
from approvals.decision import Verdict
from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from approvals.request import Delegation, Route
from approvals.values import Value

ANY = "any"
"""As a kind or a currency: every one of them."""

ORDER = "order"
"""The kind that a rule without `kind` is for."""


class ReportsTo(Value):
    """The requester's own manager, by the policy's `reports_to` map."""

    type: Literal["reports_to"] = "reports_to"


Approver = Annotated[UserGroup | SlackUser | EmailAddress | ReportsTo, Field(discriminator="type")]
"""Whom a rule names, before it is resolved for one request."""


class AmountRange(Value):
    """The amounts that a rule is for. `above` and `below` leave the number itself out, `from` and `to` take it in."""

    low: Decimal | None = None
    low_included: bool = True
    high: Decimal | None = None
    high_included: bool = True

    def holds(self, amount: Decimal | None) -> bool:
        """Return whether the amount is within. A request without an amount is within no bounds at all."""
        if amount is None:
            return self.unbounded
        above = self.low is None or amount > self.low or (self.low_included and amount == self.low)
        below = self.high is None or amount < self.high or (self.high_included and amount == self.high)
        return above and below

    @property
    def unbounded(self) -> bool:
        """Whether every amount is within."""
        return self.low is None and self.high is None

    @property
    def empty(self) -> bool:
        """Whether no amount is within."""
        if self.high is None:
            return False
        low = Decimal(0) if self.low is None else self.low
        return not self.holds(low) if low == self.high else low > self.high

    def __str__(self) -> str:
        if self.low is not None and self.low == self.high:
            return f"of exactly {decimal_text(self.low)}"
        words = []
        if self.low is not None:
            words.append(f"{'from' if self.low_included else 'above'} {decimal_text(self.low)}")
        if self.high is not None:
            words.append(f"{'to' if self.high_included else 'below'} {decimal_text(self.high)}")
        return " ".join(words) or "any amount"


class Condition(Value):
    """When a rule applies. No kinds means orders, no currencies the policy's own, no requesters all of them."""

    kinds: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    amount: AmountRange = AmountRange()
    requesters: tuple[str, ...] = ()

    @property
    def effective_kinds(self) -> tuple[str, ...]:
        """The kinds of request that the rule is for: orders, if it names none."""
        return self.kinds or (ORDER,)


class EscalationRule(Value):
    """After this time these people may decide as well."""

    after: timedelta
    to: tuple[Approver, ...]
    line: int = Field(default=0, exclude=True)


class StageRule(Value):
    """One stage of a rule, before it is resolved for one request."""

    approvers: tuple[Approver, ...]
    needed: int = 1
    within: timedelta
    remind: tuple[timedelta, ...] = ()
    escalate: EscalationRule | None = None
    line: int = Field(default=0, exclude=True)


class Rule(Value):
    """One rule: when it applies, and who must say yes. `automatic` has no stages."""

    name: str
    when: Condition = Condition()
    automatic: bool = False
    stages: tuple[StageRule, ...] = ()
    channel: str | None = None
    risk: Literal["normal", "high"] = "normal"
    same_person_may_repeat: bool = False
    line: int = Field(default=0, exclude=True)


class DelegationRule(Delegation):
    """A delegation with its place in the file."""

    line: int = Field(default=0, exclude=True)


class Policy(Value):
    """A policy file.

    `version` is the SHA-256 of its canonical content, 12 hex digits: comments and layout don't change it.
    """

    version: str = ""
    channel: str = ""
    currency: str = "USD"
    groups: dict[str, str] = Field(default_factory=dict)
    reports_to: dict[str, str] = Field(default_factory=dict)
    roles: dict[str, tuple[Principal, ...]] = Field(default_factory=dict)
    delegations: tuple[DelegationRule, ...] = ()
    rules: tuple[Rule, ...] = ()


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
    """What became of one rule for one request."""

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
    """Which rule wins for one request and why, rule by rule. `stages` is empty for an automatic rule and for none."""

    rules: tuple[RuleExplanation, ...]
    winner: str = ""
    automatic: bool = False
    sentence: str
    stages: tuple[StageExplanation, ...] = ()
    route: Route | None = None


def approver_text(approver: Approver) -> str:
    """Return whom a policy names, in words."""
    match approver:
        case UserGroup():
            return f"group {approver.group}"
        case SlackUser():
            return f"user {approver.user}"
        case EmailAddress():
            return approver.email
        case _:
            return "the requester's manager"
