"""Ways to commit one small transaction on SQLite from an event loop: what docs/decisions/0003 weighs.

    .venv/bin/python -m benchmarks.sqlite_ways [--count 400] [--at-once 16] [--busy]

In turn, the same statements (an INSERT, the look at a chain's end, a second INSERT, COMMIT with a flush): as plain work
(`transact`), as a block of the general way (`write`), by the standard library with the whole transaction in one call to
one thread (`one_hop`), and by the same with all that wait in one commit (`one_hop_grouped`). With `--busy` the loop has
other work of 2 ms at a time, as under load. The last line is one JSON object with microseconds a transaction, one at a
time and `--at-once`.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from records.database import Database
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.sqlite.driver import opened

META = sa.MetaData()
ROWS = sa.Table("rows", META, sa.Column("id", sa.Text, primary_key=True), sa.Column("text", sa.Text))
CHAIN = sa.Table("chain", META, sa.Column("seq", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
MAKE = ("CREATE TABLE rows (id TEXT PRIMARY KEY, text TEXT)", "CREATE TABLE chain (seq INTEGER PRIMARY KEY, text TEXT)")
TEXT = "x" * 600
PUT, LAST, ADD = (
    Prepared(sa.insert(ROWS)),
    Prepared(sa.select(CHAIN.c.seq).order_by(CHAIN.c.seq.desc()).limit(1)),
    Prepared(sa.insert(CHAIN)),
)
Write = Callable[[str], Awaitable[None]]


def _work(transaction: Transaction, key: str) -> None:
    PUT.run(transaction, {"id": key, "text": TEXT})
    last = LAST.run(transaction, {}).rows
    ADD.run(transaction, {"seq": last[0][0] + 1 if last else 1, "text": TEXT})


def plain_work(database: Database) -> Write:
    """Return a write as plain work."""

    async def write(key: str) -> None:
        await database.transact(_work, key)

    return write


def block(database: Database) -> Write:
    """Return a write as a block with three statements that are awaited."""
    put, last, add = (Plain(each.run) for each in (PUT, LAST, ADD))

    async def write(key: str) -> None:
        async with database.write() as connection:
            await put(connection, {"id": key, "text": TEXT})
            found = (await last(connection, {})).rows
            await add(connection, {"seq": found[0][0] + 1 if found else 1, "text": TEXT})

    return write


async def other_work() -> None:
    """Keep the loop busy, 2 ms at a time."""
    while True:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


def _statements(raw: sqlite3.Connection, key: str) -> None:
    raw.execute("INSERT INTO rows VALUES (?, ?)", (key, TEXT))
    last = raw.execute("SELECT seq FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
    raw.execute("INSERT INTO chain VALUES (?, ?)", (last[0] + 1 if last else 1, TEXT))


def one_hop(raw: sqlite3.Connection, thread: Executor) -> Write:
    """Return a write whose whole transaction is one call to a thread."""

    def transaction(key: str) -> None:
        raw.execute("BEGIN IMMEDIATE")
        _statements(raw, key)
        raw.execute("COMMIT")

    async def write(key: str) -> None:
        await asyncio.get_running_loop().run_in_executor(thread, transaction, key)

    return write


def one_hop_grouped(raw: sqlite3.Connection, thread: Executor) -> Write:
    """Return the same, with all that wait when the thread is free in one commit."""
    waiting: list[tuple[str, asyncio.Future[None]]] = []
    busy = asyncio.Lock()

    def transaction(keys: list[str]) -> None:
        raw.execute("BEGIN IMMEDIATE")
        for key in keys:
            raw.execute("SAVEPOINT one")
            _statements(raw, key)
            raw.execute("RELEASE one")
        raw.execute("COMMIT")

    async def write(key: str) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append((key, done))
        async with busy:
            if done.done():
                return
            some = waiting[:]
            waiting.clear()
            await asyncio.get_running_loop().run_in_executor(thread, transaction, [each for each, _ in some])
            for _, other in some:
                other.set_result(None)

    return write


async def timed(write: Write, name: str, count: int, at_once: int) -> float:
    """Return the microseconds a transaction."""
    slots = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with slots:
            await write(f"{name}-{number}")

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    return (time.perf_counter() - began) / count * 1e6


async def measure(folder: Path, count: int, at_once: int, *, busy: bool) -> dict[str, Any]:
    """Take turns."""
    others = [asyncio.create_task(other_work())] if busy else []
    database = Database.open(f"sqlite:///{folder}/ours.db")
    async with database.write() as connection:
        for statement in MAKE:
            await connection.exec_driver_sql(statement)
    thread = ThreadPoolExecutor(1)
    raws = []
    loop = asyncio.get_running_loop()
    for name in ("one", "grouped"):
        connecting = partial(opened, f"{folder}/{name}.db", at_once=False, busy_ms=5000)
        raws.append(await loop.run_in_executor(thread, connecting))
        for statement in MAKE:
            await loop.run_in_executor(thread, raws[-1].execute, statement)
    ways = {
        "transact": plain_work(database),
        "write": block(database),
        "one_hop": one_hop(raws[0], thread),
        "one_hop_grouped": one_hop_grouped(raws[1], thread),
    }
    figures: dict[str, dict[str, list[float]]] = {name: {"alone": [], "together": []} for name in ways}
    for turn in range(5):
        for name, write in ways.items():
            figures[name]["alone"].append(await timed(write, f"{name}a{turn}", count // 4, 1))
            figures[name]["together"].append(await timed(write, f"{name}t{turn}", count, at_once))
    for other in others:
        other.cancel()
    await database.close()
    thread.shutdown()
    shown = {
        name: {how: round(statistics.median(found)) for how, found in each.items()} for name, each in figures.items()
    }
    return {"benchmark": "sqlite_ways", "count": count, "at_once": at_once, "busy": busy, "us": shown}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--busy", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-sqlite-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), wanted.count, wanted.at_once, busy=wanted.busy))))


if __name__ == "__main__":
    main()
