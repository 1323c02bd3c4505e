"""A machine whose clock is behind the engine's waits for it inside the attempt: retries would be spent within hours."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from activities import proving
from activities.proving import Prover
from approvals.evidence import EARLY, TooEarlyError
from approvals.signing import parse_key_ring
from workflows.obtain import DURABLE

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


def prover(clock: Clock) -> Prover:
    return Prover(cast("Any", None), parse_key_ring("k" * 40), clock)


async def test_an_attempt_waits_until_the_clock_is_set_right_and_no_longer() -> None:
    clock = Clock()
    waiting = asyncio.create_task(prover(clock).reached(TooEarlyError(NOON + timedelta(days=2))))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    clock.now = NOON + timedelta(days=2) - EARLY
    await asyncio.wait_for(waiting, 5)


async def test_a_moment_that_is_nearly_reached_is_not_waited_for() -> None:
    began = time.monotonic()
    await prover(Clock()).reached(TooEarlyError(NOON + EARLY))
    assert time.monotonic() - began < 0.4


async def test_an_orderly_stop_hands_the_attempt_back() -> None:
    found = prover(Clock())
    found.stop()
    with pytest.raises(asyncio.CancelledError):
        await found.reached(TooEarlyError(NOON + timedelta(days=1)))


def test_the_workflow_s_attempts_outlast_a_week_of_a_wrong_clock() -> None:
    assert proving.WAITS_S * DURABLE.max_number_of_attempts / 86_400 > 6
