"""The local commands' way to the database: opened for one piece of work, every failure a sentence. Knows no tables."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from approvals.durations import parse_duration
from approvals.signing import KeyRing
from approvals.values import in_utc
from bot.cli import output
from bot.settings import Settings
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


def moment(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return the moment that a date or a duration, before now or `ahead` of it, means. Ends with a sentence."""
    written = text.strip()
    try:
        return in_utc(datetime.fromisoformat(written))
    except (ValueError, OverflowError):
        pass
    try:
        distance = parse_duration(written)
    except ValueError:
        output.fail(
            f"{written[:60]!r} is neither a duration such as '2h' or '90d' nor a date such as '2026-01-31'.",
            output.MISUSED,
        )
    return now + (distance if ahead else -distance)


def age(moment_: datetime, now: datetime) -> str:
    """Return how long ago a moment was, the way `dapr workflow list` writes it: 12s, 5m, 3h, 2d."""
    passed = max(now - moment_, timedelta())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if passed >= timedelta(seconds=unit):
            return f"{int(passed.total_seconds()) // unit}{name}"
    return f"{int(passed.total_seconds())}s"
