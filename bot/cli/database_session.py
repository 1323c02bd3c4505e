"""Open the database for one command; report failures as messages. Knows no tables."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from approvals.signing import KeyRing
from bot.cli import output
from bot.process.settings import Settings
from records.addresses import missing_file
from records.database import Database
from records.errors import RecordsError

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]], *, make: bool = False) -> T:
    """Run the work on the open, migrated database; ends with a message if the database cannot be used.

    Only with `make` is a database made that is not there: one made by a command that reads, in a wrong folder, would be
    empty and so look whole.
    """
    try:
        return asyncio.run(_opened(settings.database_url, work, make=make))
    except RecordsError as error:
        output.fail(str(error), output.UNREACHABLE)


def demand_database(settings: Settings) -> None:
    """End with a message that says where it looked, if the database of the settings is not there."""
    if missing := missing_file_of(settings):
        output.fail(absence(missing), output.NOT_FOUND)


def missing_file_of(settings: Settings) -> Path | None:
    """Return the database's path if it is a file that is not there; ends with a message for an unusable URL."""
    try:
        return missing_file(settings.database_url)
    except RecordsError as error:
        output.fail(str(error), output.UNREACHABLE)


def absence(missing: Path) -> str:
    """Return what to say of a database that is not there."""
    return (
        f"There is no database at {missing}, so nothing was read or made. `countersign run` makes it; if it is "
        "elsewhere, set COUNTERSIGN_DATABASE_URL, or go to the folder whose .env names it."
    )


async def _opened(url: str, work: Callable[[Database], Awaitable[T]], *, make: bool) -> T:
    if not make and (missing := missing_file(url)):
        output.fail(absence(missing), output.NOT_FOUND)
    database = Database.open(url)
    try:
        if not make and await database.revision() is None:
            output.fail(
                "The database is empty: it is not Countersign's yet. `countersign run` prepares it; nothing was read.",
                output.NOT_FOUND,
            )
        await database.migrate()
        return await work(database)
    finally:
        await database.close()


def key_ring_or_exit(settings: Settings) -> KeyRing:
    """Return the keys of COUNTERSIGN_SECRET_KEY, or end with a message that shows no part of it."""
    try:
        return settings.keys
    except ValueError as error:
        output.fail(str(error), output.MISUSED)


def operator() -> str:
    """Return the audit's name for a local user: the machine's user name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli:unknown"  # a container may run under a number that has no name
