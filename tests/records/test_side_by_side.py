"""Three processes that write at the same time: what one of them may have, no other gets, and the audit has one end."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from records import audit, instances, intake, notifications, policies
from records.database import Database

WRITER = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from records import audit, instances, intake, leases, ledger, notifications, policies, sent, slack_pace
from records.audit import Entry
from records.database import Database

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

async def main(url: str, me: str) -> None:
    database = Database.open(url)
    names = ("ledger", "sent", "reserved", "claimed", "slots", "policy", "lease", "ended")
    mine = {name: [] for name in names}

    async def one(number: int) -> None:
        row = ledger.LedgerRow(
            idempotency_key=f"k{number}", order_id="o", amount=None, currency="USD", instance_id="i", digest="d", at=NOW
        )
        entry = Entry(at=NOW, actor=me, action=str(number))
        async with database.write() as connection:
            if (await ledger.process(connection, row))[1]:
                mine["ledger"].append(number)
                await audit.append(connection, entry)
        async with database.write() as connection:
            found = await instances.locked(connection, f"i{number}")
            if found.phase == "waiting":
                await asyncio.sleep(0.001)
                await instances.project(connection, f"i{number}", instances.Changes(phase="approved"), NOW)
                mine["ended"].append(number)
        async with database.write() as connection:
            if await sent.note(connection, f"s{number}", NOW):
                mine["sent"].append(number)
                await audit.append(connection, entry)
        async with database.write() as connection:
            if await notifications.reserve(connection, f"n{number}", me, NOW, HOUR, 2 * HOUR):
                mine["reserved"].append(number)
        async with database.write() as connection:
            mine["claimed"] += [each.id for each in await intake.due(connection, NOW, 2, HOUR)]
        async with database.write() as connection:
            at = await slack_pace.take_slot(connection, "post", NOW, timedelta(seconds=1))
            mine["slots"].append(at.isoformat())
        async with database.write() as connection:
            changed, _ = await policies.record_seen(connection, "v1", "text", NOW)
            mine["policy"] += [1] * changed
        async with database.write() as connection:
            mine["lease"] += [1] * await leases.take(connection, "name", me, NOW, HOUR)

    await asyncio.gather(*(one(number) for number in range(30)))
    await database.close()
    print(json.dumps(mine))

asyncio.run(main(*sys.argv[1:]))
"""
NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
COUNT = 30


async def prepared(database: Database) -> None:
    async with database.write() as connection:
        for number in range(COUNT):
            known = instances.Known(instance_id=f"i{number}", name="approval_workflow", phase="waiting")
            await instances.insert(connection, known, NOW)
            told = notifications.Notification(id=f"n{number}", instance_id="i", kind="thread")
            await notifications.enqueue(connection, [told], NOW)
            taken = intake.Submission(id=f"d{number}", instance_id="i", payload={}, person="p", through="rest")
            await intake.submit(connection, taken, NOW - timedelta(seconds=1))


@pytest.mark.slow
async def test_what_one_process_may_have_no_other_gets(database: Database, place: str) -> None:
    await compete(database, place)


async def compete(database: Database, place: str) -> None:
    """Let three processes write by the URL `place`, and look what each got."""
    await prepared(database)

    def run(name: str) -> dict[str, list[object]]:
        command = [sys.executable, "-c", WRITER, place, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        found: dict[str, list[object]] = json.loads(done.stdout)
        return found

    three = await asyncio.gather(*(asyncio.to_thread(run, name) for name in ("one", "two", "three")))
    together = {name: [each for found in three for each in found[name]] for name in three[0]}
    once = list(range(COUNT))
    assert {name: sorted(together[name]) for name in ("ledger", "sent", "reserved", "ended")} == dict.fromkeys(
        ("ledger", "sent", "reserved", "ended"), once
    )
    assert sorted(together["claimed"]) == sorted(f"d{number}" for number in once)
    assert len(set(together["slots"])) == 3 * COUNT
    assert len(together["policy"]) == 1
    assert [len(found["lease"]) for found in three].count(0) == 2
    checked = await audit.verify(database)
    assert (checked.ok, checked.entries) == (True, 2 * COUNT)
    async with database.read() as connection:
        assert await policies.versions(connection) == ("v1",)
