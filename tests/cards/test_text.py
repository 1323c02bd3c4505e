"""Typed text is made harmless and short; amounts and moments are exact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards.moments import date_token, span
from cards.money import money
from cards.text import clean, cut, escaped, length, one_line
from tests.cards import limits, nasty


@nasty.some
@given(nasty.texts(3000), st.integers(1, 3000))
def test_escaped_text_has_no_control_character_left_and_fits(text: str, most: int) -> None:
    result = escaped(clean(text), most)
    assert limits.units(result) <= most
    assert "<" not in result
    assert ">" not in result


@nasty.some
@given(st.text(alphabet="&<>ab;", max_size=200), st.integers(1, 100))
def test_a_cut_never_leaves_half_an_entity(text: str, most: int) -> None:
    result = escaped(text, most)
    for piece in result.split("&")[1:]:
        assert piece.startswith(("amp;", "lt;", "gt;"))


CUTS = [
    ("short", 10, "short"),
    ("exactly te", 10, "exactly te"),
    ("more than ten", 10, "more than…"),
    ("\U0001f600" * 3, 5, "\U0001f600\U0001f600…"),
    ("\U0001f600" * 3, 6, "\U0001f600" * 3),
    ("ab", 1, "…"),
]


@pytest.mark.parametrize(("text", "most", "expected"), CUTS)
def test_a_cut_counts_as_slack_counts(text: str, most: int, expected: str) -> None:
    assert cut(text, most) == expected
    assert length(expected) <= most


CLEANED = [
    ("a\x00b\x1b[31mc", "ab[31mc", "control characters"),
    ("pay \u202e001$", "pay 001$", "reordering"),
    ("a\u200bb\ufeffc", "abc", "invisible characters"),
    ("  a \r\n b  ", "a \n b", "line ends"),
    ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb", "a joined emoji stays one"),
    ("\u0645\u0631\u062d\u0628\u0627", "\u0645\u0631\u062d\u0628\u0627", "right to left script stays"),
    ("\ud800x", "x", "half a surrogate pair"),
]


@pytest.mark.parametrize(("text", "expected", "why"), CLEANED, ids=[row[2] for row in CLEANED])
def test_what_cannot_be_seen_is_dropped(text: str, expected: str, why: str) -> None:
    assert clean(text) == expected, why


def test_one_line_is_one_line() -> None:
    assert one_line(" a\n\n b\tc ") == "a b c"


AMOUNTS = [
    ("2400", "USD", "$2,400.00"),
    ("2400.5", "EUR", "€2,400.50"),
    ("1234567.89", "CHF", "CHF 1,234,567.89"),
    ("2400", "JPY", "¥2,400"),
    ("2400.50", "JPY", "¥2,400.5"),
    ("1.5", "KWD", "KWD 1.500"),
    ("0", "USD", "$0.00"),
    ("2400.0050", "USD", "$2,400.005"),
    ("2400.0000", "USD", "$2,400.00"),
    ("1E+3", "USD", "$1,000.00"),
    ("0.0000", "JPY", "¥0"),
    ("1E+500", "USD", "$about 1.000000000000E+500"),
    ("1E-500", "USD", "$about 1.000000000000E-500"),
    ("12", "XYZ", "XYZ 12.00"),
]


@pytest.mark.parametrize(("amount", "currency", "expected"), AMOUNTS)
def test_money_shows_the_exact_amount(amount: str, currency: str, expected: str) -> None:
    assert money(Decimal(amount), currency) == expected


@given(st.decimals(min_value=0, max_value=10**12, places=4))
def test_money_never_rounds(amount: Decimal) -> None:
    assert Decimal(money(amount, "USD").removeprefix("$").replace(",", "")) == amount


SPANS = [
    (timedelta(0), "0 s"),
    (timedelta(seconds=40), "40 s"),
    (timedelta(minutes=5), "5 min"),
    (timedelta(hours=2, minutes=5), "2 h 5 min"),
    (timedelta(hours=24), "1 day"),
    (timedelta(days=3, hours=4, minutes=9), "3 days 4 h"),
    (timedelta(seconds=-5), "0 s"),
]


@pytest.mark.parametrize(("duration", "expected"), SPANS)
def test_a_span_is_told_in_its_two_largest_units(duration: timedelta, expected: str) -> None:
    assert span(duration) == expected


def test_a_moment_is_shown_in_the_readers_zone_with_utc_as_fallback() -> None:
    token = "<!date^1767621600^{date_long_pretty} at {time}|2026-01-05 14:00 UTC>"
    assert date_token(datetime(2026, 1, 5, 14, 0, tzinfo=UTC)) == token
