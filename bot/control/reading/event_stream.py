"""Stream changes of instances and audit entries to callers who may see them, without asking the engine.

One query for all followers, at short intervals and only while there is one; so changes that
another process made are seen too. Nothing is kept in memory for a slow reader: each reads on from its position.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Literal

from approvals.authority import Action, Resource, authorize
from approvals.values import Moment, Value
from bot.access.authenticating import Access, Caller
from bot.control.reading.overview import Overview, TimeLineEvent, business_event, own_name
from bot.process.periodic import Periodic
from records import audit, instances, listing, reconciling
from records.columns import from_micros, to_micros
from records.database import Database
from records.errors import RecordsError, public_message

LOOK = 0.25
"""Seconds between polls."""

STREAM_OVERLAP = timedelta(seconds=2)
"""Overlap of two polls: a row's moment is taken before its transaction commits."""

BEHIND = 1_000
"""A client that is further behind than this many entries is told to read the lists again."""

EVENTS_PER_PAGE = 200
MOST_STREAMED = 2_000


class Position(Value):
    """A client's position. As text it is the id of an event."""

    seq: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.seq}-{to_micros(self.moment)}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Return the position of an event's id; None for what is none."""
        seq, dash, micros = text.strip().partition("-")
        if not dash or not (seq + micros).isascii() or not (seq.isdigit() and micros.isdigit()) or len(text) > 40:  # noqa: PLR2004
            return None
        try:
            return cls(seq=int(seq), moment=from_micros(int(micros)))
        except OverflowError:
            return None


class Change(Value):
    """Something that happened. `data` is a workflow's line, or an event of its time line, or a message."""

    kind: Literal["workflow", "history", "reset"]
    position: str
    instance_id: str = ""
    data: object


class EventStream:
    """Lets callers follow. Raises: Refused NOT_ALLOWED if the caller may see nothing."""

    def __init__(self, database: Database, access: Access, overview: Overview, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._access = access
        self._overview = overview
        self._clock = clock
        self._followers = 0
        self._moved = asyncio.Event()
        self._seen: object = None
        self._loop = Periodic("following", self._look, LOOK, passing=(RecordsError,), public=public_message)
        self._ended = False

    @property
    def loop(self) -> Periodic:
        """Polls for changes while there is a follower."""
        return self._loop

    @property
    def followers(self) -> int:
        """The number of connected clients."""
        return self._followers

    async def demand(self, caller: Caller) -> None:
        """Refuse a caller who may not see even their own requests."""
        await self._access.demand(caller, Action.LIST, Resource(own=True))

    async def follow(self, caller: Caller, after: str, seconds: float) -> AsyncIterator[Change]:
        """Give what the caller may see from a position on (empty: from now), for at most so many seconds."""
        position = Position.parse(after) or await self._now()
        sight = _Sight(caller)
        ends = asyncio.get_running_loop().time() + seconds
        async with self._counted():
            while not self._ended and (left := ends - asyncio.get_running_loop().time()) > 0:
                moved = self._moved
                changes, position = await self._changes(sight, position)
                for change in changes:
                    yield change
                if not changes:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(moved.wait(), left)

    def end(self) -> None:
        """End all streams: an open page would hold up the end of the process, and comes back by itself."""
        self._ended = True
        self._wake()

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._followers += 1
        self._loop.start()
        try:
            yield
        finally:
            self._followers -= 1
            if self._followers == 0:
                self._loop.cancel()

    async def _look(self) -> None:
        """Wake all followers when something moved. Raises RecordsError."""
        async with self._database.read() as connection:
            now = await reconciling.newest(connection)
        if now != self._seen:
            self._seen = now
            self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _now(self) -> Position:
        async with self._database.read() as connection:
            seq, moment = await reconciling.newest(connection)
        return Position(seq=seq, moment=moment or self._clock())

    async def _changes(self, sight: "_Sight", position: Position) -> tuple[list[Change], Position]:
        # After a clock went back, what moves is older than the position.
        since = min(position.moment, self._clock()) - STREAM_OVERLAP
        async with self._database.read() as connection:
            newest, _ = await reconciling.newest(connection)
            if newest - position.seq > BEHIND:
                return await self._reset()
            entries = await reconciling.entries_after(connection, position.seq, limit=EVENTS_PER_PAGE)
            lines = await reconciling.progressed(connection, since, limit=MOST_STREAMED)
            lines += await reconciling.finished(connection, since, limit=MOST_STREAMED)
            seen = [entry for entry in entries if await sight.sees(connection, entry)]
        fresh = sight.fresh(lines)
        moments = [line.finished_at or line.updated_at for line in lines]
        after = Position(seq=entries[-1].seq if entries else position.seq, moment=max([position.moment, *moments]))
        changes = [_history(entry, Position(seq=entry.seq, moment=position.moment)) for entry in seen]
        for shown in await self._overview.lines(fresh):
            data = shown.model_dump(mode="json")
            changes.append(Change(kind="workflow", position=str(after), instance_id=shown.id, data=data))
        return changes, after

    async def _reset(self) -> tuple[list[Change], Position]:
        now = await self._now()
        text = "Too much has happened since then to tell it all: read the lists again. What follows is new."
        return [Change(kind="reset", position=str(now), data={"sentence": text})], now


class _Sight:
    """The entries that one client may see, and those that it has been sent."""

    def __init__(self, caller: Caller) -> None:
        actor = caller.as_actor
        self._name = own_name(caller).casefold()
        self._all_lines = authorize(actor, Action.LIST).allowed
        self._all_history = authorize(actor, Action.SEE_HISTORY).allowed
        self._own_history = authorize(actor, Action.SEE_HISTORY, Resource(own=True)).allowed
        self._audit = authorize(actor, Action.AUDIT_READ).allowed
        self._shown: dict[str, tuple[object, ...]] = {}

    async def sees(self, connection: object, entry: audit.Chained) -> bool:
        """Whether they may see an entry: a request's by its history, any other by the audit."""
        if not entry.instance_id:
            return self._audit
        if self._all_history:
            return True
        row = await instances.get(connection, entry.instance_id)  # type: ignore[arg-type]
        return self._own_history and row is not None and row.requester.casefold() == self._name

    def fresh(self, lines: tuple[listing.Line, ...]) -> list[listing.Line]:
        """Return the lines that they may see and have not been shown as they are."""
        states = {line.instance_id: _state(line) for line in lines}
        found = {
            line.instance_id: line
            for line in lines
            if (self._all_lines or line.requester.casefold() == self._name)
            and self._shown.get(line.instance_id) != states[line.instance_id]
        }
        self._shown = states
        return list(found.values())


def _state(line: listing.Line) -> tuple[object, ...]:
    return line.updated_at, line.finished_at, line.engine_status, line.phase, line.custom_status


def _history(entry: audit.Chained, position: Position) -> Change:
    event: TimeLineEvent = business_event(entry)
    data = event.model_dump(mode="json", exclude={"payload", "event_id"}) | {"instance_id": entry.instance_id}
    return Change(kind="history", position=str(position), instance_id=entry.instance_id, data=data)
