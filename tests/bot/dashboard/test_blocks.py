"""The card's preview: what Slack would show, as text and never as markup."""

import pytest

from bot.dashboard.blocks import Run, mentioned, preview
from bot.dashboard.rendering import Templates
from cards import parts, request_card
from tests.cards.examples import CARDS, SQL, WAITING

NAMES = {"user:U0MANAGER": "manager", "group:S0MANAGERS": "@managers"}


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("<@U0MANAGER>", [Run(text="@manager", kind="mention")]),
        ("<!subteam^S0MANAGERS>", [Run(text="@managers", kind="mention")]),
        ("<!date^0^{date}|then>", [Run(text="then", kind="date", moment="1970-01-01T00:00:00Z")]),
        ("*Amount* &lt;5", [Run(text="Amount", kind="bold"), Run(text=" <5")]),
        ("<https://example.com/a?b=1&amp;c|x>", [Run(text="x", kind="link", href="https://example.com/a?b=1&c")]),
        ("<javascript:alert(1)|x>", [Run(text="x")]),
        ("&lt;@U0MANAGER&gt;", [Run(text="<@U0MANAGER>")]),
    ],
)
def test_a_line_of_our_own_words_is_read_as_slack_reads_it(line: str, runs: list[Run]) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": line}}
    assert list(preview([block], NAMES)[0].lines[0]) == runs


def test_typed_markup_stays_text() -> None:
    nasty = "<img src=x onerror=alert(1)> *bold* <!channel> {{ 7 * 7 }}"
    shown = preview([parts.sentence(nasty), parts.quote(nasty)], NAMES)
    assert ["".join(run.text for run in part.lines[0]) for part in shown] == [nasty, nasty]
    page = Templates()._environment.from_string("{% import 'parts.html' as p %}{{ p.card(shown) }}").render(shown=shown)
    assert "<img" not in page
    assert "&lt;img" in page


def test_a_real_card_is_shown_whole() -> None:
    blocks = request_card.build(WAITING).blocks
    shown = preview(blocks, NAMES)
    assert [part.kind for part in shown if part.kind in {"header", "fields", "buttons", "context"}] == [
        "header",
        "fields",
        "context",
        "buttons",
    ]
    assert shown[[part.kind for part in shown].index("buttons")].buttons == (
        "Approve",
        "Reject",
        "Details",
        "⋯ Withdraw",
    )
    code = preview(request_card.build(CARDS["waiting for a statement"]).blocks, NAMES)
    [statement] = [part for part in code if part.kind == "code"]
    assert "".join(run.text for line in statement.lines for run in line) == SQL
    assert all(name.startswith(("user:", "group:")) for name in mentioned(blocks))
