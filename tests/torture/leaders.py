"""Three processes share one job while the leader is killed, frozen and told to end: one leads, nothing is done twice.

    python -m tests.torture.leaders --trials 200 --seed 7

Each round of the job reads a number, waits, and writes the next one. A leader is frozen in the middle of that wait for
longer than its lease; woken, it goes on where it was and must write nothing.
"""

import argparse
import asyncio
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot.process.leadership import Job, Leadership
from bot.process.periodic import Loops, Periodic
from records import sent
from records.database import Database
from records.tables import sent as numbers
from tests.postgres import running_cluster
from tests.torture.report import finish

LENGTH_S = 1.5
WAIT_S = 0.15
TAKE_OVER_S = 60.0
"""The longest wait for another leader, on a busy machine too; the figure says how long it took."""

ACTS = ("kill", "freeze", "stop")


async def lead(url: str) -> None:
    """Be one of the processes until SIGTERM."""
    database = Database.open(url)
    leadership = Leadership(database, lambda: datetime.now(UTC), LENGTH_S)

    async def count() -> None:
        number = 1 + await highest(database)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        await asyncio.sleep(WAIT_S)
        async with database.write() as connection:
            await sent.note(connection, f"{number:06d} {os.getpid()}", datetime.now(UTC))

    loops = Loops(leadership.loop, Periodic("count", count, 0.01).led_by(leadership.lease(Job.RECONCILER)))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    loops.start()
    await ended.wait()
    await leadership.hand_back()
    await loops.stop()
    await database.close()


async def highest(database: Database) -> int:
    """Return the highest number that was written."""
    async with database.read() as connection:
        found = await connection.scalar(sa.select(sa.func.max(numbers.c.key)))
    return int(str(found).split()[0]) if found else 0


class Member:
    """One of the processes."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.torture.leaders", "--lead", url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def next_round(self) -> bool:
        """Return in the middle of the next round: a number is read and not written yet. False if there is none soon."""
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        while os_read(self.process.stdout.fileno()):
            pass  # what it said before
        return bool(select.select([self.process.stdout], [], [], 3)[0])

    def end(self) -> None:
        """End it for good, frozen or not."""
        self.process.kill()
        self.process.wait()


def os_read(descriptor: int) -> bytes:
    """Return what can be read without waiting."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return b""


@contextmanager
def members(url: str, count: int) -> Iterator[list[Member]]:
    """Give some processes that run."""
    made = [Member(url) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.end()


async def torture(url: str, acts: list[str], count: int = 3) -> tuple[dict[str, Any], list[str]]:
    """Do each act to the leader; give the figures and all that is wrong."""
    database = Database.open(url)
    await database.migrate()
    takeovers: list[float] = []
    wrong: list[str] = []
    with members(url, count) as made:
        for act in acts:
            leader = await _leading(database, made)
            began, written = time.monotonic(), await highest(database)
            leader.process.send_signal({"kill": 9, "freeze": signal.SIGSTOP, "stop": signal.SIGTERM}[act])
            found, _ = await _advanced(database, written, leader.process.pid)
            takeovers.append(time.monotonic() - began)
            if found is None:
                wrong.append(f"after {act} nobody took over")
                break
            if act == "freeze":
                leader.process.send_signal(signal.SIGCONT)
                await asyncio.sleep(3 * WAIT_S)
            else:
                leader.process.wait(timeout=TAKE_OVER_S)
                made[made.index(leader)] = Member(url)
    wrong += await _examined(database)
    total = await highest(database)
    await database.close()
    return {"acts": len(acts), "rounds": total, "take_over_s_max": round(max(takeovers), 2)}, wrong


async def _leading(database: Database, made: list[Member]) -> Member:
    """Return the leader, in the middle of a round. On a busy machine it may just have lost its lease: then the next."""
    after = 0
    while True:
        by, after = await _advanced(database, after, None)
        leader = next((each for each in made if each.process.pid == by), None)
        if leader is not None and leader.next_round():
            return leader


async def _advanced(database: Database, after: int, other_than: int | None) -> tuple[int | None, int]:
    """Wait for a number that another process wrote, and return who wrote it."""
    end = time.monotonic() + TAKE_OVER_S
    while time.monotonic() < end:
        async with database.read() as connection:
            last = await connection.scalar(sa.select(sa.func.max(numbers.c.key)))
        number, _, by = str(last or "0 0").partition(" ")
        if int(number) > after and int(by) not in {other_than, 0}:
            return int(by), int(number)
        await asyncio.sleep(0.05)
    return None, after


async def _examined(database: Database) -> list[str]:
    async with database.read() as connection:
        keys = (await connection.execute(sa.select(numbers.c.key))).scalars().all()
    counted = Counter(key.split()[0] for key in keys)
    return [f"number {number} was written {times} times" for number, times in counted.items() if times > 1]


def main() -> int:
    """Kill, freeze and stop leaders on a database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", help="a database's URL; default: a PostgreSQL of its own, or an SQLite file")
    parser.add_argument("--lead", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.lead:
        asyncio.run(lead(given.lead))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends all parts
    dice = random.Random(given.seed)
    acts = [dice.choice(ACTS) for _ in range(given.trials)]
    with database_url(given.database) as url:
        figures, wrong = asyncio.run(torture(url, acts))
    return finish("leaders", {"database": url.partition(":")[0], **figures}, wrong)


@contextmanager
def database_url(given: str | None) -> Iterator[str]:
    """Give the URL that was given, or one of a PostgreSQL of its own if its programs are there, or of a file.

    On SQLite a process that is frozen in the middle of a write holds the one lock of the file as long as it is frozen.
    """
    with ExitStack() as stack:
        if given:
            yield given
        elif shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            yield stack.enter_context(running_cluster()).url
        else:
            yield f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/leaders.db"


if __name__ == "__main__":
    raise SystemExit(main())
