"""Makes typed text harmless and short enough for Slack. Knows nothing of blocks or requests.

Lengths are counted in UTF-16 units: an emoji counts twice, as it does for Slack, so a limit holds by either count.
"""

import re
import unicodedata

ELLIPSIS = "…"
NOTHING = "-"
"""Shown for an empty text: Slack refuses empty text objects."""

# Bidirectional embeddings, overrides and isolates could show an amount or a name in another order than it is bound to.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_KEPT = frozenset("\n\u200d\u200c")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Cn", "Co", "Cf"})
_SPACES = re.compile(r"\s+")
_CUT_ENTITY = re.compile(r"&[a-z]{0,3}$")


def length(text: str) -> int:
    """Return the length in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def clean(text: str) -> str:
    """Drop control, surrogate and reordering characters: invisible, and they change the display."""
    spaced = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    kept = (c for c in spaced if c in _KEPT or (c not in _REORDERING and unicodedata.category(c) not in _UNPRINTABLE))
    return "".join(kept).strip(" \n\u200d\u200c\u00a0")


def one_line(text: str) -> str:
    """Clean, with every run of white space made one space."""
    return _SPACES.sub(" ", clean(text)).strip()


def cut(text: str, most: int) -> str:
    """Return at most `most` UTF-16 units, with an ellipsis if something is left out."""
    if length(text) <= most:
        return text
    kept, room = [], most - 1
    for character in text:
        room -= length(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept).rstrip(" \n\u200d\ufe0f") + ELLIPSIS


def escape(text: str) -> str:
    """Escape for mrkdwn: & first, or the other two would be escaped twice."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped(text: str, most: int) -> str:
    """Escape, then cut, never inside an entity (docs/explanation/slack.md#escape-then-cut)."""
    full = escape(text)
    if length(full) <= most:
        return full
    return _CUT_ENTITY.sub("", cut(full, most)[:-1]) + ELLIPSIS
