r"""Ids that our doors take for instances and orders: what the workflow engine takes and people can read and copy.

The engine refuses `/ \ # ?` and control characters, and cannot list its instances once an id holds `||`
(docs/explanation/dapr.md#instance-ids). Invisible characters and those that turn text are refused here as well: an id
must be the one that it looks like.
"""

import unicodedata

PATHS = frozenset("/\\#?")
DELIMITER = "||"
MOST_ID_BYTES = 300
"""Of UTF-8: the engine builds names of at most 512 bytes around an id, and a child's id is a little longer."""


class IdRule:
    """The rule for one kind of id, of so many characters at most."""

    def __init__(self, longest: int) -> None:
        self._longest = longest

    def fullmatch(self, text: str) -> bool:
        """Return whether the text is such an id."""
        return (
            0 < len(text) <= self._longest
            and len(text.encode("utf-8", "replace")) <= MOST_ID_BYTES
            and text[0].isalnum()
            and text[-1] != " "
            and text.isprintable()  # no control, format or separator character but the space, no surrogate
            and PATHS.isdisjoint(text)
            and DELIMITER not in text
            and unicodedata.is_normalized("NFC", text)
        )


ID_RULE = (
    "it begins with a letter or digit, ends with no space, and holds no '/', '\\', '#', '?', '||' and no invisible "
    "character (accents in their composed form, NFC)."
)
ORDER_ID = IdRule(80)
ORDER_ID_SENTENCE = f"An order id has 1 to 80 characters: {ID_RULE}"
INSTANCE_ID = IdRule(128)
INSTANCE_ID_SENTENCE = f"An instance id has 1 to 128 characters: {ID_RULE}"
