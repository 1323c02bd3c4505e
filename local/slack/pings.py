"""Who a message would notify. Reads text the way Slack renders it; renders nothing itself."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local.slack.values import Json

_CONTROL = re.compile(r"<(@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+|!here|!channel|!everyone)(?:\|[^<>]*)?>")
_BARE = re.compile(r"(?<![\w<!@])@(here|channel|everyone)\b")
_HANDLE = re.compile(r"(?<![\w<!@])@([a-z0-9._-]+)")


def in_mrkdwn(text: str, *, bare: bool, handles: Mapping[str, str] | None = None) -> Iterator[str]:
    """Find mentions: always the control sequences, `@here` and its like when `bare`, and `@name` for known handles."""
    for match in _CONTROL.finditer(text):
        yield match.group(1).removeprefix("@").removeprefix("!").removeprefix("subteam^")
    if bare:
        yield from (match.group(1) for match in _BARE.finditer(text))
    for match in _HANDLE.finditer(text) if handles else ():
        if handles and match.group(1) in handles:
            yield handles[match.group(1)]


def in_blocks(node: Any) -> Iterator[str]:
    """Find mentions in Block Kit: mrkdwn objects and rich_text elements, never plain_text."""
    if isinstance(node, list):
        for item in node:
            yield from in_blocks(item)
    if isinstance(node, dict):
        yield from _in_object(node)


def _in_object(node: Json) -> Iterator[str]:
    kind = node.get("type")
    if kind == "plain_text":
        return
    if kind == "mrkdwn":
        # Slack itself turns @here and its like into mentions unless the text is marked verbatim.
        yield from in_mrkdwn(str(node.get("text", "")), bare=not node.get("verbatim", False))
        return
    mention = {"user": "user_id", "usergroup": "usergroup_id", "broadcast": "range"}.get(str(kind))
    if mention and mention in node:
        yield str(node[mention])
    for key, value in node.items():
        if key not in {"confirm", "options", "placeholder"}:
            yield from in_blocks(value)


def of_message(text: str, blocks: list[Json], parse: str, handles: Mapping[str, str]) -> tuple[str, ...]:
    """Name the users, groups and broadcasts a message notifies, each once, in reading order.

    The fallback text beside blocks counts as well: notifications are made of it.
    """
    loose = parse in {"full", "client"}
    found = in_mrkdwn(text, bare=loose, handles=handles if parse == "full" else None)
    return tuple(dict.fromkeys([*found, *in_blocks(blocks)]))
