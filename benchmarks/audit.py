"""How fast the audit is: entries verified a second (file and database) and what one click's write transaction costs.

    .venv/bin/python benchmarks/audit.py [--entries 100000] [--clicks 2000]

The last line is JSON. The figures per CPU second stay the same while others use the machine. `commit_ms` is a bare
SQLite transaction of as many bytes on the same disk, for comparison.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from records import audit, chain, intake
from records.audit import Entry
from records.audit_export import export
from records.database import Database

DETAILS = {"evidence": {"groups": ["S0MANAGERS"], "looked_up_at": "2025-03-01T12:00:00Z"}, "stage": 0, "round": 0}


def entry(number: int) -> Entry:
    return Entry(
        at=datetime.now(UTC),
        actor=f"T024BE7LD/U{number % 50:08}",
        action="accepted",
        instance_id=f"order-{number}-workflow",
        request_digest=f"{number:064x}",
        through="slack",
        verdict="allowed",
        reason="The old printer is broken and the offer ends on Friday.",
        policy_version="0123456789ab",
        correlation_id=f"{number:032x}",
        data=DETAILS,
    )


def submission(number: int) -> intake.Submission:
    payload = {"decision": DETAILS | {"digest": f"{number:064x}", "nonce": f"{number:032x}"}, "mac": f"{number:064x}"}
    return intake.Submission(
        id=f"{number:032x}", instance_id=f"order-{number}-workflow", payload=payload, person="T/U", through="slack"
    )


async def fill(database: Database, count: int) -> float:
    begun = time.perf_counter()
    for first in range(0, count, 500):
        async with database.write() as connection:
            for number in range(first, min(first + 500, count)):
                await audit.append(connection, entry(number))
    return count / (time.perf_counter() - begun)


async def click(database: Database, number: int) -> float:
    begun = time.perf_counter()
    async with database.write() as connection:
        await intake.submit(connection, submission(number), datetime.now(UTC))
        await audit.append(connection, entry(number))
    return (time.perf_counter() - begun) * 1000


def bare(raw: sqlite3.Connection, number: int) -> float:
    begun = time.perf_counter()
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("INSERT INTO bare VALUES (?, ?)", (number, "x" * 1500))
    raw.execute("COMMIT")
    return (time.perf_counter() - begun) * 1000


async def clicks(database: Database, count: int) -> tuple[list[float], list[float]]:
    """Measure interleaved, so that a busy machine is unfair to both."""
    raw = sqlite3.connect(f"{database.where}.bare", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, text)")
    pairs = [(await click(database, number), bare(raw, number)) for number in range(count)]
    raw.close()
    return sorted(ours for ours, _ in pairs), sorted(theirs for _, theirs in pairs)


async def measure(folder: Path, entries: int, count: int) -> dict[str, float]:
    database = Database.open(f"sqlite:///{folder}/records.db")
    await database.migrate()
    appended = await fill(database, entries)
    begun, worked = time.perf_counter(), time.process_time()
    assert (await audit.verify(database)).entries == entries  # noqa: S101 a figure of something else would be no figure
    stored, stored_cpu = entries / (time.perf_counter() - begun), entries / (time.process_time() - worked)
    lines = [line.rstrip("\n") async for line in export(database)]
    begun, worked = time.perf_counter(), time.process_time()
    assert chain.verify(lines).entries == entries  # noqa: S101 same
    exported, exported_cpu = entries / (time.perf_counter() - begun), entries / (time.process_time() - worked)
    ours, theirs = await clicks(database, count)
    begun = time.perf_counter()
    await asyncio.gather(*(click(database, count + number) for number in range(count)))
    together = count / (time.perf_counter() - begun)
    await database.close()
    return {
        "entries": entries,
        "verified_file_per_s": round(exported),
        "verified_database_per_s": round(stored),
        "verified_file_per_cpu_s": round(exported_cpu),
        "verified_database_per_cpu_s": round(stored_cpu),
        "appended_per_s": round(appended),
        "click_ms_p50": round(statistics.median(ours), 3),
        "click_ms_p99": round(ours[int(count * 0.99)], 3),
        "commit_ms_p50": round(statistics.median(theirs), 3),
        "commit_ms_p99": round(theirs[int(count * 0.99)], 3),
        "clicks_at_once_per_s": round(together),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--clicks", type=int, default=2_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-audit-") as folder:
        figures = asyncio.run(measure(Path(folder), wanted.entries, wanted.clicks))
    for name, value in figures.items():
        print(f"{name:28} {value:>12,}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
