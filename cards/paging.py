"""Pages of a list or history: the Next and Previous buttons, and what travels in them."""

import re
from typing import Literal

from pydantic import Field, ValidationError

from approvals.values import Value
from cards import parts
from cards.binding import VALUE_LIMIT, UnreadableCardError
from cards.surface import Block

MOST_PAGE_DIGITS = 9

PAGE_SIZE = 10
"""Lines on a page: readable, and far below Slack's 50 blocks."""

NEXT = "list_page_next"
PREVIOUS = "list_page_previous"
ACTIONS = re.compile(r"^list_page_(next|previous)$")
"""Both buttons. Two ids, because Slack wants each action id once in a block."""


class PageTarget(Value):
    """A page to show. `cursor` is the caller's own, `argument` an instance id (history) or a list's name."""

    verb: Literal["list", "history", "home"] = "list"
    argument: str = Field(default="", max_length=150)
    cursor: str = Field(default="", max_length=500, pattern="^[!-~]*$")

    @property
    def start(self) -> int:
        """The position at which a history's page begins. Raises UnreadableCardError."""
        if not self.cursor:
            return 0
        if not self.cursor.isdecimal() or len(self.cursor) > MOST_PAGE_DIGITS:
            raise UnreadableCardError("This button cannot be read. Type /approval history and the id to begin again.")
        return int(self.cursor)


def page_buttons(previous: PageTarget | None, following: PageTarget | None, name: str = "pages") -> list[Block]:
    """Return the buttons there is something behind, or nothing. `name` tells several lists of a message apart."""
    elements = []
    if previous:
        elements.append(parts.button("Previous", PREVIOUS, previous.model_dump_json(), "Show the previous page"))
    if following:
        elements.append(parts.button("Next", NEXT, following.model_dump_json(), "Show the next page"))
    return [{"type": "actions", "block_id": f"list_{name}", "elements": elements}] if elements else []


def parse_page(value: str | None) -> PageTarget:
    """Read a page button's value. Raises UnreadableCardError."""
    try:
        return PageTarget.model_validate_json((value or "")[: VALUE_LIMIT + 1])
    except ValidationError as error:
        raise UnreadableCardError("This button cannot be read. Type /approval list to begin again.") from error
