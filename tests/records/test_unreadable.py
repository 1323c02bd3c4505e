"""One damaged row is set aside and named; the rows beside it are read as if it were not there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from records import damage, instances, intake, listing, reconciling, tables
from records.database import Database
from records.errors import UnreadableRowError
from records.unreadable import BadRow, BadRows

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)


async def filled(database: Database, count: int = 3) -> None:
    async with database.write() as connection:
        for number in range(count):
            known = instances.Known(instance_id=f"i{number}", name="approval_workflow", engine_status="RUNNING")
            await instances.insert(connection, known, NOW + timedelta(seconds=number))
            submission = intake.Submission(
                id=f"d{number}", instance_id=f"i{number}", payload={"a": 1}, person="T/U", through="rest"
            )
            await intake.submit(connection, submission, NOW)


async def break_(database: Database, statement: str) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    "change", ["state='{'", "engine_status='BANANA'", "cards='[1]'", "created_at=9223372036854775807", "phase='?'"]
)
async def test_a_list_leaves_a_damaged_instance_out_and_gives_the_others(database: Database, change: str) -> None:
    await filled(database)
    await break_(database, f"UPDATE instances SET {change} WHERE instance_id='i1'")  # noqa: S608 our own words
    async with database.read() as connection:
        page = await listing.page(connection)
        known = {row.instance_id for row in await listing.unfinished(connection)}
    assert {"i0", "i2"} <= {line.instance_id for line in page.lines}
    assert known == {"i0", "i2"}
    assert database.bad_rows.by_table() == {"instances": 1}


async def test_pages_go_on_past_damaged_rows(database: Database) -> None:
    await filled(database, 9)
    await break_(database, "UPDATE instances SET cards='[1]' WHERE instance_id IN ('i3', 'i4', 'i7')")
    seen, cursor = [], None
    for _ in range(9):
        async with database.read() as connection:
            page = await listing.page(connection, cursor=cursor, limit=2)
        seen += [line.instance_id for line in page.lines]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == ["i0", "i1", "i2", "i5", "i6", "i8"]


@pytest.mark.parametrize("change", ["payload='{'", "payload='[]'", "state='lost'", "created_at=9223372036854775807"])
async def test_a_damaged_decision_is_claimed_with_the_others_and_left_out(database: Database, change: str) -> None:
    await filled(database)
    await break_(database, f"UPDATE intake SET {change} WHERE id='d1'")  # noqa: S608 our own words
    async with database.write() as connection:
        first = await intake.due(connection, NOW, 50, LEASE)
        second = await intake.due(connection, NOW, 50, LEASE)
        age = await intake.oldest_undelivered(connection, NOW)
    assert [row.id for row in first] == ["d0", "d2"]
    assert not second
    assert age == timedelta(0)


async def test_fifty_damaged_decisions_do_not_stand_in_the_way_of_a_good_one(database: Database) -> None:
    await filled(database, 60)
    await break_(database, "UPDATE intake SET payload='{' WHERE id != 'd59'")
    found: list[str] = []
    for _ in range(3):
        async with database.write() as connection:
            found += [row.id for row in await intake.due(connection, NOW, 50, LEASE)]
    assert found == ["d59"]


async def test_the_row_that_is_asked_for_is_refused_by_its_name(database: Database) -> None:
    await filled(database)
    await break_(database, "UPDATE instances SET state='{' WHERE instance_id='i1'")
    async with database.read() as connection:
        with pytest.raises(UnreadableRowError, match=r"'i1'.*doctor"):
            await instances.get(connection, "i1")
        assert await instances.get(connection, "i2")


async def test_the_ends_of_the_news_are_found_behind_damaged_moments(database: Database) -> None:
    await filled(database)
    await break_(database, "UPDATE instances SET updated_at=9223372036854775807 WHERE instance_id='i1'")
    async with database.read() as connection:
        _, moment = await reconciling.newest(connection)
        moved = await reconciling.moved(connection, NOW, limit=10)
    assert moment == NOW + timedelta(seconds=2)
    assert {row.instance_id for row in moved} == {"i0", "i2"}


async def test_each_damaged_row_of_each_table_is_found_and_named(database: Database) -> None:
    await filled(database)
    assert [bad async for bad in damage.find(database)] == []
    await break_(database, "UPDATE instances SET state='{' WHERE instance_id='i1'")
    await break_(database, "UPDATE intake SET payload='[]' WHERE id='d2'")
    found = [bad async for bad in damage.find(database)]
    assert [(bad.table, bad.key) for bad in found] == [("instances", "i1"), ("intake", "d2")]


async def test_a_text_that_is_no_utf_8_spoils_its_own_row_alone(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    await database.migrate()
    await filled(database)
    await break_(database, "UPDATE instances SET requester=CAST(x'fffe41' AS TEXT) WHERE instance_id='i1'")
    async with database.read() as connection:
        page = await listing.page(connection)
    async with database.write() as connection:
        assert len(await listing.unfinished(connection)) == 2
    assert [line.instance_id for line in page.lines] == ["i2", "i0"]
    await database.close()


def test_every_table_with_rows_of_ours_is_looked_at() -> None:
    # An index, whose content stands in `instances`; the oldest release that may write, read before anything else.
    unread = {"instance_words", "schema_floor"}
    assert {table.name for table, _ in damage.KINDS} == set(tables.metadata.tables) - unread


def test_what_was_met_is_bounded() -> None:
    met = BadRows()
    for number in range(2_000):
        met.add(BadRow("intake", str(number), "broken"))
    assert met.by_table() == {"intake": 1_000}
