"""Counts what a system asks of its database: on SQLite at the file, on PostgreSQL where SQLAlchemy sends it."""

import asyncio
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from activities.slack.alarming import Alarms
from activities.slack.notifier import Notifier
from activities.slack.sending import NotificationSender
from bot.process.periodic import Loops
from bot.process.settings import Settings
from bot.services import Services
from records import notifications
from records.database import Database

WRITES = re.compile(r"\s*(WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
SHARED = re.compile(r"SELECT (.* FROM slack_pace |intake\.id, intake\.verdict FROM)")
"""Reads for all orders together, by the clock: Slack's pace once a second, the look for answers twice."""

FRAMING = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET TRANSACTION|PRAGMA|;|\Z)", re.IGNORECASE)


class Tally:
    """The statements since the last `take`, each of one connection. Every connection has one transaction at a time."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def watch(self, database: Database) -> None:
        """Note all statements of a database that is not connected yet."""
        for engine in database.engines:
            if database.dialect == "sqlite":
                sa.event.listen(engine.sync_engine, "connect", self._connected)
            else:
                sa.event.listen(engine.sync_engine, "before_cursor_execute", self._executed)
                sa.event.listen(engine.sync_engine, "commit", lambda connection: self._see(connection, "COMMIT"))

    def _connected(self, connection: Any, _record: object) -> None:
        raw = connection.driver_connection.raw
        raw.set_trace_callback(lambda text: self.seen.append((id(raw), text)))

    def _executed(self, connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        self._see(connection, statement)

    def _see(self, connection: sa.Connection, statement: str) -> None:
        self.seen.append((id(connection.connection.dbapi_connection), statement))

    def committed(self, words: str) -> bool:
        """Return whether a statement with these words is committed."""
        at = next((place for place, (_, text) in enumerate(self.seen) if words in text), None)
        return at is not None and (self.seen[at][0], "COMMIT") in self.seen[at:]

    def take(self) -> "Counted":
        """Return the counts so far and begin anew."""
        seen, self.seen = self.seen, []
        return Counted(seen)


class Counted:
    """Statements (without BEGIN, COMMIT and the like) and transactions that wrote something."""

    def __init__(self, seen: list[tuple[int, str]]) -> None:
        # SQLite names a statement again for each of its triggers.
        once = [each for each, before in zip(seen, [None, *seen], strict=False) if each != before]
        found = [" ".join(text.split()) for _, text in once if not FRAMING.match(text)]
        self.statements = [text for text in found if not SHARED.match(text)]
        self.shown = "\n".join(f"{place} {text[:100]}" for place, text in enumerate(self.statements, 1))
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
    held: list[notifications.NotificationRow] | None = None

    def take(self, rows: Iterable[notifications.NotificationRow]) -> None:
        """Keep rows back."""
        self.loop = asyncio.get_running_loop()
        self.held = [*(self.held or []), *rows]

    def release(self) -> None:
        """Send what was kept back, and return when it is sent. From another thread."""
        rows, self.held = self.held or [], None
        if rows:
            asyncio.run_coroutine_threadsafe(self._send_all(rows), self.loop).result(30)

    async def _send_all(self, rows: list[notifications.NotificationRow]) -> None:
        super().take(rows)
        await asyncio.gather(*self._sending.values())


class Quiet(Services):
    """An app without background loops, whose statements are counted and whose notifier waits."""

    def __init__(self, settings: Settings, tally: Tally) -> None:
        super().__init__(settings)
        self.tally = tally
        tally.watch(self.database)

    @cached_property
    def notifier(self) -> HeldNotifier:
        """The notifier that waits."""
        alarms = Alarms(self.database, self.slack, self.directory, self.policies, self.clock)
        sender = NotificationSender(self.database, self.slack, self.directory, self.announcer, self.card_repair, alarms)
        return HeldNotifier(self.database, sender, self.clock)

    @cached_property
    def loops(self) -> Loops:
        """No loops."""
        return Loops()
