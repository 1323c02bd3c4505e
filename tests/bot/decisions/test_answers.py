"""Waiting for answers that another process records."""

from pathlib import Path

from bot.decisions.answers import Answers
from records.database import Database
from tests.migrated import migrated


async def test_the_next_look_follows_at_once_since_a_look_itself_waits(tmp_path: Path) -> None:
    # A pause after it would be deaf: an answer that is told of meanwhile would wait for its end.
    database = Database.open(await migrated(tmp_path / "answers.db"))
    assert await Answers(database).loop.once() == 0.0
    await database.close()
