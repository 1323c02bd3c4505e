"""Finds workflows that are wedged, orphaned or diverged, cards that lie and decisions without an answer; heals them.

An examination changes nothing. It repairs by the reconciler's own means, and a wedged instance by a forced
purge: nothing else clears it (docs/explanation/dapr.md#a-second-pause-wedges-the-worker). Each repair is audited.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from approvals.audit_actions import AuditAction
from approvals.values import Value
from bot.control.reconciling import evidence
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.reaching import AWAY, HELP, Reach
from bot.control.reconciling.rebuilding import changes
from bot.control.reconciling.reconciler import Reconciler
from bot.control.reconciling.restoring import Restoration
from bot.engine.client import (
    Engine,
    EngineRefusedError,
    EngineUnavailableError,
    UnknownInstanceError,
    UnlistableError,
)
from bot.process.correlation import correlation_id
from records import audit, damage, instances, intake, listing, notifications, reconciling
from records.database import Database

log = structlog.get_logger(__name__)

ROWS_PER_CHECK = 500
GRACE = 3
"""An instance that ended less than this many times `young` ago is still followed by the app's own looks."""

YOUNG = timedelta(seconds=30)
"""Ignore rows updated within this window; they may still be in flight."""


class IssueKind(StrEnum):
    """A kind of damage to an instance."""

    RESTORED = "restored"
    UNLISTABLE = "unlistable"
    WEDGED = "wedged"
    STALLED = "stalled"
    DAMAGED = "damaged"
    FAILED = "failed"
    ORPHANED = "orphaned"
    DIVERGED = "diverged"
    VANISHED = "vanished"
    NEVER_STARTED = "never_started"
    CARD_LIES = "card_lies"
    UNANSWERED = "unanswered"
    UNTOLD = "untold"
    UNREADABLE = "unreadable"
    UNREACHED = "unreached"
    UNPROVEN = "unproven"
    UNSIGNED_START = "unsigned_start"


HOPELESS = frozenset(
    {
        IssueKind.NEVER_STARTED,
        IssueKind.STALLED,
        IssueKind.UNTOLD,
        IssueKind.UNREADABLE,
        IssueKind.UNLISTABLE,
        IssueKind.FAILED,
        IssueKind.DAMAGED,
        IssueKind.RESTORED,
        IssueKind.UNREACHED,
        IssueKind.UNPROVEN,
        IssueKind.UNSIGNED_START,
    }
)
"""Damage that a person has to repair."""


class Finding(Value):
    """One thing that is wrong: what, where, and what healing would do. `healed` is None while nothing was tried."""

    kind: IssueKind
    instance_id: str
    sentence: str
    healing: str
    healed: bool | None = None


TOLD_WITHIN = timedelta(days=7)
"""Refused messages are named for this long."""

WHO: dict[notifications.Kind, str] = {
    "card": "Those who look at its card",
    "thread": "Those who follow its thread",
    "reminder": "Its approvers",
    "requester": "Its requester",
    "answer": "The person who decided",
    "alarm": "The operators",
}

