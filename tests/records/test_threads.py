"""One call after the other in a thread, whatever becomes of those who wait."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from records.sqlite import driver
from records.sqlite.threads import CallThread


async def test_calls_run_in_their_order_in_one_thread_of_their_own() -> None:
    thread, seen = CallThread("calls"), list[tuple[int, int]]()
    calls = [thread.call(lambda number=number: seen.append((number, threading.get_ident()))) for number in range(20)]
    await asyncio.gather(*calls)
    assert [number for number, _ in seen] == list(range(20))
    assert {ident for _, ident in seen} != {threading.get_ident()}
    assert len({ident for _, ident in seen}) == 1
    thread.end()


async def test_an_error_reaches_who_waits_and_the_next_call_runs() -> None:
    thread = CallThread("calls")
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 / 0)
    assert await thread.call(pow, 2, 5) == 32
    thread.end()


async def test_who_gives_up_leaves_the_call_running_and_the_next_in_its_turn() -> None:
    thread, begun, goes_on, seen = CallThread("calls"), threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        goes_on.wait(20)
        seen.append("first")

    waiting = asyncio.create_task(thread.call(first))
    await asyncio.to_thread(begun.wait, 20)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    goes_on.set()
    await thread.call(seen.append, "second")
    assert seen == ["first", "second"]
    thread.end()


async def test_it_ends_after_its_last_call() -> None:
    before, ended = set(threading.enumerate()), threading.Event()
    thread = CallThread("calls that end")
    (made,) = set(threading.enumerate()) - before
    slow = asyncio.create_task(thread.call(time.sleep, 0.05))
    await asyncio.sleep(0)
    thread.end(ended.set)
    await slow
    await asyncio.to_thread(made.join, 20)
    assert ended.is_set()
    assert not made.is_alive()


def test_a_loop_that_was_closed_meanwhile_does_not_end_the_thread() -> None:
    thread, goes_on = CallThread("calls"), threading.Event()

    async def leave() -> None:
        waiting = asyncio.create_task(thread.call(goes_on.wait, 20))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    goes_on.set()

    async def come_back() -> int:
        return await thread.call(pow, 3, 3)

    assert asyncio.run(come_back()) == 27
    thread.end()


async def test_a_connection_whose_closing_is_given_up_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    connection = await driver.connect(str(tmp_path / "records.db"), at_once=False, busy_ms=100)
    (made,) = set(threading.enumerate()) - before
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    await asyncio.to_thread(made.join, 20)
    assert not made.is_alive()
