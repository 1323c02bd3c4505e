"""Rewrite cards that lag: Slack was away, the app was killed, or the workflow was ended outside the app.

The row decides what a card shows. A card that Slack keeps refusing is retried ever less often, but never dropped.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import structlog

from activities.slack.announcing import Announcer
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError
from activities.slack.pausing import paused_by
from activities.slack.rendering import card_view, ending_of
from activities.telling import PAUSED, STOPPED, owed_by
from records import instances, notifications, reconciling
from records.database import Database
from records.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)

SETTLED = timedelta(seconds=15)
"""The notifier rewrites cards at once; a card that lags for longer is repaired here."""

LONGEST_REPAIR_PAUSE = timedelta(minutes=10)


class CardRepair:
    """Rewrites cards, one at a time for each request. Showing the same twice is harmless."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        directory: Directory,
        clock: Callable[[], datetime],
        settled: timedelta = SETTLED,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._directory = directory
        self._clock = clock
        self._settled = settled
        self._refused: dict[str, tuple[datetime, timedelta]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def repair(self) -> int:
        """Rewrite the cards that lag behind; returns how many are true now."""
        now = self._clock()
        async with self._database.read() as connection:
            rows = await reconciling.stale(connection, now, self._settled)
        return sum([await self._show(row) for row in rows if not self._waits(row.instance_id, now)])

    def _waits(self, instance_id: str, now: datetime) -> bool:
        """Whether a card's pause goes on. One that began in the future is over: the clock went back."""
        refused_at, pause = self._refused.get(instance_id, (now, timedelta(0)))
        return refused_at <= now < refused_at + pause

    async def show(self, instance_id: str) -> bool:
        """Rewrite one card now, if it lags behind."""
        async with self._database.read() as connection:
            row = await instances.get(connection, instance_id)
        return row is not None and row.shown != row.wanted and await self._show(row)

    async def rewrite(self, instance_id: str) -> None:
        """Rewrite one request's cards if they lag behind. Raises: SlackUnavailableError, SlackRefusedError."""
        lock = self._locks.setdefault(instance_id, asyncio.Lock())
        async with lock:  # else an older card could be sent last
            async with self._database.read() as connection:
                row = await instances.get(connection, instance_id)
            if row is not None and row.shown != row.wanted:
                await self._rewrite(row)

    async def _show(self, row: instances.Instance) -> bool:
        try:
            await self._tell_what_is_owed(row)
            await self.rewrite(row.instance_id)
        except (SlackUnavailableError, SlackRefusedError, LookupFailedError) as error:
            self._pause(row.instance_id)
            log.warning("a card is not rewritten yet", instance_id=row.instance_id, why=str(error))
            return False
        except DatabaseUnavailableError:
            raise  # that concerns all cards: the loop tries again
        except Exception:
            self._pause(row.instance_id)
            log.exception("a card cannot be rewritten and is left out", instance_id=row.instance_id)
            return False
        self._refused.pop(row.instance_id, None)
        return True

    def _pause(self, instance_id: str) -> None:
        pause = min(LONGEST_REPAIR_PAUSE, 2 * self._refused.get(instance_id, (None, self._settled / 2))[1])
        self._refused[instance_id] = self._clock(), pause

    async def _tell_what_is_owed(self, row: instances.Instance) -> None:
        """Write what the end must have told by now, if its recorder could not; the notifier sends it."""
        if row.state is None:
            return
        async with self._database.write() as connection:
            await notifications.enqueue(connection, owed_by(row.state, row.wanted), self._clock())

    async def _rewrite(self, row: instances.Instance) -> None:
        if row.state is None or not row.cards:
            await self._announcer.show_over(row)
            return
        ending = ending_of(row.wanted, row.output) if row.wanted in STOPPED else None
        state = row.state.model_copy(update={"cards": row.cards})
        view = await card_view(self._directory, state, ending)
        if row.wanted.endswith(PAUSED):
            async with self._database.read() as connection:
                by = await paused_by(connection, row.instance_id)
            view = view.model_copy(update={"paused": by})
        await self._announcer.show(state, view, shown=row.wanted)
