"""Text of others on a page: it is text, turns no direction and hides nothing."""

import pytest

from bot.dashboard.rendering import Templates, dated

SHOWN = {
    "an override": ("order-\u202e24", "order-\\u202e24"),
    "no width": ("order\u200b-24", "order\\u200b-24"),
    "an escape": ("a\x1b[31m", "a\\x1b[31m"),
    "markup": ("<b>&'", "&lt;b&gt;&amp;&#39;"),
    "lines of a form": ("a\r\nb", "a\nb"),
    "other scripts": ("日本 é עברית", "日本 é עברית"),
    "a family of one character": ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
}


@pytest.mark.parametrize(("typed", "shown"), SHOWN.values(), ids=SHOWN)
def test_what_turns_or_hides_text_is_written_as_its_escape(typed: str, shown: str) -> None:
    page = Templates().page("failed.html", title="t", text=typed, reference="r", csrf="")
    assert f"<p>{shown}</p>" in bytes(page.body).decode()
    assert str(dated(typed)) == shown
