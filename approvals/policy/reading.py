"""The types of a policy's values: each reads itself from the file's tree, and reports its mistakes.

A value that is no node of a tree (made in code, or read back from JSON) passes unread. A ValueError's text becomes the
problem; pydantic hands the node back with it, and the node knows its line.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from approvals.durations import parse_duration
from approvals.policy.file import Listing, Mapping, Node, Problem, Scalar
from approvals.request import MAX_AMOUNT
from approvals.requesters import USER
from approvals.values import Value

EMAIL = re.compile(r"[^@\s<>|]{1,64}@[^@\s<>|]{1,189}")
CURRENCY = re.compile(r"[A-Z]{3}")
DATE_LENGTH = len("2026-08-14")
LONGEST_LINE = 254
ANY = "any"
"""As a kind or a currency: every one of them."""


class Problems:
    """Collects what does not keep the rest from being read, so that all mistakes come at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, line: int, reason: str) -> None:
        """Note a problem."""
        self.found.append(Problem(line, reason))


def problems_of(info: ValidationInfo) -> Problems:
    """Return the collector that the reading was begun with."""
    return info.context if isinstance(info.context, Problems) else Problems()


class PolicyEntry(Value):
    """A part of the policy that is written as keys with values: its fields. `what` names it in messages."""

    what: ClassVar[str] = "this"

    line: int = Field(default=0, exclude=True, description="where it stands in the file; no part of its content")

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    @classmethod
    def keys(cls) -> dict[str, str]:
        """Return the keys of the file, each with its field's name."""
        fields = ((name, field) for name, field in cls.model_fields.items() if name != "line")
        return {str(field.validation_alias or name): name for name, field in fields if not field.exclude}

    @classmethod
    def spelled(cls) -> tuple[str, ...]:
        """Return the keys that people may write, for the advice on one that is not known."""
        return tuple(cls.keys())

    @classmethod
    def prepared(cls, entry: Mapping, problems: Problems) -> Mapping:  # noqa: ARG003 for those that note problems
        """Return the mapping in the form that the fields have; a model may take shorter ones too."""
        return entry

    @model_validator(mode="before")
    @classmethod
    def _entries(cls, node: Any, info: ValidationInfo) -> Any:
        if not isinstance(node, Scalar | Listing | Mapping):
            return node
        problems = problems_of(info)
        known = cls.keys()
        entry = cls.prepared(mapping(node, what=cls.what), problems)
        refuse_unknown(entry, known, problems, where=cls.what, spelled=cls.spelled())
        entries: dict[str, Any] = {key: value for key, value in entry.entries.items() if key in known}
        needed = [str(each.validation_alias or name) for name, each in cls.model_fields.items() if each.is_required()]
        if missing := [f"`{key}`" for key in needed if key not in entries]:
            raise ValueError(f"{cls.what} needs {' and '.join(missing)}")
        entries["line"] = entry.line
        return entries


