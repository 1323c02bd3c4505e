"""Slack's limits shared by all processes through the database: one may be told to wait, and all of them have to.

Only a hint: without the database each process keeps to what Slack has told it.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from activities.slack.queue import CALM_S, MARGIN_S
from records import slack_pace
from records.database import Database
from records.errors import RecordsError

log = structlog.get_logger(__name__)

FRESH_S: Final = 1.0
"""Maximum age of the cached pace, in seconds."""

CALM: Final = timedelta(seconds=CALM_S)


class SharedPace:
    """The pace that Slack has asked of any process. All waits in seconds."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._read_at = float("-inf")
        self._known: dict[str, datetime] = {}

    async def stop(self, key: str, seconds: float) -> None:
        """Tell the other processes that this queue stops."""
        now = self._clock()
        until = now + timedelta(seconds=seconds)
        self._known[key] = max(until, self._known.get(key, until))
        try:
            async with self._database.write() as connection:
                await slack_pace.hold(connection, key, until)
                await slack_pace.forget(connection, now - 2 * CALM)
        except RecordsError as error:
            log.info("other processes do not hear of Slack's limit", why=str(error))

    async def wait(self, key: str, spacing: float, ahead: float = 0.0) -> float | None:
        """Return the seconds until this queue's next call; None for one that Slack has told nobody to slow down.

        With a `spacing` (seconds between two posts) the moment is taken, not before `ahead` seconds have passed: the
        next one's is later.
        """
        await self._refresh()
        now, until = self._clock(), self._known.get(key)
        if until is None or until + CALM < now:
            return None
        if not spacing:
            return max(0.0, (until - now).total_seconds())
        try:
            async with self._database.write() as connection:
                mine = await slack_pace.take_slot(
                    connection, key, now + timedelta(seconds=ahead), timedelta(seconds=spacing + MARGIN_S)
                )
        except RecordsError:
            return max(0.0, (until - now).total_seconds())
        self._known[key] = max(until, mine)  # while there is a queue it stays at this pace
        return max(0.0, (max(mine, until) - now).total_seconds())

    async def _refresh(self) -> None:
        if time.monotonic() - self._read_at < FRESH_S:
            return
        self._read_at = time.monotonic()
        try:
            async with self._database.read() as connection:
                found = await slack_pace.held(connection, self._clock() - CALM)
        except RecordsError:
            return
        self._known |= {each.key: max(each.not_before, self._known.get(each.key, each.not_before)) for each in found}
