"""Turns of activities: few work at once, and who waits for others gives the turn back."""

import asyncio

import pytest

from activities.turns import Turns, outside


async def test_so_many_work_at_once_and_no_more() -> None:
    turns, at_work, most = Turns(3), 0, 0

    async def work() -> None:
        nonlocal at_work, most
        async with turns.one():
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0.001)
            at_work -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert most == 3


async def test_who_waits_for_slack_keeps_nobody_from_working() -> None:
    turns, slack = Turns(1), asyncio.Event()

    async def waits() -> str:
        async with turns.one():
            await asyncio.gather(answer(), answer())  # two lookups of one judgement
            return "waited"

    async def answer() -> None:
        async with outside():
            await slack.wait()

    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0)
    async with asyncio.timeout(2), turns.one():
        slack.set()
    assert await waiting == "waited"
    async with asyncio.timeout(2), turns.one():
        assert not turns._free._value, "a turn was given back twice"


async def test_a_turn_whose_activity_is_cut_off_outside_is_free() -> None:
    turns = Turns(1)

    async def waits() -> None:
        async with turns.one(), outside():
            await asyncio.sleep(60)

    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(2), turns.one():
        pass


async def test_a_shared_lookup_that_outlives_its_first_caller_takes_no_turn_with_it() -> None:
    turns, slack = Turns(1), asyncio.Event()

    async def lookup() -> None:
        async with outside():
            await slack.wait()

    async def caller() -> "asyncio.Task[None]":
        async with turns.one():
            shared = asyncio.create_task(lookup())
            await asyncio.sleep(0)
            return shared

    shared = await caller()
    slack.set()
    await shared
    async with asyncio.timeout(2), turns.one():
        pass
