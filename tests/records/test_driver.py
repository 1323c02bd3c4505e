"""Connections to SQLite: who gives up leaves no thread and no statement behind."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from records.columns import UNREADABLE
from records.sqlite.driver import Connection

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_a_connection_whose_closing_is_given_up_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    connection = Connection(str(tmp_path / "records.db"), at_once=False, busy_ms=100)
    await connection
    (made,) = set(threading.enumerate()) - before
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    await asyncio.to_thread(made.join, 20)
    assert not made.is_alive()


async def test_a_reader_who_gives_up_ends_the_statement(tmp_path: Path) -> None:
    connection = Connection(str(tmp_path / "records.db"), at_once=False, busy_ms=100)
    await connection
    reading = asyncio.create_task(connection.run(connection.raw.execute, ENDLESS))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    began = time.monotonic()
    assert (await connection.run(connection.raw.execute, "SELECT 1")).fetchone() == (1,)
    assert time.monotonic() - began < 10
    await connection.close()


async def test_a_writers_statements_run_where_the_caller_runs_and_its_commit_does_not(tmp_path: Path) -> None:
    connection = Connection(str(tmp_path / "records.db"), at_once=True, busy_ms=100)
    await connection
    await connection.begin_immediate()
    assert await connection.run(threading.get_ident) == threading.get_ident()
    ran: list[int] = []
    connection.raw.execute("CREATE TABLE made (text)")
    connection.raw.set_trace_callback(lambda _: ran.append(threading.get_ident()))
    await connection.commit()
    assert ran
    assert threading.get_ident() not in ran
    await connection.close()


async def test_a_text_that_is_no_utf_8_is_unreadable_and_its_neighbours_are_read(tmp_path: Path) -> None:
    connection = Connection(str(tmp_path / "records.db"), at_once=True, busy_ms=100)
    await connection
    assert connection.fetched("SELECT CAST(x'ff41' AS TEXT), 'ä'", ())[0] == [(UNREADABLE, "ä")]
    await connection.close()
