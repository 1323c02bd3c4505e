"""A database that is older than its signed checkpoints, one case at a time, on an SQLite file."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.control.reconciling.checkpoints import Checkpointing
from bot.control.reconciling.restoring import EffectsHeldError, Restoration
from records import audit, checkpoints, notifications
from records.checkpoints import Signer
from records.database import Database
from tests.migrated import migrated

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SIGNER = Signer.from_seed(b"s" * 32)
OTHER = Signer.from_seed(b"o" * 32)


class House:
    """A database with its folder of checkpoints."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.restoration = Restoration(database, folder, [SIGNER.public_key], lambda: NOW)

    async def write(self, *actions: str, at: datetime = NOW) -> None:
        async with self.database.write() as connection:
            for action in actions:
                await audit.append(connection, audit.Entry(at=at, actor="system", action=action))

    async def sign(self) -> None:
        async with self.database.write() as connection:
            taken = await checkpoints.take(connection, SIGNER, NOW)
        assert taken is not None
        checkpoints.write(taken, self.folder)

    def signed(self, seq: int, digest: str, signer: Signer = SIGNER) -> None:
        checkpoints.write(signer.sign(seq, digest, NOW), self.folder)

    async def alarms(self) -> int:
        async with self.database.read() as connection:
            return len(await notifications.due(connection, NOW, timedelta(hours=1), 10))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = Database.open(await migrated(tmp_path / "a.db"))
    yield House(database, tmp_path / "checkpoints")
    await database.close()


async def test_a_database_that_agrees_with_its_checkpoints_holds_nothing(house: House) -> None:
    assert await house.restoration.look() is None
    await house.write("one", "two")
    await house.sign()
    await house.write("three")
    assert await house.restoration.look() is None
    assert (house.restoration.held, house.restoration.message, await house.alarms()) == (False, "ok", 0)
    await house.restoration.passed()


@pytest.mark.parametrize("entries", [0, 1, 2, 5], ids=["empty", "one", "as many, others", "more, others"])
async def test_a_database_without_the_signed_entry_is_told_once_and_holds_effects(house: House, entries: int) -> None:
    house.signed(2, "f" * 64)
    await house.write(*["other"] * entries)
    for _ in range(3):
        lost = await house.restoration.look()
        assert lost is not None
        assert lost.checkpoint.seq == 2
    assert (house.restoration.held, await house.alarms()) == (True, 1)
    house.restoration.stop()
    with pytest.raises(asyncio.CancelledError):
        await house.restoration.passed()


async def test_what_is_acknowledged_is_audited_set_aside_and_held_no_longer(house: House) -> None:
    await house.write("one")
    await house.sign()
    for seq in (2, 3):
        house.signed(seq, "f" * 64)
    moved = await house.restoration.acknowledge("cli:ann")
    assert [path.name[:23] for path in moved] == ["checkpoint-000000000003", "checkpoint-000000000002"]
    assert all(path.exists() for path in moved)
    async with house.database.read() as connection:
        newest = await audit.head(connection)
    assert newest is not None
    assert (newest.action, newest.actor, newest.data["ended_at"]) == ("doctor.restore_acknowledged", "cli:ann", 1)
    assert await house.restoration.look() is None
    await house.restoration.passed()
    assert await house.restoration.acknowledge("cli:ann") == ()
    assert await house.alarms() == 1


async def test_an_app_that_looks_while_lost_checkpoints_are_set_aside_tells_the_restore_once(house: House) -> None:
    # Each older checkpoint that came to light was told as another restore.
    for seq in (2, 3, 4):
        house.signed(seq, "f" * 64)
    app = Restoration(house.database, house.folder, [SIGNER.public_key], lambda: NOW)
    while (lost := await app.look()) is not None:
        checkpoints.set_aside(checkpoints.path_of(lost.checkpoint, house.folder), house.folder / "lost")
    assert await house.alarms() == 1


async def test_a_checkpoint_that_nobody_trusted_has_signed_holds_nothing_up(house: House) -> None:
    await house.write("one")
    await house.sign()
    house.signed(999, "f" * 64, OTHER)
    (house.folder / "checkpoint-999999999999-x.json").write_text("{")
    assert await house.restoration.look() is None


async def test_a_folder_that_cannot_be_read_holds_effects_until_it_can(house: House) -> None:
    house.folder.write_text("a file")
    assert await house.restoration.look() is None
    assert (house.restoration.held, "cannot be read" in house.restoration.message) == (True, True)
    house.folder.unlink()
    await house.restoration.look()
    assert not house.restoration.held
    house.folder.write_text("a disk that is away later takes no effect away")
    await house.restoration.look()
    assert not house.restoration.held


async def test_an_effect_that_waits_for_long_is_tried_again(house: House) -> None:
    restoration = Restoration(house.database, house.folder, [SIGNER.public_key], lambda: NOW, patience_s=0.0)
    house.signed(2, "f" * 64)
    await restoration.look()
    with pytest.raises(EffectsHeldError, match="doctor"):
        await restoration.passed()


async def test_missing_checkpoints_are_told_once_before_the_next_one_covers_what_was_done(house: House) -> None:
    checkpointing = Checkpointing(
        house.database, lambda: SIGNER, house.folder, lambda: NOW, 3600, restoration=house.restoration
    )
    for hours in range(8, 0, -1):
        await house.write("worked", at=NOW - timedelta(hours=hours))
    async with house.database.write() as connection:  # signed by nobody whom the app trusts
        await checkpoints.take(connection, OTHER, NOW)
    for _ in range(2):
        await checkpointing.loop.once()
    async with house.database.read() as connection:
        entries = await audit.page(connection, audit.EntryFilter(action="audit.unsigned"))
    assert [each.data for each in entries] == [{"signed": 0}]
    assert await house.alarms() == 1


async def test_a_file_of_another_history_is_never_written_over(house: House) -> None:
    house.signed(1, "f" * 64)
    await house.write("one")
    with pytest.raises(FileExistsError):
        await house.sign()
