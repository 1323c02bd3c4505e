"""Ids that our doors take: what the engine takes, if it is what it looks like."""

import pytest

from bot.control.operations.ids import INSTANCE_ID, ORDER_ID

TAKEN = [
    "42",
    "A b",
    "a|b",
    "a@b",
    "parent:0001",
    "a..b",
    "a.",
    "é",
    "日本語",
    "a%2Fb",
    "a'b",
    '"a"'[1:],
    "a<b>&c",
    "x" * 80,
]


@pytest.mark.parametrize("text", TAKEN)
def test_an_id_that_the_engine_takes_and_people_can_read_is_taken(text: str) -> None:
    assert ORDER_ID.fullmatch(text)
    assert INSTANCE_ID.fullmatch(f"order-{text}-workflow")


REFUSED = {
    "nothing": "",
    "a slash": "a/b",
    "a backslash": "a\\b",
    "a hash": "a#b",
    "a question mark": "a?b",
    "two bars, with which the engine lists nothing": "a||b",
    "dots alone, which a path loses": "..",
    "a space first": " a",
    "a space last": "a ",
    "an option's hyphen first": "-a",
    "a line": "a\nb",
    "an escape": "a\x1b[31m",
    "a C1 control": "a\x85b",
    "text that turns": "a\u202eb",
    "no width": "a\u200bb",
    "a mark of byte order": "a\ufeff",
    "a space that does not break": "a\u00a0b",
    "half a character": "a\ud800",
    "an accent apart": "e\u0301",
    "too long": "x" * 81,
    "too many bytes": "日" * 80 + "語" * 48,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_every_other_id_is_refused(text: str) -> None:
    assert not ORDER_ID.fullmatch(text)
    assert len(text) == 81 or not INSTANCE_ID.fullmatch(text)
