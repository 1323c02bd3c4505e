"""Keeping the read model and the cards true when the engine moved without us: other apps, other tools, lost answers.

Reads the engine a few instances at a time and changes no workflow. The row follows the engine, and a card that shows
buttons for a request that has ended is rewritten. What was found is audited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple, Self, TypeVar

import structlog

from approvals.signing import KeyRing
from approvals.values import Value
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.rebuilding import (
    changes,
)
from bot.control.reconciling.row_repair import RowRepair
from bot.engine.client import (
    Engine,
    EngineInstance,
    EngineRefusedError,
    EngineUnavailableError,
    UnlistableError,
)
from bot.process.periodic import Periodic
from records import listing, reconciling
from records.database import Database
from records.errors import DatabaseUnavailableError, RecordsError, public_message

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOOKS_AT_ONCE = 8
ROWS_PER_SWEEP = 500
MOST_FOLLOWED = 2_000
FOLLOW_OVERLAP = timedelta(seconds=2)
"""Overlap of two looks: a moment is taken before its transaction commits."""

MANY = 20
"""If more than this, and more than half of all, have vanished, the engine's store is probably another one."""


class ReconcileIntervals(Value):
    """The interval of each look, in seconds; a card may lag behind for `settled` before it is repaired."""

    follow: float = 0.5
    repair: float = 5.0
    look: float = 20.0
    sweep: float = 60.0
    settled: float = 15.0

    @classmethod
    def sweep_every(cls, seconds: float) -> Self:
        """Return intervals that fit a sweep every so many seconds."""
        return cls(repair=min(5.0, seconds), look=min(20.0, seconds), sweep=seconds, settled=min(15.0, 4 * seconds))


class SweepResult(Value):
    """The result of a sweep or a look, for the log and for operators."""

    seen: int = 0
    added: int = 0
    changed: int = 0
    ended: int = 0
    vanished: int = 0
    purged: int = 0


class LoopsOfReconciler(NamedTuple):
    """The reconciler's loops."""

    follow: Periodic
    cards: Periodic
    look: Periodic
    sweep: Periodic


