"""What a browser sends of a form's fields."""

import pytest

from bot.dashboard.forms import typed


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("two\r\nlines", "two\nlines"),
        ("  around \r\n", "around"),
        ("a\rb", "a\rb"),
        ("", ""),
    ],
)
def test_a_field_is_what_was_typed_into_it(sent: str, meant: str) -> None:
    assert typed(sent) == meant
