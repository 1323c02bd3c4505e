"""Slack's cursors: a page of a list and the word for where the next begins."""

import base64
import binascii
from typing import TypeVar

from local.slack.errors import SlackError
from local.slack.values import Json

Item = TypeVar("Item")
LARGEST_PAGE = 1000


def page_of(items: list[Item], arguments: Json, *, default: int) -> tuple[list[Item], str]:
    """Cut one page out of a list. Raises invalid_limit or invalid_cursor."""
    try:
        limit = int(arguments.get("limit") or default)
    except ValueError as error:
        raise SlackError("invalid_limit") from error
    if not 1 <= limit <= LARGEST_PAGE:
        raise SlackError("invalid_limit")
    start = _start_of(str(arguments.get("cursor") or ""))
    rest = start + limit
    return items[start:rest], _cursor(rest) if rest < len(items) else ""


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"next:{start}".encode()).decode()


def _start_of(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SlackError("invalid_cursor") from error
    if word != "next" or not number.isdigit():
        raise SlackError("invalid_cursor")
    return int(number)
