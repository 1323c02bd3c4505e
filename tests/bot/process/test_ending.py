"""The end of a process: each part has its time."""

import asyncio

import pytest
from structlog.testing import capture_logs

from bot.process.ending import Shutdown


async def test_parts_end_in_the_opposite_order_and_a_failure_or_a_hang_holds_up_none() -> None:
    ended: list[str] = []

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        message = "closed already"
        raise OSError(message)

    async def ends(part: str) -> None:
        ended.append(part)

    with capture_logs() as logged:
        async with asyncio.timeout(5), Shutdown() as ending:
            ending.then("database", lambda: ends("database"))
            ending.then("worker", hangs, within_s=0.05)
            ending.then("socket", fails)
            ending.then("loops", lambda: ends("loops"))
    assert ended == ["loops", "database"]
    assert [(each["part"], each["log_level"]) for each in logged] == [("socket", "error"), ("worker", "error")]
    late = logged[1]
    assert late["seconds"] == 0.05
    assert any("test_ending.py" in each for each in late["waiting"])


async def test_a_start_that_fails_ends_what_had_begun() -> None:
    ended = asyncio.Event()

    async def end() -> None:
        ended.set()

    async def start() -> None:
        async with Shutdown() as ending:
            ending.then("tracing", end)
            message = "no database"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="no database"):
        await start()
    assert ended.is_set()
