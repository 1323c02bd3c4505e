"""Sends notifications: at once when this process has written them, else when they are found due; again until done.

A row is reserved when its turn in Slack's queue has come. So an orderly stop sends none twice, a kill at most the ones
that were under way.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from activities.slack.failures import LookupFailedError, NotBegunError, SlackRefusedError, SlackUnavailableError
from activities.slack.sending import NotificationSender
from records import notifications
from records.database import Database
from records.errors import RecordsError
from records.notifications import NotificationRow

log = structlog.get_logger(__name__)

NOTIFICATIONS_POLL_S = 1.0
"""Seconds between looks for rows of other processes, of before a restart, and of those that are due again."""

NOTIFICATION_LEASE = timedelta(seconds=25)
"""The lease of one attempt: a call to Slack takes 8 s at most, and a direct message needs two."""

LONGEST_NOTIFY_PAUSE = timedelta(minutes=5)
NOTIFICATIONS_PER_LOOK = 200
PREPARED_AT_ONCE = 4
"""Messages that are made ready at the same time: each reads the database."""

NOTIFIER_STOP_S = 8.0
NOTED_WITHIN_S = (0.2, 1.0, 5.0)

MENDABLE = frozenset(
    {
        "access_denied", "account_inactive", "ekm_access_denied", "invalid_auth", "missing_scope", "no_permission",
        "not_allowed_token_type", "not_authed", "not_in_channel", "org_login_required", "team_access_not_granted",
        "token_expired", "token_revoked",
    }
)  # fmt: skip
"""Refusals that an operator can repair, in the app or in its membership. Any other refusal is final."""


class Notifier:
    """Sends notifications. One for each process; several processes share the work by reserving rows."""

    def __init__(self, database: Database, sender: NotificationSender, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._sender = sender
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()
        self._preparing = asyncio.Semaphore(PREPARED_AT_ONCE)
        self._stopping = False

    def take(self, rows: Iterable[NotificationRow]) -> None:
        """Begin to send rows that were just committed, and wait for nothing."""
        for row in rows:
            if not self._stopping and row.id not in self._sending:
                task = self._sending[row.id] = asyncio.create_task(self._send(row), name=f"notify {row.id}")
                task.add_done_callback(partial(self._forget, row.id))

    def _forget(self, row_id: str, _: "asyncio.Task[None]") -> None:
        self._sending.pop(row_id, None)

    async def look(self) -> int:
        """Start to send the due notifications; returns how many are in flight."""
        async with self._database.read() as connection:
            found = await notifications.due(connection, self._clock(), _longest(), NOTIFICATIONS_PER_LOOK)
        self.take(found)
        return len(self._sending)

    async def stop(self, seconds: float = NOTIFIER_STOP_S) -> None:
        """Stop sending, and wait for those in flight. The next process sends the rest."""
        self._stopping = True
        waiting = [task for key, task in self._sending.items() if key not in self._begun]
        for task in waiting:
            task.cancel()
        under_way = [task for key, task in self._sending.items() if key in self._begun]
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=seconds)
            for task in late:
                task.cancel()
        await asyncio.gather(*waiting, *under_way, return_exceptions=True)

    async def _send(self, row: NotificationRow) -> None:
        try:
            await self._attempt(row)
        except NotBegunError:
            return  # another process sends it, or this one stops
        except SlackRefusedError as error:
            await self._refused(row, error)
        except (SlackUnavailableError, LookupFailedError, RecordsError) as error:
            await self._later(row, str(error))
        except Exception:
            log.exception("a notification could not be sent and is tried again", notification=row.id)
            await self._later(row, "an unexpected error, whose trace is in the log")
        finally:
            self._begun.discard(row.id)

    async def _attempt(self, row: NotificationRow) -> None:
        async with self._preparing:
            deliver = await self._sender.prepare(row)
        if deliver is None:
            await self._database.transact(notifications.drop.on, row.id)
            return
        await deliver(lambda: self._begin(row))
        await self._note(row, "sent")

    async def _begin(self, row: NotificationRow) -> bool:
        """Reserve the row: its turn in Slack's queue has come."""
        if self._stopping:
            return False
        self._begun.add(row.id)
        lease, longest = NOTIFICATION_LEASE, _longest()
        mine = await self._database.transact(
            notifications.reserve.on, row.id, self._holder, self._clock(), lease, longest
        )
        if not mine:
            self._begun.discard(row.id)
        return mine

    async def _refused(self, row: NotificationRow, error: SlackRefusedError) -> None:
        if error.error in MENDABLE:
            await self._later(row, str(error))
            return
        log.warning("Slack refuses a notification for good", notification=row.id, why=str(error))
        await self._note(row, "refused", str(error))

    async def _note(self, row: NotificationRow, result: Literal["sent", "refused"], problem: str = "") -> None:
        """Note what became of it. Repeated while the database is away: without the note it would be sent again."""
        for pause in NOTED_WITHIN_S:
            try:
                await self._database.transact(notifications.finish.on, row.id, result, self._clock(), problem)
            except RecordsError as error:
                log.warning("what became of a notification is not noted yet", notification=row.id, why=str(error))
                await asyncio.sleep(pause)
            else:
                return

    async def _later(self, row: NotificationRow, why: str) -> None:
        seconds = min(LONGEST_NOTIFY_PAUSE.total_seconds(), 2.0 ** min(row.attempts, 10))
        pause = timedelta(seconds=seconds * random.uniform(0.7, 1.0))  # noqa: S311
        log.info("a notification is tried again", notification=row.id, why=why, again_in=pause.total_seconds())
        try:
            again_at = self._clock() + pause
            await self._database.transact(notifications.retry_at.on, row.id, again_at, why, row.attempts + 1)
        except RecordsError as error:
            log.warning("a notification waits for the database", notification=row.id, why=str(error))


def _longest() -> timedelta:
    """Return the longest time for which a row is set aside, unless the clock has gone back."""
    return 2 * LONGEST_NOTIFY_PAUSE
