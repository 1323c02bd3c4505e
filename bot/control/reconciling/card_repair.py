"""Rewriting cards that do not show what they have to: Slack was away, the app was killed, somebody else ended it.

The row decides what a card shows. A card that Slack keeps refusing is retried ever less often, but never dropped.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from activities.slack.announcing import ENDS, Announcer
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError
from activities.slack.rendering import card_view
from approvals.machine import Announce
from cards.request_card import Ending
from records import instances, reconciling
from records.database import Database
from records.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)

SETTLED = timedelta(seconds=15)
"""The workflow itself announces first; what lags for longer is mended here."""

LONGEST = timedelta(minutes=10)


class CardRepair:
    """Rewrites cards. Showing the same twice is harmless; what people are told is told once."""

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

    async def mend(self) -> int:
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

    async def _show(self, row: instances.Instance) -> bool:
        try:
            await self._tell(row)
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
        pause = min(LONGEST, 2 * self._refused.get(instance_id, (None, self._settled / 2))[1])
        self._refused[instance_id] = self._clock(), pause

    async def _tell(self, row: instances.Instance) -> None:
        """Show and tell what stands in the row."""
        if row.state is None:
            await self._nothing_to_show(row)
        elif row.wanted in {"terminated", "vanished"}:
            await self._announcer.end(row.state, _ending(row))
        elif row.phase in ENDS and row.state.outcome is not None:
            await self._announcer.announce(row.state, Announce.model_validate({"what": row.phase}))
        else:
            await self._announcer.show(row.state, await card_view(self._directory, row.state))

    async def _nothing_to_show(self, row: instances.Instance) -> None:
        async with self._database.write() as connection:
            changes = instances.Changes(shown=row.wanted)
            await instances.project(connection, row.instance_id, changes, self._clock(), progress=False)


def _ending(row: instances.Instance) -> Ending:
    """Return the end as it was written down beside the row."""
    try:
        return Ending.model_validate_json(row.output or "")
    except ValueError:
        return Ending.model_validate({"kind": row.wanted})
