"""Loops that cannot die unseen."""

import asyncio
from collections.abc import Awaitable, Callable

from bot.process import periodic
from bot.process.periodic import Loops, NextRound, Periodic


class PartAwayError(Exception):
    """A part that is away."""


def failing(*errors: Exception | None) -> tuple[Callable[[], Awaitable[None]], list[int]]:
    """Return work that fails in turn with these errors, then works; and how often it ran."""
    left, ran = list(errors), [0]

    async def work() -> None:
        ran[0] += 1
        error = left.pop(0) if left else None
        if error is not None:
            raise error

    return work, ran


async def test_an_unexpected_error_is_counted_and_the_loop_goes_on() -> None:
    work, ran = failing(KeyError("x"), TypeError("y"))
    loop = Periodic("a", work, 0.001)
    pauses = [await loop.once() for _ in range(3)]
    assert ran == [3]
    assert (loop.state.failures, loop.state.in_a_row, loop.state.down) == (2, 0, False)
    assert pauses[0] < pauses[1]
    assert pauses[2] == 0.001


async def test_three_failures_in_a_row_say_which_loop_is_down_and_one_success_ends_it() -> None:
    work, _ = failing(*[ValueError("a secret path")] * 3)
    loop = Periodic("card repair", work, 0.001)
    down = []
    for _ in range(4):
        await loop.once()
        down.append([state.message for state in Loops(loop).down])
    assert [len(each) for each in down] == [0, 0, 1, 0]
    assert "card repair" in down[2][0]
    assert "secret" not in down[2][0]


async def test_the_back_off_grows_to_a_bound() -> None:
    work, _ = failing(*[PartAwayError("away")] * 40)
    loop = Periodic("a", work, 1.0, passing=(PartAwayError,))
    pauses = [await loop.once() for _ in range(40)]
    assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, periodic.LONGEST_BACK_OFF_S]
    assert max(pauses) == periodic.LONGEST_BACK_OFF_S
    assert loop.state.why == "away"


async def test_a_started_loop_survives_every_failure_and_ends_when_it_is_stopped() -> None:
    work, ran = failing(KeyError("x"))
    loop = Periodic("a", work, 0.001)
    loop.start()
    async with asyncio.timeout(30):
        while ran[0] <= 2:  # noqa: ASYNC110 the loop tells nobody of its rounds
            await asyncio.sleep(0.01)
    await loop.stop()
    after = ran[0]
    await asyncio.sleep(0.02)
    assert ran[0] == after


async def test_a_round_that_hangs_is_shown() -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    loop = Periodic("sweep", hang, 1.0)
    loop.start()
    await asyncio.sleep(0)
    assert not loop.state.down
    loop._began = -periodic.STUCK_AFTER_S
    assert "sweep" in loop.state.message
    assert loop.state.down
    await loop.stop()


async def test_a_gentle_loop_works_a_quarter_of_the_time_at_most() -> None:
    async def work() -> None:
        await asyncio.sleep(0.05)

    assert await Periodic("a", work, 0.01, gentle=True).once() >= 0.14


async def test_a_count_that_a_round_returns_is_no_pause() -> None:
    # What sends messages returns how many are under way. Read as a pause, its 0 made an idle process spin.
    async def sent() -> int:
        return 0

    assert await Periodic("x", sent, 7.0).once() == 7.0


async def test_a_round_can_say_when_the_next_one_is_to_come() -> None:
    async def full() -> NextRound:
        return NextRound(in_s=0.0)

    assert await Periodic("x", full, 7.0).once() == 0.0


async def test_a_loop_ends_though_its_round_makes_another_error_of_the_cancellation() -> None:
    # A query that is interrupted fails with the database's error: the app then never ended.
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            message = "interrupted"
            raise OSError(message) from None

    loop = Periodic("x", work, 0.001, passing=(OSError,))
    loop.start()
    await began.wait()
    async with asyncio.timeout(2):
        await loop.stop()