class Reconciler:
    """Compares periodically. An instance that cannot be compared is counted and left out; the others go on."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        engine: Engine,
        card_repair: CardRepair,
        keys: KeyRing,
        clock: Callable[[], datetime],
        intervals: ReconcileIntervals | None = None,
        engine_keeps: timedelta | None = None,
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._intervals = intervals or ReconcileIntervals()
        self._engine_keeps = engine_keeps
        self._card_repair = card_repair
        self.rows = RowRepair(database, engine, card_repair, keys, clock)
        self._slots = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._followed: dict[str, _Followed] = {}
        self._since: datetime | None = None
        self.last = SweepResult()
        self.left_out = 0
        """Counts instances that could not be compared, for the metrics."""

    @cached_property
    def loops(self) -> LoopsOfReconciler:
        """Compares changed rows, cards, open rows and the engine's whole list."""
        return LoopsOfReconciler(
            self._loop("follow", self.follow, self._intervals.follow),
            self._loop("cards", self._card_repair.repair, self._intervals.repair),
            self._loop("look", self.look, self._intervals.look),
            self._loop("sweep", self.sweep, self._intervals.sweep),
        )

    def _loop(self, name: str, look: Callable[[], Awaitable[object]], seconds: float) -> Periodic:
        passing = (EngineUnavailableError, EngineRefusedError, RecordsError)

        async def work() -> None:
            await look()

        return Periodic(name, work, seconds, passing=passing, gentle=True, public=_public)

    async def follow(self) -> None:
        """Look at what moved just now, again and again at growing pauses, until the engine's status says the end."""
        now = self._clock()
        async with self._database.read() as connection:
            moved = await reconciling.moved(connection, (self._since or now) - FOLLOW_OVERLAP, limit=MOST_FOLLOWED)
        self._since = now  # what did not fit into the page is found by the slow look
        for line in moved:
            before = self._followed.get(line.instance_id)
            if before is None or before.updated_at != line.updated_at:
                self._followed[line.instance_id] = _Followed(line.updated_at, now)
        due = [key for key, one in self._followed.items() if one.due <= now][:ROWS_PER_SWEEP]
        async with self._database.read() as connection:
            rows = await reconciling.known(connection, due)
        await self._compare(rows)
        for key in due:
            if not self._followed[key].again(now):
                del self._followed[key]

    async def look(self) -> SweepResult:
        """Look at everything that has not ended as far as we know."""
        found, after, total = SweepResult(), "", SweepResult()
        while True:
            async with self._database.read() as connection:
                rows = await reconciling.open_rows(connection, after=after, limit=ROWS_PER_SWEEP)
            found = await self._compare(rows)
            total = SweepResult(
                **{name: getattr(total, name) + getattr(found, name) for name in SweepResult.model_fields}
            )
            if len(rows) < ROWS_PER_SWEEP:
                return total
            after = rows[-1].instance_id
            await asyncio.sleep(0.05)  # many rows must not keep the engine from its own work

    async def sweep(self) -> SweepResult:
        """Page through all ids of the engine: add what others started, note what others purged."""
        began, token, known, added = self._clock(), None, set[str](), 0
        while True:
            try:
                ids, token = await self._engine.instance_ids(token)
            except UnlistableError as error:
                # What the read model knows is looked at all the same; what it does not know cannot be found.
                log.error("the engine cannot list its instances", why=str(error))  # noqa: TRY400 no trace needed
                return self.last
            known.update(ids)
            added += await self._add(ids)
            if not token or not ids:
                break
            await asyncio.sleep(0.05)
        purged = await self._purged(known, began)
        self.last = SweepResult(seen=len(known), added=added, purged=purged)
        if added or purged:
            log.info("the engine's list was compared", seen=len(known), added=added, purged=purged)
        return self.last

    # ---- one comparison ---------------------------------------------------------------------------------------------

    async def _compare(self, rows: Sequence[reconciling.ComparedRow]) -> SweepResult:
        """Compare some rows with the engine and correct them. Raises EngineUnavailableError if it answers for none."""
        looked = await asyncio.gather(*(self._state(row.instance_id) for row in rows), return_exceptions=True)
        pairs = [(row, state) for row, state in zip(rows, looked, strict=True) if not isinstance(state, BaseException)]
        failures = [(row, error) for row, error in zip(rows, looked, strict=True) if isinstance(error, BaseException)]
        if failures and not pairs:
            raise failures[0][1]
        for row, error in failures:
            self._left_out(row.instance_id, error)
        gone = [row.instance_id for row, state in pairs if state is None]
        differing = [state for row, state in pairs if state is not None and changes(row, state) is not None]
        changed = [await self._one(self.rows.follow_engine, state, state.instance_id) for state in differing]
        vanished = 0
        if len(gone) > MANY and len(gone) > len(rows) // 2:
            log.error("most workflows are unknown to the engine: is this another engine's store?", unknown=len(gone))
        else:
            vanished = sum([await self._one(self.rows.vanished, instance_id, instance_id) for instance_id in gone])
        return SweepResult(seen=len(rows), changed=sum(changed), vanished=vanished)

    async def _one(self, correct: Callable[[T], Awaitable[bool]], subject: T, instance_id: str) -> bool:
        """Correct one instance; a failure that concerns it alone leaves it out."""
        try:
            return await correct(subject)
        except (EngineUnavailableError, DatabaseUnavailableError):
            raise  # that concerns all of them: the loop tries again
        except Exception as error:  # noqa: BLE001 whatever it is, it must not keep the others from being corrected
            self._left_out(instance_id, error)
            return False

    def _left_out(self, instance_id: str, error: BaseException) -> None:
        self.left_out += 1
        known = isinstance(error, EngineUnavailableError | EngineRefusedError | RecordsError)
        log.warning(
            "an instance could not be compared and is left out",
            instance_id=instance_id,
            why=str(error),
            exc_info=None if known else error,
        )

    async def _state(self, instance_id: str) -> EngineInstance | None:
        async with self._slots:
            return await self._engine.state(instance_id)  # without payloads it leaves out the custom status as well

    # ---- what others started and purged -----------------------------------------------------------------------------

    async def _add(self, ids: Iterable[str]) -> int:
        async with self._database.read() as connection:
            unknown = await listing.missing(connection, tuple(ids))
        looked = await asyncio.gather(*(self._state(instance_id) for instance_id in unknown), return_exceptions=True)
        for instance_id, error in zip(unknown, looked, strict=True):
            if isinstance(error, BaseException):
                self._left_out(instance_id, error)
        there = [state for state in looked if isinstance(state, EngineInstance)]
        return sum([await self._one(self.rows.add, state, state.instance_id) for state in there])

    async def _purged(self, known: set[str], began: datetime) -> int:
        """Mark ended instances whose history was purged outside Countersign. Their audit stays.

        What ended longer ago than the engine keeps it is missing there by its policy: nobody purged it.
        """
        after, count = "", 0
        lately = None if self._engine_keeps is None else began - self._engine_keeps
        while True:
            async with self._database.read() as connection:
                ended = await reconciling.ended(connection, began, after=after, ended_after=lately)
            gone = [each for each in ended if each not in known]
            if len(gone) > MANY and not known:
                log.error("the engine lists nothing: is this another engine's store?", unknown=len(gone))
                return count
            for instance_id in gone:
                count += await self._one(self.rows.forget, instance_id, instance_id)
            if len(ended) < 1_000:  # noqa: PLR2004 the page's size
                return count
            after = ended[-1]


class _Followed:
    """When to look at a row again that moved: soon at first, later and later, for half a minute."""

    def __init__(self, updated_at: datetime, due: datetime) -> None:
        self.updated_at = updated_at
        self.due = due
        self._pause = 0.5

    def again(self, now: datetime) -> bool:
        """Set when to look again. False when it was looked at long enough; the slow look goes on."""
        self.due = now + timedelta(seconds=self._pause)
        self._pause *= 2
        return self._pause < 40  # noqa: PLR2004 seconds


def _public(error: Exception) -> str:
    return public_message(error) if isinstance(error, RecordsError) else "the workflow engine does not answer"
