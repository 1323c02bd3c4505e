"""Failures are slowed down, in bounds."""

from bot.access.throttle import Throttle


def test_guessing_gets_slower_and_a_good_key_ends_it() -> None:
    throttle = Throttle(allowed=2, first_s=1, longest_s=4)
    waits = []
    for _ in range(6):
        throttle.failed("10.0.0.1", 100.0)
        waits.append(throttle.wait_s("10.0.0.1", 100.0))
    assert waits == [0, 0, 1, 2, 4, 4]
    assert throttle.wait_s("10.0.0.2", 100.0) == 0
    assert throttle.wait_s("10.0.0.1", 104.0) == 0


def test_a_failure_long_after_the_last_counts_as_the_first() -> None:
    throttle = Throttle(allowed=1, longest_s=10)
    for moment in (0.0, 1.0, 100.0):
        throttle.failed("a", moment)
    assert throttle.wait_s("a", 100.0) == 0


def test_sources_are_bounded() -> None:
    throttle = Throttle(sources=10)
    for number in range(100):
        throttle.failed(str(number), 0.0)
    assert len(throttle._failures) == 10
