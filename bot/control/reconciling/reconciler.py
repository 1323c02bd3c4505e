"""Keeping the read model and the cards true when the engine moved without us: other apps, other tools, lost answers.

Reads the engine a few instances at a time and changes no workflow. The row follows the engine, and a card that shows
buttons for a request that has ended is rewritten. What was found is audited.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple, Self, TypeVar

import structlog

from activities.telling import wanted_while
from approvals.audit_actions import AuditAction
from approvals.signing import KeyRing
from approvals.values import Value
from bot.control.reading.lines import plain_status
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.rebuilding import (
    changes_by,
    end_by_output,
    is_behind,
    known_by,
    lacks_card,
    state_of,
    told_already,
)
from bot.engine.client import (
    Engine,
    EngineInstance,
    EngineRefusedError,
    EngineUnavailableError,
    TornError,
    UnknownInstanceError,
    UnlistableError,
)
from bot.process.periodic import Periodic
from cards.card_view import Ending
from records import audit, instances, intake, listing, notifications, reconciling
from records.database import Database
from records.errors import DatabaseUnavailableError, RecordsError, public_message

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOOKS_AT_ONCE = 8
ROWS_PER_SWEEP = 500
MOST_FOLLOWED = 2_000
FOLLOW_OVERLAP = timedelta(seconds=2)
"""Overlap of two looks: a moment is taken before its transaction commits."""

FOUND = {"stopped": "terminated"}
"""The audit's name of an end that was found, if it differs from the card's."""

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
        self._keys = keys
        self._database = database
        self._engine = engine
        self._clock = clock
        self._intervals = intervals or ReconcileIntervals()
        self._engine_keeps = engine_keeps
        self._card_repair = card_repair
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
        changed = [await self._one(self._follow_engine, state, state.instance_id) for state in differing]
        vanished = 0
        if len(gone) > MANY and len(gone) > len(rows) // 2:
            log.error("most workflows are unknown to the engine: is this another engine's store?", unknown=len(gone))
        else:
            vanished = sum([await self._one(self._vanished, instance_id, instance_id) for instance_id in gone])
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

    async def _follow_engine(self, state: EngineInstance) -> bool:
        """Write the engine's status if the row has another. Returns whether it had."""
        async with self._database.read() as connection:
            row = await instances.get(connection, state.instance_id)
        if row is None or row.phase == "purged":
            return False
        wanted = changes(row, state)
        if wanted is None:
            return False
        unseen_end = wanted.phase is not None and state.status == "COMPLETED"
        if unseen_end or is_behind(row, plain_status(state.custom_status)):
            rebuilt = await self._rebuild(row, state)
            if rebuilt is not None:
                return rebuilt
        if state.finished and lacks_card(row):
            wanted = await self._with_found_cards(row, wanted)
        if wanted.phase is None:
            await self._note_status(row, wanted, paused=state.status == "SUSPENDED")
            if wanted.cards:
                await self._card_repair.show(row.instance_id)
            return True
        return await self._over(row, wanted, ending_by(state), state.failure or "")

    async def _note_status(self, row: instances.Instance, wanted: instances.Changes, *, paused: bool) -> None:
        """Write the engine's status, and what a waiting request's card shows if another tool paused or resumed it.

        The row may have been decided since it was read: what its card shows then is not this one's to say.
        """
        shown = wanted_while(row.wanted, paused=paused)
        async with self._database.write() as connection:
            if row.cards and row.phase == "waiting" and shown != row.wanted:
                now = await instances.locked(connection, row.instance_id)
                if now is not None and (now.phase, now.wanted) == (row.phase, row.wanted):
                    wanted = wanted.model_copy(update={"wanted": shown})
            await instances.project(connection, row.instance_id, wanted, self._clock())

    async def _rebuild(self, row: instances.Instance, engine: EngineInstance) -> bool | None:
        """Let a row that is behind its engine follow the history. None if the history says nothing of a request."""
        try:
            state = state_of(await self._engine.history(engine.instance_id), self._keys, self._clock())
        except UnknownInstanceError:
            return False
        if state is None or (engine.status == "COMPLETED" and state.outcome is None):
            return None
        wanted = changes_by(state, engine)
        async with self._database.write() as connection:
            now = self._clock()
            done = await instances.project(
                connection, row.instance_id, wanted, now, while_in=("starting", "waiting", "unknown")
            )
            if done:
                for each in await notifications.enqueue(connection, told_already(state), now):
                    await notifications.finish(connection, each.id, "sent", now, "told before this row was rebuilt")
                await audit.append(connection, self._entry(row, "ahead", state.outcome.reason if state.outcome else ""))
                await intake.make_due(connection, row.instance_id, now)
        if done:
            log.warning("a row was behind its engine and is rebuilt", instance_id=row.instance_id, phase=wanted.phase)
            await self._card_repair.show(row.instance_id)
        return done

    async def _with_found_cards(self, row: instances.Instance, wanted: instances.Changes) -> instances.Changes:
        """Add the cards that the history names and a restored database does not: they still have buttons."""
        try:
            history = await self._engine.history(row.instance_id)
        except TornError:
            return wanted
        state = state_of(history, self._keys, self._clock())
        if state is None or len(state.cards) <= len(row.cards):
            return wanted
        log.warning("a card that its row did not know is found in the history", instance_id=row.instance_id)
        return wanted.model_copy(update={"cards": state.cards, "wanted": row.phase})

    async def _vanished(self, instance_id: str) -> bool:
        """Note that the engine knows an instance no more that had not ended. One that never started is none."""
        async with self._database.read() as connection:
            row = await instances.get(connection, instance_id)
        if row is None or row.finished_at is not None or row.phase == "starting":
            return False
        if await self._state(instance_id) is not None:
            return False  # it started between the two looks: only a row that is older than the look says that it ran
        if row.phase in instances.ENDS:
            return await self._forget(instance_id)  # it had ended, and its history was purged before we looked
        ending = Ending(kind="vanished", at=self._clock())
        wanted = instances.Changes(engine_status="TERMINATED", phase="terminated")
        return await self._over(row, wanted, ending)

    async def _over(self, row: instances.Instance, wanted: instances.Changes, ending: Ending, why: str = "") -> bool:
        """Note an end that happened without us: row and audit in one transaction, then the card."""
        final = ending.kind if any(card.ts for card in wanted.cards or row.cards) else ""
        wanted = wanted.model_copy(update={"wanted": final, "output": ending.model_dump_json()})
        async with self._database.write() as connection:
            done = await instances.project(
                connection, row.instance_id, wanted, self._clock(), while_in=("starting", "waiting", "unknown")
            )
            if done:
                await audit.append(
                    connection, self._entry(row, FOUND.get(ending.kind, ending.kind), why or ending.reason)
                )
                await intake.make_due(connection, row.instance_id, self._clock())
        if done:
            log.warning("a workflow ended without us", instance_id=row.instance_id, how=ending.kind)
            await self._card_repair.show(row.instance_id)
        return done

    def _entry(self, row: instances.Instance, kind: str, reason: str) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor="system",
            action=AuditAction(AuditAction(f"workflow.found_{kind}")),
            instance_id=row.instance_id,
            request_digest=row.digest or "",
            through="reconciler",
            reason=reason,
            policy_version=row.policy_version or "",
        )

    # ---- what others started and purged -----------------------------------------------------------------------------

    async def _add(self, ids: Iterable[str]) -> int:
        """Add rows for instances that this app did not start."""
        async with self._database.read() as connection:
            unknown = await listing.missing(connection, tuple(ids))
        looked = await asyncio.gather(*(self._state(instance_id) for instance_id in unknown), return_exceptions=True)
        for instance_id, error in zip(unknown, looked, strict=True):
            if isinstance(error, BaseException):
                self._left_out(instance_id, error)
        there = [state for state in looked if isinstance(state, EngineInstance)]
        return sum([await self._one(self._add_one, state, state.instance_id) for state in there])

    async def _add_one(self, engine: EngineInstance) -> bool:
        """Add the row of one instance: with its request, if its history has one."""
        try:
            state = state_of(await self._engine.history(engine.instance_id), self._keys, self._clock())
        except UnknownInstanceError:
            return False
        begun = engine.created_at if engine.created_at.year > 1 else None
        first = known_by(state, engine) if state is not None else _known(engine)
        async with self._database.write() as connection:
            row, new = await instances.insert(connection, first, self._clock(), created_at=begun)
        if not new or state is None:
            return new
        if engine.status in {"COMPLETED", "RUNNING", "SUSPENDED", "PENDING"}:
            await self._rebuild(row, engine)
        else:
            wanted = instances.Changes.model_validate({"engine_status": engine.status, "phase": ended_phase(engine)})
            await self._over(row, wanted.model_copy(update={"state": state, "cards": state.cards}), ending_by(engine))
        return True

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
                count += await self._one(self._forget, instance_id, instance_id)
            if len(ended) < 1_000:  # noqa: PLR2004 the page's size
                return count
            after = ended[-1]

    async def _forget(self, instance_id: str) -> bool:
        if await self._state(instance_id) is not None:
            return False
        async with self._database.write() as connection:
            row = await instances.locked(connection, instance_id)
            if row is None or row.phase == "purged" or row.wanted != row.shown:
                return False  # a card that lags behind is mended first: forgetting would lose what it has to show
            await instances.forget(connection, instance_id, self._clock())
            await audit.append(connection, self._entry(row, "purged", ""))
        return True


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


