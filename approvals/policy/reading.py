"""Reading single values from a policy's tree. Every failure is a problem with its line; all are collected."""

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from approvals.durations import parse_duration
from approvals.policy.file import Listing, Mapping, Node, Problem, Scalar
from approvals.request import MAX_AMOUNT

T = TypeVar("T")
Read = Callable[[Node], T]

EMAIL = re.compile(r"[^@\s<>|]{1,64}@[^@\s<>|]{1,189}")
USER = re.compile(r"[UW][A-Z0-9]{2,30}")
CURRENCY = re.compile(r"[A-Z]{3}")
DATE_LENGTH = len("2026-08-14")
LONGEST_TEXT = 254


class ProblemFound(Exception):  # noqa: N818  # it is caught where the field is read, and becomes a Problem in a list
    """A value can't be read."""

    def __init__(self, line: int, reason: str) -> None:
        self.problem = Problem(line, reason)
        super().__init__(reason)


class Reader:
    """Collects the problems of one file while it is read, so that an operator sees all of them at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, line: int, reason: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(line, reason))

    def attempt(self, read: Read[T], node: Node) -> T | None:
        """Return what was read, or None with the problem noted."""
        try:
            return read(node)
        except ProblemFound as found:
            self.problems.append(found.problem)
            return None

    def field(self, mapping: Mapping, key: str, read: Read[T]) -> T | None:
        """Return the key's value, or None where it is absent or unreadable."""
        node = mapping.entries.get(key)
        return None if node is None else self.attempt(read, node)

    def each(self, node: Node, read: Read[T], *, what: str) -> tuple[T, ...]:
        """Return what can be read of a list. Raises ProblemFound where it is no list."""
        if not isinstance(node, Listing):
            raise ProblemFound(node.line, f"{what} must be a list, one item a line with a dash before it")
        found = [self.attempt(read, item) for item in node.items]
        return tuple(one for one in found if one is not None)

    def only(self, mapping: Mapping, known: Iterable[str], *, where: str) -> None:
        """Note every key that is not known here, with the nearest one that is."""
        names = tuple(known)
        for key in mapping.entries:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                advice = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"
                self.add(mapping.lines[key], f"{where} has no {key!r}; {advice}")


def mapping(node: Node, *, what: str) -> Mapping:
    """Return the node as keys with values."""
    if not isinstance(node, Mapping):
        raise ProblemFound(node.line, f"{what} must be keys with values, like `name: value`")
    return node


def text(node: Node, *, what: str) -> str:
    """Return a text that is not empty. A bare yes or no is refused: YAML takes it for true or false."""
    if not isinstance(node, Scalar) or node.kind == "null" or not node.text.strip():
        raise ProblemFound(node.line, f"{what} must be a text that is not empty")
    if node.kind == "bool":
        raise ProblemFound(node.line, f"{what} reads as true or false here: put it in quotes if it is a text")
    if len(node.text) > LONGEST_TEXT or not node.text.isprintable():
        raise ProblemFound(node.line, f"{what} must be one line of at most {LONGEST_TEXT} characters")
    return node.text.strip()


def pattern(node: Node, form: re.Pattern[str], *, what: str, like: str) -> str:
    """Return a text of a given form."""
    found = text(node, what=what)
    if not form.fullmatch(found):
        raise ProblemFound(node.line, f"{found!r} is not {what}; it looks like {like}")
    return found


def email(node: Node) -> str:
    """Return an e-mail address in lower case."""
    return pattern(node, EMAIL, what="an e-mail address", like="name@example.com").casefold()


def user(node: Node) -> str:
    """Return a Slack user id."""
    return pattern(node, USER, what="a Slack user id", like="U024BE7LH (see the person's profile in Slack)")


def user_or_email(node: Node) -> str:
    """Return a Slack user id or an e-mail address in lower case."""
    found = text(node, what="a person")
    return user(node) if USER.fullmatch(found) else email(node)


def currency(node: Node) -> str:
    """Return an ISO 4217 code."""
    return pattern(node, CURRENCY, what="a currency", like="USD")


def amount(node: Node) -> Decimal:
    """Return an amount of money, exactly as written: never by way of a float."""
    if not isinstance(node, Scalar) or node.kind not in {"int", "float", "str"}:
        raise ProblemFound(node.line, "an amount must be a number, like 500 or 499.99")
    try:
        found = Decimal(node.text.strip())
    except InvalidOperation:
        raise ProblemFound(node.line, f"{node.text[:40]!r} is not an amount: write a number like 5000") from None
    if not node.text.isascii():
        raise ProblemFound(node.line, f"{node.text[:40]!r} is not an amount: write it with the digits 0 to 9")
    if not found.is_finite() or not 0 <= found <= MAX_AMOUNT:
        raise ProblemFound(node.line, f"an amount is from 0 to {MAX_AMOUNT:f}")
    return found


def duration(node: Node) -> timedelta:
    """Return a duration above zero."""
    if not isinstance(node, Scalar):
        raise ProblemFound(node.line, "a duration must be a text like '3 days'")
    try:
        return parse_duration(node.text)
    except ValueError as error:
        raise ProblemFound(node.line, str(error)) from None


def whole_number(node: Node, *, what: str, largest: int) -> int:
    """Return a whole number from 1."""
    found = node.text if isinstance(node, Scalar) and node.kind == "int" else ""
    if not found.isascii() or not found.isdigit() or len(found) > len(str(largest)) or not 1 <= int(found) <= largest:
        raise ProblemFound(node.line, f"{what} must be a whole number from 1 to {largest}")
    return int(found)


def yes_or_no(node: Node, *, what: str) -> bool:
    """Return true or false."""
    if not isinstance(node, Scalar) or node.text.lower() not in {"true", "false", "yes", "no"}:
        raise ProblemFound(node.line, f"{what} must be true or false")
    return node.text.lower() in {"true", "yes"}


def moment(node: Node, *, last: bool = False) -> datetime:
    """Return a moment in UTC; a date alone is its first instant, or with `last` the end of that day."""
    written = text(node, what="a date")
    try:
        found = datetime.fromisoformat(written)
        whole_day = timedelta(days=1) if last and len(written) == DATE_LENGTH else timedelta()
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC) + whole_day
    except (ValueError, OverflowError):
        raise ProblemFound(
            node.line, f"{written!r} is not a date: write 2026-08-14 or 2026-08-14T09:00+02:00"
        ) from None
