"""The figures of the database that /metrics shows: what waits, lags or failed now, and totals over all time."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from approvals.values import Value
from records import alarms, intake, notifications, statistics
from records.columns import EPOCH
from records.database import Database

TOTALS_CACHED_S = 15.0
"""All-time totals walk an index, and a scraper asks often."""

UNPOSTED_AFTER = timedelta(minutes=1)
STALE_AFTER = timedelta(seconds=30)
MOST_UNTOLD = 1_000


class Figures(Value):
    """The figures of one scrape. Ages in seconds; `oldest` is 0 while nothing is undelivered."""

    database_up: bool = False
    oldest: float = 0.0
    undelivered: int = 0
    unposted: int = 0
    stale: int = 0
    untold: int = 0
    waiting: int = 0
    failed: int = 0


class GatheredFigures:
    """Reads the figures of a scrape, and keeps the totals."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._counted_at = float("-inf")
        self.outcomes: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.forged: dict[str, int] = {}

    @property
    def unreadable(self) -> Mapping[str, int]:
        """Rows that were set aside lately, by table."""
        return self._database.bad_rows.by_table()

    async def now(self) -> Figures:
        """Return the figures of this moment. Raises: RecordsError."""
        now = self._clock()
        async with self._database.read() as connection:
            age = await intake.oldest_undelivered(connection, now)
            return Figures(
                database_up=True,
                oldest=max(0.0, age.total_seconds()) if age else 0.0,
                undelivered=await intake.undelivered(connection),
                unposted=await alarms.unposted(connection, now - UNPOSTED_AFTER),
                stale=await alarms.stale(connection, now - STALE_AFTER),
                untold=len(await notifications.late(connection, now - STALE_AFTER, MOST_UNTOLD)),
                waiting=await alarms.waiting(connection),
                failed=await alarms.failed(connection),
            )

    async def count(self) -> None:
        """Count the totals again, unless that was done just now. Raises: RecordsError."""
        if time.monotonic() - self._counted_at < TOTALS_CACHED_S:
            return
        until = self._clock() + timedelta(days=1)
        async with self._database.read() as connection:
            self.outcomes = await statistics.by_outcome(connection, EPOCH, until)
            self.refusals = await statistics.refusals(connection, EPOCH, until)
            self.forged = await alarms.forged(connection)
        self._counted_at = time.monotonic()
