"""The local commands' way to the database: opened for one piece of work, every failure a sentence. Knows no tables."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TypeVar

from approvals.signing import KeyRing
from bot.cli import output
from bot.process.settings import Settings
from records.database import Database
from records.errors import RecordsError

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run the work on the open, migrated database. Ends with a sentence where the database cannot be used."""
    try:
        return asyncio.run(_opened(settings.database_url, work))
    except RecordsError as error:
        output.fail(str(error), output.UNREACHABLE)


async def _opened(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    database = Database.open(url)
    try:
        await database.migrate()
        return await work(database)
    finally:
        await database.close()


def key_ring_or_exit(settings: Settings) -> KeyRing:
    """Return the keys of COUNTERSIGN_SECRET_KEY, or end with a sentence that shows no part of it."""
    try:
        return settings.keys
    except ValueError as error:
        output.fail(str(error), output.MISUSED)


def operator() -> str:
    """Return how the audit names whoever works at this machine: by the name that the machine knows them by."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli:unknown"  # a container may run under a number that has no name