SENTENCES: dict[IssueKind, tuple[str, str]] = {
    IssueKind.RESTORED: (
        "{why}",
        "Nothing: compare what was approved with what your systems did, then: countersign doctor --after-restore.",
    ),
    IssueKind.UNLISTABLE: (
        "The engine cannot list its instances: {why}.",
        "Nothing: purge that instance by its id. Until then only what the database knows is examined.",
    ),
    IssueKind.FAILED: (
        "Its workflow broke off with an error: {why}. {effect}",
        "Nothing: run it again with 'countersign rerun ID' when the cause is mended, or purge it.",
    ),
    IssueKind.WEDGED: (
        "It was suspended twice in a row, and its history makes every worker that loads it loop and grow.",
        "Purge it by force. The request ends as terminated and its card says so; start it again under a new id.",
    ),
    IssueKind.STALLED: (
        "No worker knows this version of its workflow, or its history is too large for one. Decisions are kept.",
        "Nothing: deploy a worker that knows the version, or purge it by force (countersign purge ID --force).",
    ),
    IssueKind.DAMAGED: (
        "The engine cannot read its history any more: {why}. Decisions are kept, and cannot reach it.",
        "Nothing: ask again under a new id. The engine cannot purge it either; delete its rows in the state store.",
    ),
    IssueKind.ORPHANED: ("The engine runs it, and this app has no row of it.", "Add a row, so that it is listed."),
    IssueKind.DIVERGED: (
        "The database says {row}, the engine says {engine}.",
        "Follow the engine, and rewrite the card.",
    ),
    IssueKind.VANISHED: (
        "The database says {row}, and the engine does not know it any more: somebody purged it.",
        "Note its end, and rewrite the card. The audit stays.",
    ),
    IssueKind.NEVER_STARTED: (
        "It was asked for and the engine never got it.",
        "Nothing: the same start again (POST /orders/{{order_id}}/start) starts it.",
    ),
    IssueKind.CARD_LIES: ("Its card shows {shown} where it has to show {wanted}.", "Rewrite the card."),
    IssueKind.UNANSWERED: (
        "A decision waits for the workflow's answer since {since}.",
        "Deliver it again now. The workflow counts a decision once, however often it comes.",
    ),
    IssueKind.UNTOLD: (
        "{who} could not be told what became of it: {why}",
        "Nothing: tell them yourself. What Slack refuses until the app is mended is sent by itself then.",
    ),
    IssueKind.UNREADABLE: (
        "{row} It is set aside; nothing else waits for it.",
        "Nothing: mend the row or restore it from a backup. A decision in it is lost unless the row is mended.",
    ),
    IssueKind.UNPROVEN: (
        "{entry} Either a database was restored, or a stranger reaches the sidecar's port or the database.",
        "Nothing: look at the request and at who did it, and close the port (SECURITY.md).",
    ),
    IssueKind.UNSIGNED_START: (
        "It was started straight at the sidecar, and no door signed it. Its card says so; it has no effect of ours.",
        "Nothing: terminate it unless you know who started it, and start requests at a door: POST /requests.",
    ),
}


