"""What a page of the list costs at 1,000 and at 100,000 instances, and what one waiting request takes.

    .venv/bin/python -m benchmarks.list [--many 100000] [--rounds 150] [--waiting 600]

Each filter's page of 50 is timed on both databases in turn, and its query plan is printed: it must name an index. Then
real requests are left waiting in a running app, in steps; bytes per request are the slope over the steps. The last line
is JSON; times are milliseconds, and `ratio` is p99 at many over p99 at few.
"""

import argparse
import asyncio
import gc
import json
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from activities.policies import PolicyFile
from approvals.machine import CardPosted, Started, State, start, step
from approvals.policy.routing import NoRoute, route
from approvals.request import ApprovalRequest, CardRef
from benchmarks import serving
from local.slack import LocalSlack
from records import instances, listing, search, tables
from records.database import Database

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 5, 14, tzinfo=UTC)
FEW = 1_000
PRINCIPALS = ("group:managers", "group:vps", "user:U1", "user:U2")
"""Few enough that each filter fills a page of 50 among the few instances, too."""

WORDS = ("printer", "laptop", "licence", "travel", "chairs", "server", "training", "books")
END = ("approved", "rejected", "timed_out", "terminated")


# ---- filling --------------------------------------------------------------------------------------------------------


def example_state() -> State:
    """Return the state of a request that waits, as the workflow makes it."""
    request = ApprovalRequest(
        subject="42", amount=Decimal(2400), currency="USD", description="x", requester="requester@example.com"
    )
    found = route(PolicyFile(ROOT / "policy.yml").read(), request)
    if isinstance(found, NoRoute):
        raise TypeError(found.sentence)
    state, _ = step(start("order-42-workflow", request, found, NOW), Started(at=NOW))
    return step(state, CardPosted(card=CardRef(channel="C0APPROVALS", ts="1767621600.000000")))[0]


def row(number: int, state: State, chance: random.Random) -> dict[str, Any]:
    """Return one instance's columns: a third waits, the others have ended in one way or another."""
    waits = number % 3 == 0
    created = NOW - timedelta(seconds=37 * number)
    description = " ".join(chance.choices(WORDS, k=6)) + (" unicorn" if number == FEW // 2 else "")
    known = instances.Instance(
        instance_id=f"order-{number}-workflow",
        name="approval_workflow" if number % 8 else "expenses_workflow",
        kind="order",
        subject=str(number),
        engine_status="RUNNING" if waits else "COMPLETED" if number % 8 else "FAILED",
        phase="waiting" if waits else END[number % 4],
        amount=Decimal(chance.randrange(500, 5000)),
        currency="USD",
        description=description,
        requester=f"person{number % 15}@example.com",
        rule="a manager within 3 days",
        request=state.request,
        state=state,
        waiting_on=(chance.choice(PRINCIPALS),) if waits else (),
        asked_at=created,
        deadline=created + timedelta(hours=1) if waits else None,
        cards=state.cards,
        created_at=created,
        updated_at=created + timedelta(seconds=5),
        decided_at=None if waits else created + timedelta(hours=1),
        finished_at=None if waits else created + timedelta(hours=1),
        ended_as=None if waits else END[number % 4],
    )
    return instances._columns(known, instances.Instance.model_fields)  # noqa: SLF001 the same columns as the app writes


async def fill(database: Database, count: int) -> None:
    await database.migrate()
    state, chance = example_state(), random.Random(7)
    for first in range(0, count, 1_000):
        made = [row(number, state, chance) for number in range(first, min(first + 1_000, count))]
        words = [
            {"word": word, "instance_id": each["instance_id"]}
            for each in made
            for word in search.words(each["instance_id"], each["subject"], each["requester"], each["description"])
        ]
        waiting = [
            {"principal": who, "created_at": each["created_at"], "instance_id": each["instance_id"]}
            for each in made
            for who in each["waiting_on"]
        ]
        async with database.write() as connection:
            await connection.execute(sa.insert(tables.instances), made)
            await connection.execute(sa.insert(tables.instance_words), words)
            await connection.execute(sa.insert(tables.waiting), waiting)
    async with database.write() as connection:
        await connection.exec_driver_sql("ANALYZE")


# ---- pages ----------------------------------------------------------------------------------------------------------

Filter = listing.Filter
PAGES: dict[str, tuple[Filter, listing.Sort]] = {
    "all": (Filter(), "created"),
    "status running": (Filter(status="RUNNING"), "created"),
    "status failed": (Filter(status="FAILED"), "created"),
    "phase waiting": (Filter(phase="waiting"), "created"),
    "name": (Filter(name="expenses_workflow"), "created"),
    "waiting on": (Filter(waiting_on="group:managers"), "created"),
    "mine": (Filter(requester="person7@example.com"), "created"),
    "older than": (Filter(older_than=NOW - timedelta(hours=2)), "created"),
    "newer than": (Filter(newer_than=NOW - timedelta(hours=2)), "created"),
    "search, rare": (Filter(q="unicorn"), "created"),
    "search, frequent": (Filter(q="printer"), "created"),
    "search, an id": (Filter(q="order-77-workflow"), "created"),
    "unfinished": (Filter(unfinished=True), "created"),
    "by deadline": (Filter(), "deadline"),
    "by waiting time": (Filter(), "since"),
    "by progress": (Filter(), "progress"),
    "overdue": (Filter(overdue_at=NOW), "deadline"),
    "stuck": (Filter(progress_before=NOW - timedelta(hours=2)), "progress"),
}


async def timed(database: Database, name: str, *, second: bool) -> tuple[float, float]:
    """Return how long a page took, and how much of that a processor worked: others use this machine as well."""
    wanted, sort = PAGES[name]
    cursor = None
    if second:
        async with database.read() as connection:
            cursor = (await listing.page(connection, wanted, sort=sort, limit=50)).cursor
    begun, worked = time.perf_counter(), time.process_time()
    async with database.read() as connection:
        await listing.page(connection, wanted, sort=sort, limit=50, cursor=cursor)
    return (time.perf_counter() - begun) * 1000, (time.process_time() - worked) * 1000


async def plans(database: Database) -> dict[str, str]:
    """Return each page's query plan: the statements as the app sends them, explained by SQLite."""
    found = {}
    for name, (wanted, sort) in PAGES.items():
        async with database.read() as connection:
            sent: list[tuple[str, Any]] = []
            engine = connection.engine.sync_engine

            def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any, sent: Any = sent) -> None:
                sent.append((statement, parameters))

            sa.event.listen(engine, "before_cursor_execute", note)
            await listing.page(connection, wanted, sort=sort, limit=50)
            sa.event.remove(engine, "before_cursor_execute", note)
            steps = [await _explained(connection, *each) for each in sent if each[0].startswith("SELECT")]
        found[name] = " | ".join(steps)
    return found


