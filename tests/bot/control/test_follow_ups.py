"""One request's row, as the follow-ups of clicks read it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bot.control.reading.overview import Overview
from records.database import READERS, Database
from tests.migrated import migrated


async def test_a_thousand_follow_ups_at_once_read_while_every_reader_is_taken(tmp_path: Path) -> None:
    database = Database.open(await migrated(tmp_path / "records.db"), busy_ms=100)
    unused: Any = None
    parts = dict.fromkeys(("engine", "access", "subjects", "directory", "facts", "stand_ins", "clock"), unused)
    overview = Overview(database=database, **parts)
    async with AsyncExitStack() as readers:
        for _ in range(READERS):
            await readers.enter_async_context(database.read())
        found = await asyncio.gather(*(overview.row(f"order-{number}-workflow") for number in range(1_000)))
    assert found == [None] * 1_000
    await database.close()
