"""A database server that starts later than the app."""

import time
from typing import Any, cast

import pytest

from bot.app import waited_for
from records.errors import DatabaseUnavailableError


class Later:
    """A database that is away for the first calls."""

    def __init__(self, dialect: str, away: int) -> None:
        self.dialect = dialect
        self.away = away
        self.calls = 0

    async def migrate(self) -> str:
        self.calls += 1
        if self.calls <= self.away:
            raise DatabaseUnavailableError("The database cannot be reached.")
        return "r1"


async def test_a_start_waits_for_a_server_that_comes() -> None:
    database = Later("postgresql", away=1)
    await waited_for(cast("Any", database), database.migrate, 60.0)
    assert database.calls == 2


@pytest.mark.parametrize(("dialect", "patience_s"), [("sqlite", 60.0), ("postgresql", 0.1)])
async def test_a_file_that_is_not_there_and_a_server_that_does_not_come_end_the_start(
    dialect: str, patience_s: float
) -> None:
    began = time.monotonic()
    later = Later(dialect, away=99)
    with pytest.raises(DatabaseUnavailableError):
        await waited_for(cast("Any", later), later.migrate, patience_s)
    assert time.monotonic() - began < 1