def changes(row: instances.Instance | reconciling.ComparedRow, state: EngineInstance) -> instances.Changes | None:
    """Return the changes that the row needs, None if there are none. A phase is set if the end came from outside."""
    status, custom = state.status, plain_status(state.custom_status)
    if status == row.engine_status and custom in ("", row.custom_status):
        return None
    found: dict[str, object] = {"engine_status": status}
    if custom:
        found["custom_status"] = custom
    if state.finished and row.phase in {"starting", "waiting"}:
        found["phase"] = ended_phase(state)
    return instances.Changes.model_validate(found)


def _public(error: Exception) -> str:
    return public_message(error) if isinstance(error, RecordsError) else "the workflow engine does not answer"


def ended_phase(state: EngineInstance) -> instances.Phase:
    """Return how an instance ended that ended without us."""
    if state.status == "FAILED":
        return "failed"
    return (end_by_output(state.output) if state.status == "COMPLETED" else None) or "terminated"


def ending_by(state: EngineInstance) -> Ending:
    """Return what a card says of an end that we did not see. An operator is named only if the engine's output does."""
    at, operator = state.updated_at, _operator_of(state.output)
    if state.status == "FAILED":
        return Ending(kind="failed", at=at)  # why it failed is for operators: it stands in the audit
    if state.status == "TERMINATED" and operator:
        return Ending(kind="terminated", by_name=operator, reason=reason_of(state.output), at=at)
    return Ending(kind="stopped", reason=reason_of(state.output) if state.status == "TERMINATED" else "", at=at)


def _operator_of(output: str | None) -> str:
    """Return who ended an instance through this app, by the output that `terminate` gives it."""
    try:
        found = json.loads(output or "null")
    except (ValueError, RecursionError):
        return ""
    by = found.get("by") if isinstance(found, dict) and found.get("status") == "terminated" else None
    return by[:200] if isinstance(by, str) else ""


def reason_of(output: str | None) -> str:
    """Return the reason in a terminated instance's output; tools write text, this app an object."""
    try:
        found = json.loads(output or "null")
    except ValueError:
        found = output
    if isinstance(found, dict):
        found = found.get("reason", "")
    return found[:1000] if isinstance(found, str) else ""


def _known(state: EngineInstance) -> instances.Known:
    return instances.Known.model_validate(
        {
            "instance_id": state.instance_id,
            "name": state.name,
            "engine_status": state.status,
            "custom_status": plain_status(state.custom_status),
            "phase": "unknown",
            "finished_at": state.updated_at if state.finished else None,
        }
    )
