"""Counts what a system asks of its database, at the drivers: below SQLAlchemy and below our own driver."""

import asyncio
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from activities.slack.notifier import Notifier
from activities.slack.sending import Sender
from bot.process.periodic import Loops
from bot.process.settings import Settings
from bot.services import Services
from records import notifications
from records.database import Database

WRITES = re.compile(r"\s*(WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
FRAMING = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET TRANSACTION|PRAGMA|;|\Z)", re.IGNORECASE)


class Tally:
    """The statements since the last `take`, each of one connection. Every connection has one transaction at a time."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def watch(self, database: Database) -> None:
        """Note all statements of a database that is not connected yet."""
        for engine in database.engines:
            sa.event.listen(engine.sync_engine, "connect", self._connected)

    def _connected(self, connection: Any, _record: object) -> None:
        own = connection.driver_connection
        number = id(own)
        if hasattr(own, "add_query_logger"):
            own.add_query_logger(lambda query: self.seen.append((number, query.query)))
        else:
            own.raw.set_trace_callback(lambda text: self.seen.append((number, text)))

    def take(self) -> "Counted":
        """Return the counts so far and begin anew."""
        seen, self.seen = self.seen, []
        return Counted(seen)


class Counted:
    """Statements (without BEGIN, COMMIT and the like) and transactions that wrote something."""

    def __init__(self, seen: list[tuple[int, str]]) -> None:
        self.statements = [text for _, text in seen if not FRAMING.match(text)]
        self.writes = 0
        wrote: dict[int, bool] = {}
        for number, text in seen:
            if WRITES.match(text):
                wrote[number] = True
            if re.match(r"\s*(COMMIT|SAVEPOINT)", text, re.IGNORECASE):
                self.writes += wrote.pop(number, False)


class HeldNotifier(Notifier):
    """Sends nothing until it is released: what people are told does not hold up an order, and is counted apart."""

    loop: asyncio.AbstractEventLoop
    held: list[notifications.Row] | None = None

    def take(self, rows: Iterable[notifications.Row]) -> None:
        """Keep rows back."""
        self.loop = asyncio.get_running_loop()
        self.held = [*(self.held or []), *rows]

    def release(self) -> None:
        """Send what was kept back. From any thread."""
        rows, self.held = self.held or [], None
        self.loop.call_soon_threadsafe(super().take, rows)

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent."""
        return not self._sending


class Quiet(Services):
    """An app without background loops, whose statements are counted and whose notifier waits."""

    def __init__(self, settings: Settings, tally: Tally) -> None:
        super().__init__(settings)
        self.tally = tally
        tally.watch(self.database)

    @cached_property
    def notifier(self) -> HeldNotifier:
        """The notifier that waits."""
        sender = Sender(self.database, self.slack, self.directory, self.announcer, self.mending.rewrite)
        return HeldNotifier(self.database, sender, self.clock)

    @cached_property
    def loops(self) -> Loops:
        """No loops."""
        return Loops()
