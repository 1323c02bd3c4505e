"""Normalize a requester to one e-mail, one Slack id, or one name of a service. No I/O.

What is written in a second way would be a second person to the rule that nobody decides on their own request.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

EMAIL: Final = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
USER: Final = re.compile(r"[UW][A-Z0-9]{2,30}")
WRAPPED: Final = re.compile(r"[^<>]*<(?:@|mailto:)?([^<>|\s]+)(?:\|[^<>]*)?>")
"""A Slack mention or an address as mail programs write it: <@U024BE7LH>, Ann <ann@example.com>."""

QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d"
UNSEEN: Final = {"Cf", "Cc", "Zl", "Zp"}
LONGEST_REQUESTER: Final = 254
NEAREST: Final = 3
CLOSE: Final = 0.75
"""How alike two addresses are for one to be a misspelling of the other; colleagues share all that follows the @."""


class UnknownRequesterError(ValueError):
    """No requester has this name. The message names the nearest one."""


def canonical(written: str) -> str:
    """Return what was written without its wrapping, in NFKC; an e-mail in small letters."""
    text = "".join(each for each in unicodedata.normalize("NFKC", written) if unicodedata.category(each) not in UNSEEN)
    text = text.strip()[:LONGEST_REQUESTER]
    wrapped = WRAPPED.fullmatch(text)
    text = wrapped[1] if wrapped else text
    text = re.sub(r"^mailto:", "", text.strip(QUOTES).strip(), flags=re.IGNORECASE).strip(QUOTES).strip()
    return text.lower() if "@" in text else text


def is_address(name: str) -> bool:
    """Return whether a canonical name can be looked up in Slack: an e-mail or a user id, and nothing beside it."""
    return bool(EMAIL.fullmatch(name) or USER.fullmatch(name))


def named(name: str, known: Iterable[str]) -> str | None:
    """Return the service or agent of the policy that a canonical name means."""
    return next((each for each in known if canonical(each).casefold() == name.casefold()), None)


def unknown(name: str, known: Iterable[str], people: Iterable[str] = ()) -> UnknownRequesterError:
    """Return the refusal of a name, with the nearest names that the policy and the records know."""
    near = difflib.get_close_matches(name.casefold(), [each.casefold() for each in known], n=NEAREST, cutoff=0.5)
    near = [*_addresses_like(name, people), *near][:NEAREST]
    hint = f" Nearest: {', '.join(near)}." if near else ""
    return UnknownRequesterError(
        f"The requester {name[:80]!r} is no person in Slack, and no service or agent that policy.yml names.{hint} "
        "Write an e-mail or a Slack user id, or add the name under `services:` or `agents:` in the policy."
    )


def _addresses_like(name: str, people: Iterable[str]) -> list[str]:
    """Return the nearest addresses; a name without @ is compared with what stands before it."""
    compared = {each if "@" in name else each.partition("@")[0]: each for each in map(canonical, people) if "@" in each}
    near = difflib.get_close_matches(name.casefold(), compared, n=NEAREST, cutoff=CLOSE)
    return [compared[each] for each in near]
