"""The plots' geometry: everything within its frame, and the table beside it with the same figures."""

from datetime import date, timedelta

import pytest

from bot.dashboard import charts
from records.statistics import Day, Waiting

TODAY = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (1, 1), (4, 4), (5, 6), (9, 10), (17, 20), (101, 150), (12_345, 15_000)]
)
def test_a_scale_ends_at_a_round_number_above_the_highest(most: int, top: int) -> None:
    assert charts.nice(most) == top


@pytest.mark.parametrize("days", [1, 7, 30, 92, 365])
def test_columns_stay_within_the_frame_and_stand_on_each_other(days: int) -> None:
    found = [
        Day(day=TODAY - timedelta(days=number), outcomes={"approved": number % 7, "rejected": 2, "odd": 1})
        for number in range(days)
    ]
    shown = charts.columns(found, TODAY - timedelta(days=days - 1), TODAY)
    assert all(bar.x >= charts.LEFT and bar.x + bar.width <= charts.WIDTH for bar in shown.bars)
    assert all(bar.y >= charts.TOP - 0.1 and bar.height > 0 for bar in shown.bars)
    assert set(shown.kinds) == {"approved", "rejected", "odd"}
    assert len(shown.days) <= 9
    assert shown.rows[0][0] == TODAY


def test_no_decisions_make_an_empty_plot() -> None:
    shown = charts.columns([], TODAY - timedelta(days=29), TODAY)
    assert (shown.bars, shown.kinds, shown.rows) == ((), (), ())


def test_bars_are_as_long_as_their_share_of_the_longest() -> None:
    found = [Waiting(what="group:a", count=40, oldest=None), Waiting(what="", count=10, oldest=None)]
    shown = charts.bars(found, {"group:a": "@a", "": "no rule"}, "/?waiting_on=")
    assert [(row.text, row.width, row.href) for row in shown] == [
        ("@a", 100.0, "/?waiting_on=group%3Aa"),
        ("no rule", 25.0, "/?waiting_on="),
    ]


def test_the_band_of_outcomes_is_as_wide_as_there_is_room() -> None:
    shown = charts.shares({"approved": 3, "rejected": 1})
    assert [bar.kind for bar in shown] == ["approved", "rejected"]
    assert shown[-1].x + shown[-1].width <= charts.WIDTH
    assert charts.shares({}) == ()
