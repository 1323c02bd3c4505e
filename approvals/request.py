"""A request, and the route that was chosen for it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from approvals.canonical import canonical_json
from approvals.people import Principal
from approvals.values import Moment, Value, absent

MAX_AMOUNT = Decimal(10) ** 15
"""No request is for more than this, in any currency."""

LONGEST_DETAIL_NAME = 100
LONGEST_DETAIL = 2000
MOST_REQUEST_BYTES = 16 * 1024
"""Bytes of a request's canonical JSON: the engine stalls an instance whose history nears four million bytes."""


def in_plain_digits(amount: Any) -> Any:
    """Return an amount as it was given. Raises: ValueError for a text with the digits of another script."""
    if isinstance(amount, str) and not amount.isascii():  # Python reads any script's digits; people misread them
        raise ValueError("the amount must be written with the digits 0 to 9, like 2400 or 2400.00")
    return amount


class ApprovalRequest(Value):
    """A request for approval.

    `requester` is an e-mail or a Slack user id; `callback` an https URL of another system. `amount` is bounded, so
    that no number can be so long that writing it down is the harm. All of it is at most MOST_REQUEST_BYTES.
    """

    kind: str = "order"
    subject: str = Field(
        min_length=1, max_length=100, description="the order's id, or whatever the other system calls it"
    )
    amount: Decimal | None = Field(
        default=None, ge=0, le=MAX_AMOUNT, decimal_places=4, description="None if the request is not about money"
    )
    currency: str = Field(default="", pattern="^([A-Z]{3})?$", description="ISO 4217; empty without an amount")
    description: str = Field(default="", max_length=3000)
    requester: str = Field(min_length=1, max_length=254)
    submitted_by: str = Field(
        default="", max_length=254, description="e-mail of whoever submitted it, if not the requester"
    )
    details: dict[str, str] = Field(default_factory=dict)
    fields: dict[str, str] = Field(
        default_factory=dict, exclude_if=absent, description="what the kind's fields say, as texts by name"
    )
    callback: str | None = None

    _digits = field_validator("amount", mode="before")(in_plain_digits)

    @field_validator("details", "fields")
    @classmethod
    def _short_details(cls, details: dict[str, str]) -> dict[str, str]:
        for name, text in details.items():
            if len(name) > LONGEST_DETAIL_NAME:
                raise ValueError(f"a detail's name has {len(name)} characters; {LONGEST_DETAIL_NAME} at most")
            if len(text) > LONGEST_DETAIL:
                raise ValueError(
                    f"the detail {name!r} has {len(text)} characters; {LONGEST_DETAIL} at most, so link to longer texts"
                )
        return details

    @model_validator(mode="after")
    def _small(self) -> Self:
        size = len(canonical_json(self.model_dump()))
        if size > MOST_REQUEST_BYTES:
            raise ValueError(f"the request has {size} bytes; {MOST_REQUEST_BYTES} at most, so link to longer texts")
        return self

    @model_validator(mode="after")
    def _money_is_whole(self) -> Self:
        """Refuse half a sum of money: a number in no currency means nothing to a rule, nor a currency without one."""
        if self.amount is not None and not self.currency:
            raise ValueError("an amount needs its currency, like USD")
        if self.amount is None and self.currency:
            raise ValueError("a currency needs an amount: give both, or neither")
        return self


class Escalation(Value):
    """After this time without a decision, these people may decide as well."""

    after: timedelta
    to: tuple[Principal, ...]


class Seat(Value):
    """A yes of one kind that a stage needs: `needed` times, each from another one of these people."""

    name: str
    any_of: tuple[Principal, ...]
    needed: int = Field(default=1, ge=1, le=20)


class Stage(Value):
    """One step of a route: who may decide, how many must say yes, and its times counted from the moment it is asked."""

    approvers: tuple[Principal, ...]
    needed: int = Field(default=1, ge=1)
    within: timedelta
    remind: tuple[timedelta, ...] = ()
    escalate: Escalation | None = None
    seats: tuple[Seat, ...] = Field(
        default=(), exclude_if=absent, description="which yeses are needed; none: any `needed` of the approvers"
    )


class Delegation(Value):
    """`delegate` may decide in the place of `approver` between the two moments (UTC)."""

    approver: str
    delegate: str
    since: Moment
    until: Moment


class Route(Value):
    """The rule resolved for one request, and kept with it: a later edit of the policy does not touch it."""

    rule: str
    why: str = Field(description="one sentence: why this rule applies")
    policy_version: str = Field(description="SHA-256 of the policy file's canonical content, 12 hex digits")
    automatic: bool = False
    stages: tuple[Stage, ...] = ()
    channel: str = ""
    risk: Literal["normal", "high"] = "normal"
    same_person_may_repeat: bool = Field(default=False, description="one person may count in more than one stage")
    delegations: tuple[Delegation, ...] = ()
    title: str = Field(default="", exclude_if=absent, description="the kind as people call it; empty: its name")
    labels: dict[str, str] = Field(
        default_factory=dict, exclude_if=absent, description="what people read for the names of the request's fields"
    )
    undo: timedelta | None = Field(
        default=None,
        exclude_if=absent,
        description="how long a yes can be taken back after the last one, before the approval takes effect",
    )
    valid_for: timedelta | None = Field(
        default=None, exclude_if=absent, description="how long an approval may be used; None: for ever"
    )


class CardRef(Value):
    """A card's place in Slack: the channel id and the message's ts."""

    channel: str
    ts: str


class Binding(Value):
    """The card that was shown: a decision is bound to exactly it.

    It travels in the button's value and comes back signed by Slack.
    """

    instance_id: str
    run: Moment = Field(description="when this run of the instance asked first: an id can be used again after its end")
    stage: int = Field(ge=0)
    round: int = Field(default=0, ge=0, description="rises when an escalation changes who may decide")
    digest: str = Field(
        description="SHA-256 hex of the request's semantic fields and its route's rule and policy version"
    )
    nonce: str = Field(
        description="derived from all of the above, 32 hex digits: a retried activity posts the same card"
    )


def content_fields(request: ApprovalRequest) -> dict[str, Any]:
    """Return a request's fields as a digest covers them: amount and currency are left out if there is no amount."""
    return request.model_dump(exclude={"amount", "currency"} if request.amount is None else None)


def semantic_fields(request: ApprovalRequest, route: Route, instance_id: str) -> dict[str, Any]:
    """Return the content that a digest covers: a change of it makes another request.

    The amount stays a Decimal, so that 2400 and 2400.00 are the same request. A request without one has no field for
    it, rather than a zero: no amount is another thing than nothing to pay.
    """
    return {
        "instance_id": instance_id,
        "request": content_fields(request),
        "rule": route.rule,
        "policy_version": route.policy_version,
    }
