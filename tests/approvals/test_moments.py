"""Moments as people type them: one reader for the query, the dashboard and the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from approvals.moments import moment_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        (" 2026-01-31T12:00:00+02:00 ", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2h", NOW - timedelta(hours=2)),
        ("30d", NOW - timedelta(days=30)),
    ],
)
def test_a_date_or_a_duration_before_now(text: str, meant: datetime) -> None:
    assert moment_of(text, NOW) == meant


def test_a_duration_may_count_ahead() -> None:
    assert moment_of("90d", NOW, ahead=True) == NOW + timedelta(days=90)


@pytest.mark.parametrize("text", ["soon", "", "0001-01-01T00:00:00+23:59"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="neither a duration such as '2h'"):
        moment_of(text, NOW)
