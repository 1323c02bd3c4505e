"""What ended long ago is forgotten: with one entry for all of it, and nothing that was decided is lost."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from approvals.signing import parse_key_ring
from bot.control.reading.overview import forgotten
from bot.control.reconciling.reconciler import Reconciler
from bot.control.reconciling.retention import Retention
from records import audit, instances, tables
from records.database import Database
from tests.fake_engine import FakeEngine
from tests.migrated import migrated

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEEP = timedelta(days=30)
CANARY = "canary: a new laptop for Nora"


class House:
    """A database, an engine and the two loops that forget."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.engine = FakeEngine()
        engine: Any = self.engine
        self.retention = Retention(database, engine, lambda: NOW, KEEP)
        keys, card_repair = parse_key_ring("k" * 40), None
        self.reconciler = Reconciler(
            database=database,
            engine=engine,
            card_repair=card_repair,  # type: ignore[arg-type]  # no card lags here
            keys=keys,
            clock=lambda: NOW,
            engine_keeps=KEEP,
        )

    async def ended(self, name: str, ago: timedelta, *, at_the_engine: bool = True) -> None:
        """Put a request there that ended some time ago."""
        if at_the_engine:
            self.engine.put(name, "COMPLETED")
        known = instances.Known(instance_id=name, name="approval_workflow", description=CANARY, engine_status="RUNNING")
        async with self.database.write() as connection:
            await instances.insert(connection, known, NOW - ago)
            changes = instances.Changes(engine_status="COMPLETED", phase="approved")
            await instances.project(connection, name, changes, NOW - ago)

    async def rows(self, query: sa.Select[Any]) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(query)).all())

    async def phases(self) -> dict[str, str]:
        return dict(await self.rows(sa.select(tables.instances.c.instance_id, tables.instances.c.phase)))

    async def actions(self) -> list[str]:
        return [row[0] for row in await self.rows(sa.select(tables.audit.c.action).order_by(tables.audit.c.seq))]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = Database.open(await migrated(tmp_path / "records.db"))
    yield House(database)
    await database.close()


async def test_a_sweep_forgets_what_is_older_with_one_entry_for_all_of_it(house: House) -> None:
    for number in range(60):
        await house.ended(f"old-{number:02}", KEEP + timedelta(minutes=1), at_the_engine=number % 2 == 0)
    await house.ended("young", KEEP - timedelta(minutes=1))
    assert await house.retention.sweep() == 60
    assert await house.retention.sweep() == 0
    phases = await house.phases()
    assert phases.pop("young") == "approved"
    assert set(phases.values()) == {"purged"}
    assert set(house.engine.instances) == {"young"}
    assert await house.actions() == ["retention.swept"]
    ((data,),) = await house.rows(sa.select(tables.audit.c.data))
    assert data == {"ended_before": (NOW - KEEP).isoformat(), "requests": 60}
    rows = await house.rows(sa.select(tables.instances))
    assert [row.instance_id for row in rows if CANARY in str(row)] == ["young"]
    assert (await audit.verify(house.database)).ok


async def test_an_end_and_what_counts_stay_readable(house: House) -> None:
    await house.ended("old", KEEP * 2)
    await house.retention.sweep()
    async with house.database.read() as connection:
        row = await instances.get(connection, "old")
    assert row is not None
    assert (row.phase, row.ended_as, row.finished_at) == ("purged", "approved", NOW - KEEP * 2)
    (event,) = forgotten(row, ())
    assert (event.at, event.what) == (NOW, "forgotten")
    assert forgotten(row.model_copy(update={"phase": "approved"}), ()) == []


async def test_what_people_were_told_is_forgotten_with_it(house: House) -> None:
    await house.ended("old", KEEP * 2)
    one = {
        "id": "n", "instance_id": "old", "kind": "thread", "content": {"text": CANARY}, "urgency": 1, "attempts": 1,
        "created_at": NOW, "over_at": NOW, "result": "sent",
    }  # fmt: skip
    async with house.database.write() as connection:
        await connection.execute(sa.insert(tables.notifications).values(one))
    await house.retention.sweep()
    assert await house.rows(sa.select(tables.notifications)) == []


async def test_what_runs_again_and_a_card_that_lags_are_kept(house: House) -> None:
    await house.ended("again", KEEP * 2)
    house.engine.put("again", "RUNNING")
    await house.ended("lags", KEEP * 2)
    async with house.database.write() as connection:
        await instances.project(connection, "lags", instances.Changes(wanted="approved"), NOW, progress=False)
    await house.retention.sweep()
    assert await house.phases() == {"again": "approved", "lags": "approved"}


async def test_what_the_engine_s_own_policy_forgot_is_neither_noted_nor_forgotten_here(house: House) -> None:
    house.engine.put("there", "COMPLETED")
    await house.ended("by policy", KEEP + timedelta(days=1), at_the_engine=False)
    await house.ended("by hand", timedelta(days=1), at_the_engine=False)
    await house.reconciler.sweep()
    assert {name: phase for name, phase in (await house.phases()).items() if name.startswith("by")} == {
        "by policy": "approved",
        "by hand": "purged",
    }
    assert await house.actions() == ["workflow.found_purged"]
