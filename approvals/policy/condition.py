"""When a rule applies: the `when` of policy.yml. Without a currency, an amount means the policy's own."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from approvals.canonical import decimal_text
from approvals.policy.file import Listing, Mapping, Node, Scalar
from approvals.policy.principals import ONE_OR_MORE
from approvals.policy.reading import (
    ANY,
    Amount,
    PolicyEntry,
    UserOrEmail,
    currency_or_any,
    from_node,
    listed,
    mapping,
    problems_of,
    refuse_unknown,
    text,
    text_of,
)
from approvals.values import Value, absent

ORDER = "order"
"""The kind that a rule without `kind` is for."""

EMPTY = "the list is empty: leave the key out if everything is meant"

BOUNDS = {"from": ("low", True), "above": ("low", False), "to": ("high", True), "below": ("high", False)}
"""The keys of `amount`: which end of the range each gives, and whether the number itself is within."""


class AmountRange(Value):
    """The amounts that a rule is for. `above` and `below` leave the number itself out, `from` and `to` take it in."""

    low: Amount | None = None
    low_included: bool = True
    high: Amount | None = None
    high_included: bool = True

    @model_validator(mode="before")
    @classmethod
    def _bounds(cls, node: Any, info: ValidationInfo) -> Any:
        if not isinstance(node, Scalar | Listing | Mapping):
            return node
        entry = mapping(node, what="amount")
        refuse_unknown(entry, BOUNDS, problems_of(info), where="amount")
        found: dict[str, Any] = {}
        for key, (end, included) in BOUNDS.items():
            if key not in entry.entries:
                continue
            if end in found:
                other = next(each for each in entry.entries if each != key and BOUNDS.get(each, ("",))[0] == end)
                raise ValueError(f"amount has both {min(key, other, key=list(BOUNDS).index)!r} and {key!r}: keep one")
            found |= {end: entry.entries[key], f"{end}_included": included}
        return found

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


def _fields(value: Any) -> Any:
    if not isinstance(value, Scalar | Listing | Mapping):
        return value
    found = mapping(value, what="field").entries
    return {name: _texts(name, node) for name, node in found.items()}


def _texts(name: str, node: Node) -> tuple[str, ...]:
    items = node.items if isinstance(node, Listing) else (node,)
    if not items:
        raise ValueError(EMPTY)
    return tuple(_text(name, each) for each in items)


def _text(name: str, node: Node) -> str:
    """Return a value as a request's field has it: YAML takes a bare yes for true."""
    if isinstance(node, Scalar) and node.kind == "bool":
        return "yes" if node.text.casefold() in {"true", "yes", "on"} else "no"
    return text(node, what=f"the field {name}")


class Condition(PolicyEntry):
    """When a rule applies. All that are given must hold."""

    what: ClassVar[str] = "when"

    kinds: Annotated[tuple[Annotated[str, text_of("kind")], ...], listed("kind", or_one=ONE_OR_MORE, empty=EMPTY)] = (
        Field(
            default=(),
            validation_alias="kind",
            description="the kinds of request that the rule is for: one or a list, `any` for all; without it, orders",
            examples=["deploy", ["refund", "order"]],
        )
    )
    currencies: Annotated[
        tuple[Annotated[str, from_node(currency_or_any)], ...], listed("currency", or_one=ONE_OR_MORE, empty=EMPTY)
    ] = Field(
        default=(),
        validation_alias="currency",
        description="ISO 4217, one or a list, or `any`; without it, the policy's own currency",
        examples=["EUR", ["EUR", "CHF"]],
    )
    amount: AmountRange = Field(
        default=AmountRange(),
        description="`from` and `to` include the number, `above` and `below` leave it out; a request without an amount "
        "is within no bounds",
        examples=[{"from": 500, "to": 5000}, {"above": 5000}],
    )
    requesters: Annotated[tuple[UserOrEmail, ...], listed("requester", or_one=ONE_OR_MORE, empty=EMPTY)] = Field(
        default=(),
        validation_alias="requester",
        description="only for requests by these people: e-mails or Slack user ids, one or a list",
        examples=["intern@example.com"],
    )

    fields: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_fields)] = Field(
        default_factory=dict,
        exclude_if=absent,
        validation_alias="field",
        description="fields of the kind, each with the value that it must have, one or a list",
        examples=[{"system": "prod-db"}],
    )

    @property
    def effective_kinds(self) -> tuple[str, ...]:
        """The kinds of request that the rule is for: orders, if it names none."""
        return self.kinds or (ORDER,)

    @model_validator(mode="after")
    def _amount_makes_sense(self) -> "Condition":
        if ANY in self.currencies and not self.amount.unbounded:
            raise ValueError("an amount needs a currency: `currency: any` can't stand beside it")
        if self.amount.empty:
            raise ValueError(f"no amount is {self.amount}: the rule could never apply")
        return self