def refuse_unknown(
    entry: Mapping, known: Iterable[str], problems: Problems, *, where: str, spelled: tuple[str, ...] = ()
) -> None:
    """Note every key that is not known here, with the nearest one of those that people write, `known` if not given."""
    known = tuple(known)
    names = spelled or known
    for key in entry.entries:
        if key not in known:
            near = difflib.get_close_matches(key, names, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"
            problems.add(entry.lines[key], f"{where} has no {key!r}; {advice}")


# ---- reading a node ------------------------------------------------------------------------------------------------


def mapping(node: Node, *, what: str) -> Mapping:
    """Return the node as keys with values. Raises ValueError."""
    if not isinstance(node, Mapping):
        raise ValueError(f"{what} must be keys with values, like `name: value`")  # noqa: TRY004 pydantic takes ValueErrors
    return node


def text(node: Node, *, what: str) -> str:
    """Return a text that is not empty. A bare yes or no is refused: YAML takes it for true or false."""
    if not isinstance(node, Scalar) or node.kind == "null" or not node.text.strip():
        raise ValueError(f"{what} must be a text that is not empty")
    if node.kind == "bool":
        raise ValueError(f"{what} reads as true or false here: put it in quotes if it is a text")
    if len(node.text) > LONGEST_LINE or not node.text.isprintable():
        raise ValueError(f"{what} must be one line of at most {LONGEST_LINE} characters")
    return node.text.strip()


def pattern(node: Node, form: re.Pattern[str], *, what: str, like: str) -> str:
    """Return a text of a given form. Raises ValueError."""
    found = text(node, what=what)
    if not form.fullmatch(found):
        raise ValueError(f"{found!r} is not {what}; it looks like {like}")
    return found


def email(node: Node) -> str:
    """Return an e-mail address in lower case. Raises ValueError."""
    return pattern(node, EMAIL, what="an e-mail address", like="name@example.com").casefold()


def user(node: Node) -> str:
    """Return a Slack user id. Raises ValueError."""
    return pattern(node, USER, what="a Slack user id", like="U024BE7LH (see the person's profile in Slack)")


def user_or_email(node: Node) -> str:
    """Return a Slack user id or an e-mail address in lower case. Raises ValueError."""
    found = text(node, what="a person")
    return user(node) if USER.fullmatch(found) else email(node)


def currency(node: Node) -> str:
    """Return an ISO 4217 code. Raises ValueError."""
    return pattern(node, CURRENCY, what="a currency", like="USD")


def currency_or_any(node: Node) -> str:
    """Return an ISO 4217 code, or `any`. Raises ValueError."""
    return ANY if isinstance(node, Scalar) and node.text.strip() == ANY else currency(node)


def amount(node: Node) -> Decimal:
    """Return an amount of money, exactly as written: never by way of a float. Raises ValueError."""
    if not isinstance(node, Scalar) or node.kind not in {"int", "float", "str"}:
        raise ValueError("an amount must be a number, like 500 or 499.99")
    try:
        found = Decimal(node.text.strip())
    except InvalidOperation:
        raise ValueError(f"{node.text[:40]!r} is not an amount: write a number like 5000") from None
    if not node.text.isascii():
        raise ValueError(f"{node.text[:40]!r} is not an amount: write it with the digits 0 to 9")
    if not found.is_finite() or not 0 <= found <= MAX_AMOUNT:
        raise ValueError(f"an amount is from 0 to {MAX_AMOUNT:f}")
    return found


def duration(node: Node) -> timedelta:
    """Return a duration above zero. Raises ValueError."""
    if not isinstance(node, Scalar):
        raise ValueError("a duration must be a text like '3 days'")  # noqa: TRY004 pydantic takes ValueErrors
    return parse_duration(node.text)


def yes_or_no(node: Node, *, what: str) -> bool:
    """Return true or false. Raises ValueError."""
    if not isinstance(node, Scalar) or node.text.lower() not in {"true", "false", "yes", "no"}:
        raise ValueError(f"{what} must be true or false")
    return node.text.lower() in {"true", "yes"}


def moment(node: Node, *, last: bool = False) -> datetime:
    """Return a moment in UTC; a date alone is its first instant, or with `last` the end of that day."""
    written = text(node, what="a date")
    try:
        found = datetime.fromisoformat(written)
        whole_day = timedelta(days=1) if last and len(written) == DATE_LENGTH else timedelta()
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC) + whole_day
    except (ValueError, OverflowError):
        raise ValueError(f"{written!r} is not a date: write 2026-08-14 or 2026-08-14T09:00+02:00") from None


# ---- the same as types of fields -----------------------------------------------------------------------------------


def from_node(read: Callable[[Node], Any]) -> BeforeValidator:
    """Return a validator that reads nodes and passes everything else."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, Scalar | Listing | Mapping) else value)


def text_of(what: str) -> BeforeValidator:
    """Return a validator for a text in one line."""
    return from_node(lambda node: text(node, what=what))


def whole_number(what: str, largest: int) -> BeforeValidator:
    """Return a validator for a whole number from 1."""

    def read(node: Node) -> int:
        found = node.text if isinstance(node, Scalar) and node.kind == "int" else ""
        good = found.isascii() and found.isdigit() and len(found) <= len(str(largest)) and 1 <= int(found) <= largest
        if not good:
            raise ValueError(f"{what} must be a whole number from 1 to {largest}")
        return int(found)

    return from_node(read)


def listed(what: str, *, or_one: tuple[type, ...] = (), empty: str = "") -> BeforeValidator:
    """Return a validator for a list; a single node of a type in `or_one` will do. `empty` says why it needs an item."""

    def read(node: Node) -> tuple[Node, ...]:
        if isinstance(node, Listing):
            if empty and not node.items:
                raise ValueError(empty)
            return node.items
        if isinstance(node, or_one):
            return (node,)
        raise ValueError(f"{what} must be a list, one item a line with a dash before it")

    return from_node(read)


UserOrEmail = Annotated[str, from_node(user_or_email)]
Currency = Annotated[str, from_node(currency)]
Amount = Annotated[Decimal, from_node(amount)]
Duration = Annotated[timedelta, from_node(duration)]
