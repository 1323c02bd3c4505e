"""A clock that is off, goes back or meets a daylight-saving night: windows and deadlines hold."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from approvals.policy.routing import parse_policy
from bot.access.throttle import Throttle
from bot.slack.signature import Flaw, SignedBytes, flaw

SECRET = b"secret"
NOW = 1_800_000_000


def signed(at: int) -> SignedBytes:
    mac = hmac.new(SECRET, b"v0:" + str(at).encode() + b":body", hashlib.sha256).hexdigest()
    return SignedBytes(body=b"body", timestamp=str(at), signature=f"v0={mac}")


@pytest.mark.parametrize(
    ("description", "off", "found"),
    [
        ("right", 0, None),
        ("a little slow", -299, None),
        ("a little fast", 299, None),
        ("ten minutes slow", -600, Flaw.WINDOW),
        ("ten minutes fast", 600, Flaw.WINDOW),
    ],
)
def test_a_clock_that_is_ten_minutes_off_lets_nothing_in(description: str, off: int, found: Flaw | None) -> None:
    assert flaw(signed(NOW), SECRET, NOW + off) is found, description


def test_a_clock_that_goes_back_opens_no_window_twice_as_long() -> None:
    assert flaw(signed(NOW), SECRET, NOW + 301) is Flaw.WINDOW
    assert flaw(signed(NOW), SECRET, NOW + 200) is None  # the same bytes: the replay guard's, for ten minutes


def test_a_throttle_follows_a_clock_that_never_goes_back() -> None:
    throttle = Throttle(allowed=1)
    for moment in (10.0, 10.0, 10.0):
        throttle.failed("source", moment)
    assert throttle.wait_s("source", 10.0) > 0
    assert throttle.wait_s("source", 10_000.0) == 0


@pytest.mark.parametrize("night", ["2026-03-29T00:30:00+00:00", "2026-10-25T00:30:00+00:00"])
def test_a_deadline_of_a_day_is_24_hours_also_in_a_daylight_saving_night(night: str) -> None:
    policy = parse_policy("rules: [{approve: {user: U01}, within: 1 day}]")
    within = policy.rules[0].stages[0].within
    begun = datetime.fromisoformat(night).astimezone(UTC)
    assert within is not None
    assert begun + within - begun == timedelta(hours=24)
