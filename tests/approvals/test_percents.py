"""Shares are whole percents that are 100 together."""

import pytest

from approvals.percents import whole_percents


@pytest.mark.parametrize("counts", [{"a": 3, "b": 2, "c": 2}, {"a": 1, "b": 1, "c": 1}, {"a": 199, "b": 1}, {"a": 5}])
def test_shares_are_a_hundred_together(counts: dict[str, int]) -> None:
    assert sum(whole_percents(counts).values()) == 100


def test_of_nothing_there_are_no_shares() -> None:
    assert whole_percents({}) == {}