class Doctor:
    """Examines and heals. Raises: EngineUnavailableError, RecordsError: without both nothing can be compared.

    `own` are the workflows that only the app's doors start.
    """

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        engine: Engine,
        reconciler: Reconciler,
        restoration: Restoration,
        reach: Reach | None = None,
        card_repair: CardRepair,
        clock: Callable[[], datetime],
        own: tuple[str, ...] = (),
        young: timedelta = YOUNG,
    ) -> None:
        self._young = young
        self._own = own
        self._database = database
        self._engine = engine
        self._reconciler = reconciler
        self.restoration = restoration
        self._reach = reach
        self._card_repair = card_repair
        self._clock = clock

    # ---- looking ----------------------------------------------------------------------------------------------------

    async def examine(self) -> tuple[Finding, ...]:
        """Return all that is wrong, the worst first. Changes nothing."""
        found = [each async for each in self._in_the_engine()]
        if (lost := await self.restoration.look()) is not None:
            found.append(_finding(IssueKind.RESTORED, "", why=lost.sentence))
        known = {each.instance_id for each in found if each.kind in {IssueKind.WEDGED, IssueKind.DAMAGED}}
        found += [each async for each in self._in_the_database() if each.instance_id not in known]
        found += [each async for each in self._failed()]
        found += [each for each in await self._cards() if each.instance_id not in known]
        found += [each for each in await self._decisions() if each.instance_id not in known]
        found += await self._untold()
        found += await self._unreached()
        found += [
            _finding(IssueKind.UNREADABLE, bad.key, row=bad.sentence) async for bad in damage.find(self._database)
        ]
        for each in await evidence.unproven_entries(self._database):
            found.append(_finding(IssueKind.UNPROVEN, each.instance_id, entry=each.sentence))
        for instance_id in await evidence.unsigned_starts(self._database, self._engine, self._own):
            found.append(_finding(IssueKind.UNSIGNED_START, instance_id))
        order = list(IssueKind)
        return tuple(sorted(found, key=lambda each: (order.index(each.kind), each.instance_id)))

    async def _in_the_engine(self) -> AsyncIterator[Finding]:
        """Page through all instances of the engine, for those without a row and those that are wedged."""
        token: str | None = None
        while True:
            try:
                ids, token = await self._engine.instance_ids(token)
            except UnlistableError as error:
                yield _finding(IssueKind.UNLISTABLE, "", why=str(error))
                return
            async with self._database.read() as connection:
                missing = await listing.missing(connection, tuple(ids))
            for instance_id in missing:
                yield _finding(IssueKind.ORPHANED, instance_id)
            for instance_id in ids:
                if (found := await self._looked_at(instance_id)) is not None:
                    yield found
            if not token or not ids:
                return

    async def _looked_at(self, instance_id: str) -> Finding | None:
        """Look at one instance. What keeps it alone from being looked at must not end the look at the others."""
        try:
            state = await self._engine.state(instance_id, payloads=False)
            if state is not None and state.status == "STALLED":
                return _finding(IssueKind.STALLED, instance_id)
            if state is None or state.status not in {"SUSPENDED", "RUNNING"}:
                return None
            history = await self._engine.history(instance_id)
        except UnknownInstanceError:
            return None
        except EngineRefusedError as error:
            return _finding(IssueKind.DAMAGED, instance_id, why=str(error))
        except EngineUnavailableError as error:
            await self._engine.ping()
            log.warning("an instance could not be looked at", instance_id=instance_id, why=str(error))
            return None
        return _finding(IssueKind.WEDGED, instance_id) if suspended_twice(history.kinds) else None

    async def _in_the_database(self) -> AsyncIterator[Finding]:
        """Compare every row that has not ended with the engine."""
        settled = self._clock() - self._young
        async for row in listing.each_unfinished(self._database, ROWS_PER_CHECK):
            if row.updated_at < settled and (found := await self._compared(row)) is not None:
                yield found

    async def _failed(self) -> AsyncIterator[Finding]:
        """Name what broke off, until it is purged or run again."""
        async with self._database.read() as connection:
            rows = await reconciling.failed(connection, limit=ROWS_PER_CHECK)
        for row in rows:
            try:
                state = await self._engine.state(row.instance_id)
            except EngineRefusedError:
                continue  # it is damaged as well, and named for that
            if state is not None and state.status == "FAILED":
                approved = row.phase == "approved"
                effect = "It was approved, and what it is for may not be done." if approved else "Nothing was decided."
                why = (state.failure or "no reason given")[:200]
                yield _finding(IssueKind.FAILED, row.instance_id, why=why, effect=effect)

    async def _compared(self, row: instances.Instance) -> Finding | None:
        try:
            state = await self._engine.state(row.instance_id)
        except EngineRefusedError as error:
            return _finding(IssueKind.DAMAGED, row.instance_id, why=str(error))
        if state is None:
            kind = IssueKind.NEVER_STARTED if row.phase == "starting" else IssueKind.VANISHED
            return _finding(kind, row.instance_id, row=row.engine_status)
        wanted = changes(row, state)
        if state.finished and state.updated_at > self._clock() - GRACE * self._young:
            return None  # the reconciler has not come by since it ended
        if wanted is None or (wanted.engine_status == row.engine_status and wanted.phase is None):
            return None
        return _finding(IssueKind.DIVERGED, row.instance_id, row=row.engine_status, engine=state.status)

    async def _cards(self) -> list[Finding]:
        async with self._database.read() as connection:
            rows = await reconciling.stale(connection, self._clock(), self._young, limit=ROWS_PER_CHECK)
        return [
            _finding(IssueKind.CARD_LIES, row.instance_id, shown=row.shown or "nothing", wanted=row.wanted or "nothing")
            for row in rows
        ]

    async def _decisions(self) -> list[Finding]:
        async with self._database.read() as connection:
            late = await intake.unanswered(connection, self._clock() - self._young, ROWS_PER_CHECK)
        since: dict[str, datetime] = {}
        for row in late:
            since.setdefault(row.instance_id, row.created_at)
        return [
            _finding(IssueKind.UNANSWERED, instance_id, since=f"{at:%Y-%m-%d %H:%M:%S} UTC")
            for instance_id, at in since.items()
        ]

    async def _unreached(self) -> list[Finding]:
        """Name what waits where nobody can decide it. Without Slack the rest is examined all the same."""
        if self._reach is None:
            return []
        try:
            found = [each async for each in self._reach.find()]
        except AWAY as error:
            log.warning("who is asked could not be looked up in Slack", why=str(error))
            return []
        return [
            Finding(kind=IssueKind.UNREACHED, instance_id=each.instance_id, sentence=each.why, healing=HELP[each.what])
            for each in found
        ]

    async def _untold(self) -> list[Finding]:
        """Name what Slack has refused for good lately, and what has waited for Slack for long."""
        now = self._clock()
        async with self._database.read() as connection:
            refused = await notifications.refused(connection, now - TOLD_WITHIN, ROWS_PER_CHECK)
            late = await notifications.late(connection, now - self._young, ROWS_PER_CHECK)
        return [
            _finding(
                IssueKind.UNTOLD, row.instance_id, who=WHO[row.kind], why=row.problem or "it still waits for Slack."
            )
            for row in (*refused, *late)
            if row.result or row.problem
        ]

    # ---- healing ----------------------------------------------------------------------------------------------------

    async def heal(self, findings: Sequence[Finding], actor: str) -> tuple[Finding, ...]:
        """Heal what can be healed, each audited under `actor`, and return the findings with what became of them."""
        await self._audit(findings, actor)
        for each in findings:
            if each.kind is IssueKind.WEDGED:
                await self._purge(each)
            elif each.kind is IssueKind.UNANSWERED:
                async with self._database.write() as connection:
                    await intake.make_due(connection, each.instance_id, self._clock())
        # A wedged instance is gone now, so its row has vanished: the reconciler ends it and rewrites its card.
        await self._reconciler.look()
        await self._reconciler.sweep()
        await self._card_repair.repair()
        left = {(each.kind, each.instance_id) for each in await self.examine()}
        return tuple(
            each.model_copy(update={"healed": _is_healed(each, (each.kind, each.instance_id) in left)})
            for each in findings
        )

    async def _purge(self, finding: Finding) -> None:
        try:
            await self._engine.purge(finding.instance_id, force=True)
        except (EngineRefusedError, EngineUnavailableError) as error:
            log.warning("a wedged workflow is not purged", instance_id=finding.instance_id, why=str(error))

    async def _audit(self, findings: Sequence[Finding], actor: str) -> None:
        for each in findings:
            if each.kind in HOPELESS:
                continue
            entry = audit.Entry(
                at=self._clock(),
                actor=actor,
                action=AuditAction(f"doctor.healed_{each.kind}"),
                instance_id=each.instance_id,
                through="cli",
                reason=each.sentence,
                correlation_id=correlation_id(),
                data={"healing": each.healing},
            )
            async with self._database.write() as connection:
                await audit.append(connection, entry)


def suspended_twice(kinds: Sequence[str]) -> bool:
    """Return whether a history has a second pause (docs/explanation/dapr.md#a-second-pause-wedges-the-worker)."""
    suspended = False
    for kind in kinds:
        if kind == "executionSuspended":
            if suspended:
                return True
            suspended = True
        elif kind == "executionResumed":
            suspended = False
    return False


def _finding(kind: IssueKind, instance_id: str, **facts: str) -> Finding:
    sentence, healing = SENTENCES[kind]
    return Finding(kind=kind, instance_id=instance_id, sentence=sentence.format(**facts), healing=healing.format())


def _is_healed(finding: Finding, left: bool) -> bool | None:  # noqa: FBT001 whether it is found again
    """Return whether it is well: what only time can show (an answer), and what needs a person, is not said to be."""
    if finding.kind in HOPELESS | {IssueKind.UNANSWERED} and left:
        return None
    return not left
