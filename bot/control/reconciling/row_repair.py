"""Correcting one row by its engine: what other apps, other tools or a restore did, each in one transaction.

Changes no workflow. Each correction is audited, and a card that lags behind is rewritten.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from activities.telling import wanted_while
from approvals.audit_actions import AuditAction
from approvals.signing import KeyRing
from bot.control.reading.lines import plain_status
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.rebuilding import (
    changes,
    changes_by,
    ended_phase,
    ending_by,
    is_behind,
    known_by,
    known_of,
    lacks_card,
    state_of,
    told_already,
)
from bot.engine.client import (
    Engine,
    EngineInstance,
    TornError,
    UnknownInstanceError,
)
from cards.card_view import Ending
from records import audit, instances, intake, notifications
from records.database import Database

log = structlog.get_logger(__name__)

FOUND = {"stopped": "terminated"}
"""The audit's name of an end that was found, if it differs from the card's."""


class RowRepair:
    """Corrects rows. Each method returns whether it changed one. Raises: what the engine and the database raise."""

    def __init__(
        self, database: Database, engine: Engine, card_repair: CardRepair, keys: KeyRing, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._engine = engine
        self._card_repair = card_repair
        self._keys = keys
        self._clock = clock

    async def follow_engine(self, state: EngineInstance) -> bool:
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
            await self.note_status(row, wanted, paused=state.status == "SUSPENDED")
            if wanted.cards:
                await self._card_repair.show(row.instance_id)
            return True
        return await self._over(row, wanted, ending_by(state), state.failure or "")

    async def note_status(self, row: instances.Instance, wanted: instances.Changes, *, paused: bool) -> None:
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

    async def vanished(self, instance_id: str) -> bool:
        """Note that the engine knows an instance no more that had not ended. One that never started is none."""
        async with self._database.read() as connection:
            row = await instances.get(connection, instance_id)
        if row is None or row.finished_at is not None or row.phase == "starting":
            return False
        if await self._engine.state(instance_id) is not None:
            return False  # it started between the two looks: only a row that is older than the look says that it ran
        if row.phase in instances.ENDS:
            return await self.forget(instance_id)  # it had ended, and its history was purged before we looked
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
            action=AuditAction(f"workflow.found_{kind}"),
            instance_id=row.instance_id,
            request_digest=row.digest or "",
            through="reconciler",
            reason=reason,
            policy_version=row.policy_version or "",
        )

    async def add(self, engine: EngineInstance) -> bool:
        """Add the row of one instance: with its request, if its history has one."""
        try:
            state = state_of(await self._engine.history(engine.instance_id), self._keys, self._clock())
        except UnknownInstanceError:
            return False
        begun = engine.created_at if engine.created_at.year > 1 else None
        first = known_by(state, engine) if state is not None else known_of(engine)
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

    async def forget(self, instance_id: str) -> bool:
        """Mark an instance purged whose history is gone from the engine."""
        if await self._engine.state(instance_id) is not None:
            return False
        async with self._database.write() as connection:
            row = await instances.locked(connection, instance_id)
            if row is None or row.phase == "purged" or row.wanted != row.shown:
                return False  # a card that lags behind is mended first: forgetting would lose what it has to show
            await instances.forget(connection, instance_id, self._clock())
            await audit.append(connection, self._entry(row, "purged", ""))
        return True
