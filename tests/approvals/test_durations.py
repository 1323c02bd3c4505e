"""Durations as operators write them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.durations import duration_text, parse_duration

READ = [
    ("3 days", timedelta(days=3)),
    ("1 day", timedelta(days=1)),
    ("90m", timedelta(minutes=90)),
    ("1 h 30 min", timedelta(minutes=90)),
    ("1h30m", timedelta(minutes=90)),
    ("2 Weeks, 1 day", timedelta(days=15)),
    ("45 seconds", timedelta(seconds=45)),
    ("PT90M", timedelta(minutes=90)),
    ("P3D", timedelta(days=3)),
    ("P1W", timedelta(days=7)),
    ("P1DT12H", timedelta(hours=36)),
]


@pytest.mark.parametrize(("text", "duration"), READ, ids=[row[0] for row in READ])
def test_durations_are_read(text: Any, duration: Any) -> None:
    assert parse_duration(text) == duration


REFUSED = [
    "", "3", "days", "3 fortnights", "-1 day", "1.5 h", "0 days", "PT", "P", "P1M", "1 month", "367 days",
    "999999999 weeks", "1 day" * 30, "3 days x", "٣ days", "P٣D",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_duration_is_refused_with_a_sentence(text: Any) -> None:
    with pytest.raises(ValueError, match=r"duration|usable"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=366 * 86400))
def test_what_is_written_out_reads_back(seconds: Any) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(duration_text(duration)) == duration


def test_no_time_is_written_as_zero_seconds() -> None:
    assert duration_text(timedelta()) == "0 seconds"