async def _explained(connection: Any, statement: str, parameters: Any) -> str:
    answer = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return "; ".join(str(each[-1]) for each in answer)


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


async def pages(folder: Path, many: int, rounds: int) -> dict[str, Any]:
    small, large = (Database.open(f"sqlite:///{folder / name}.db") for name in ("few", "many"))
    await fill(small, FEW)
    begun = time.perf_counter()
    await fill(large, many)
    print(f"{many:,} instances written in {time.perf_counter() - begun:.0f} s")
    explained = await plans(large)
    times: dict[str, Times] = {name: ([], []) for name in PAGES}
    gc.collect()
    gc.freeze()
    for number in range(rounds + 10):
        for name in PAGES:
            for side, database in enumerate((small, large)):
                took = await timed(database, name, second=number % 2 == 1)
                if number >= 10:
                    times[name][side].append(took)
    await small.close()
    await large.close()
    for name, found in times.items():
        wall, cpu = ratios(found, 0), ratios(found, 1)
        print(f"{name:18} p99 {wall[0]:5.2f}x (CPU {cpu[0]:5.2f}x), p50 {wall[1]:5.2f}x  {explained[name]}")
    return summary(times, explained) | {
        "instances": [FEW, many],
        "database_bytes_per_row": round(
            ((folder / "many.db").stat().st_size - (folder / "few.db").stat().st_size) / (many - FEW)
        ),
    }


Times = tuple[list[tuple[float, float]], list[tuple[float, float]]]


def ratios(found: Times, of: int) -> tuple[float, float]:
    """Return p99 and p50 at many over those at few; `of` is 0 for time, 1 for processor time."""
    few, more = ([each[of] for each in side] for side in found)
    return p99(more) / p99(few), statistics.median(more) / statistics.median(few)


def summary(times: dict[str, Times], explained: dict[str, str]) -> dict[str, Any]:
    every: Times = ([t for each in times.values() for t in each[0]], [t for each in times.values() for t in each[1]])
    return {
        "p99_ms": [round(p99([wall for wall, _ in side]), 2) for side in every],
        "p50_ms": [round(statistics.median([wall for wall, _ in side]), 2) for side in every],
        "ratio": round(ratios(every, 0)[0], 2),
        "ratio_cpu": round(ratios(every, 1)[0], 2),
        "ratio_by_filter": {name: round(ratios(each, 0)[0], 2) for name, each in times.items()},
        "ratio_cpu_by_filter": {name: round(ratios(each, 1)[0], 2) for name, each in times.items()},
        "filters_without_an_index": [name for name, text in explained.items() if not indexed(text)],
    }


def indexed(plan: str) -> bool:
    """Return whether every step of the plan that reads a table does so by an index."""
    steps = [step.strip() for part in plan.split("|") for step in part.split(";")]
    return all("INDEX" in step for step in steps if step.startswith(("SCAN", "SEARCH")))


# ---- waiting requests -----------------------------------------------------------------------------------------------


def slope(points: list[tuple[int, int]]) -> float:
    """Return the least squares slope: bytes for one more request."""
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def waiting(folder: Path, count: int, steps: int = 6) -> dict[str, Any]:
    """Leave requests waiting in a real app in its own process; measure after each step."""
    database: list[tuple[int, int]] = []
    memory: list[tuple[int, int]] = []
    with (
        serving.sidecar(folder) as sidecar,
        LocalSlack(manifest=ROOT / "manifest.yml") as slack,
        serving.serving(folder, slack, sidecar) as app,
    ):
        for there in range(0, count + 1, count // steps):
            serving.until(lambda there=there: app.http.get("/statistics").json()["waiting"] == there)
            time.sleep(1)
            if there:  # the first ones also warm the process up
                database.append((there, _stored(app.database)))
                memory.append((there, serving.resident(app.pid)))
            for order in range(there, there + count // steps):
                body = {"amount": 2400, "description": "chairs"}
                app.http.post(f"/orders/{order}/start", json=body).raise_for_status()
    return {
        "waiting": [count for count, _ in memory],
        "database_bytes_per_waiting": round(slope(database)),
        "memory_bytes_per_waiting": round(slope(memory)),
        "memory_bytes": [found for _, found in memory],
    }


def _stored(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob(path.name + "*") if not each.name.endswith("-shm"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--waiting", type=int, default=600)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(pages(Path(folder), wanted.many, wanted.rounds))
        found |= waiting(Path(folder), wanted.waiting)
    print(json.dumps({"benchmark": "list"} | found))


if __name__ == "__main__":
    main()
