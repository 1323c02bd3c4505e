"""The form of an `approval_decision` event. Pure, so that a workflow can drop an event that cannot count.

The worker hands events over as text (bot.engine.decoding). Anything can arrive at the sidecar's port: reading never
raises, and the same text is read the same in every replay, whatever the depth of the stack.
"""

import json
import re
from typing import Any

LONGEST_EVENT = 64 * 1024
"""Characters. A decision with the longest reason has about 36,000, each character of it written as two escapes."""

DEEPEST_EVENT = 32
"""Levels of nesting. The standard library's parser gives up at a depth that depends on its caller's stack."""

BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""A string, closed or not, or a bracket outside of strings: one pass over the text, whatever it holds."""


def candidate(payload: Any) -> str | None:
    """Return the text of an event that may be a decision, None for what cannot be one."""
    text = payload if isinstance(payload, str) else _written(payload)
    return text if text is not None and _may_decide(plain(text)) else None


def plain(text: str) -> Any:
    """Parse the text as plain JSON; None if it is too long, too deep or no JSON."""
    if len(text) > LONGEST_EVENT or _is_deep(text):
        return None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return None


def _written(payload: Any) -> str | None:
    """Write a payload that came decoded, from a worker without our decoding."""
    try:
        return json.dumps(payload)
    except (TypeError, ValueError, RecursionError):
        return None


def _may_decide(said: Any) -> bool:
    if not isinstance(said, dict):
        return False
    what = said.get("decision", said.get("submission"))
    signed = isinstance(what, dict) and all(isinstance(said.get(key), str) for key in ("key_id", "mac"))
    return signed or isinstance(said.get("approved"), bool)


def _is_deep(text: str) -> bool:
    depth = 0
    for found in BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEEPEST_EVENT:
            return True
    return False


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no plain JSON")
