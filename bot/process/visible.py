"""Text of others for a terminal: what would move its cursor, hide text or turn its direction becomes an escape."""

import re

UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that move a cursor, hide text or turn its direction: what people typed must not do that to a terminal.
Halves of surrogate pairs end the program, as no terminal's encoding has them."""


def visible(text: str) -> str:
    """Return a text with every character that a terminal would obey, but newline and tab, written as its escape."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
