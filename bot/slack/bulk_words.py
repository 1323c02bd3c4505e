"""Parse `/approval terminate --stuck --older-than 2h` into a selection. Nothing is looked up here."""

import shlex
from datetime import timedelta

from approvals.durations import parse_duration
from approvals.values import Value
from bot.control.operations.selection import BulkAction, BulkFilter


class UnreadableWordsError(ValueError):
    """The words say nothing usable. The text is a message."""


class BulkWords(Value):
    """A bulk operation as it was typed, and the reason after the options."""

    selection: BulkFilter
    reason: str = ""


def is_bulk(rest: str) -> bool:
    """Return whether the words behind the verb name many workflows, not one."""
    return rest.startswith(("--", "\N{EM DASH}", "\N{EN DASH}"))


def parse(action: BulkAction, rest: str) -> BulkWords:
    """Parse the text. Raises: UnreadableWordsError. Phones turn two dashes into one long one: both are read."""
    try:
        words = shlex.split(rest.replace("\N{EM DASH}", "--").replace("\N{EN DASH}", "--"))
    except ValueError as error:
        raise UnreadableWordsError("A quotation mark is not closed.") from error
    stuck = completed = False
    older_than: timedelta | None = None
    while words and words[0].startswith("--"):
        option = words.pop(0)
        if option.startswith("--older-than="):
            option, _, age = option.partition("=")
            words.insert(0, age)
        if option == "--stuck":
            stuck = True
        elif option == "--completed":
            completed = True
        elif option == "--older-than":
            older_than = _duration(words.pop(0) if words else "")
        else:
            raise UnreadableWordsError(f"There is no option {option[:40]}.")
    if action == "purge" and older_than is None:
        raise UnreadableWordsError("Say from which age on: --older-than 30d.")
    selection = BulkFilter(older_than=older_than, stuck=stuck, completed=completed)
    if selection.empty:
        raise UnreadableWordsError("Say which: --stuck, or --older-than with a time.")
    return BulkWords(selection=selection, reason=" ".join(words))


def _duration(text: str) -> timedelta:
    if not text or text.startswith("--"):
        raise UnreadableWordsError("Behind --older-than a time is missing: write it like --older-than 2h or 30d.")
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UnreadableWordsError(f"“{text[:40]}” is no time: write it like 2h or 30d.") from error
