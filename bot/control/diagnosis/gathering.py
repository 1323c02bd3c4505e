"""Gathering the facts of a diagnosis: from the engine, the read model, the audit and the intake. Reads only."""

import difflib
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.audit_actions import AuditAction
from bot.control.diagnosis.facts import Elsewhere, Facts, Refusal, Unposted
from bot.control.reading.story import text_of
from bot.control.subjects import Subject
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.engine.history import HistoryFacts, Raised
from records import audit, instances, intake, listing
from records.database import Database

REFUSED = frozenset({AuditAction.REQUEST_REFUSED, AuditAction.DECISION_REFUSED})
RAISE_FAILED = AuditAction.WORKFLOW_RAISE_EVENT_FAILED
NEIGHBOURS = 200
NEAR_IDS = 3


class FactFinder:
    """Finds facts. `connected` says whether this process's worker can be handed work; `names` what it registers."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        names: tuple[str, ...],
        connected: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._names = names
        self._connected = connected
        self._clock = clock

    async def find(self, subject: Subject, *, neighbours: bool = True) -> Facts:
        """Return all that is known of an instance; without `neighbours` nothing of any other.

        Raises: EngineUnavailableError.
        """
        history = await self._history(subject)
        row, engine = subject.row, subject.engine
        async with self._database.read() as connection:
            entries = await audit.of_instance(connection, subject.instance_id, limit=1000)
            waiting = await _undelivered(connection, subject.instance_id)
            near = await _near(connection, subject.instance_id, row) if neighbours else ()
            progress = await instances.progress(connection, (subject.instance_id,))
        found = Facts(
            instance_id=subject.instance_id,
            now=self._clock(),
            status=subject.status if engine else None,
            phase=row.phase if row else None,
            name=(engine.name if engine else "") or (row.name if row else ""),
            names=self._names,
            worker_connected=self._connected(),
            asked_to_start_at=row.created_at if row else None,
            starts=row.custom_status if row and row.custom_status.startswith("starts at") else "",
            ended_at=engine.updated_at if engine and engine.finished else (row.finished_at if row else None),
            failure=(engine.failure or "")[:500] if engine else "",
            history=_suspended_by(history, entries),
            deadline=row.deadline if row else None,
            waiting_on=row.waiting_on if row else (),
            what=f"{row.kind} {row.subject}".strip() if row else "",
            outcome=row.ended_as if row else None,
            progress=progress.get(subject.instance_id),
            refused=_refusal(entries),
            unposted=_unposted(row, entries),
            undelivered_since=waiting,
            late=_late(entries),
            near=near,
        )
        return found.model_copy(update={"elsewhere": await self._elsewhere(found)}) if neighbours else found

    async def unknown(self, reference: str) -> Facts:
        """Return the facts of an unknown id: the ids that are like it."""
        async with self._database.read() as connection:
            near = await _near(connection, reference, None)
        return Facts(instance_id=reference[:200], now=self._clock(), near=near)

    async def _history(self, subject: Subject) -> HistoryFacts:
        if subject.engine is None:
            return HistoryFacts()
        try:
            return (await self._engine.history(subject.instance_id)).gathered()
        except EngineRefusedError:
            return HistoryFacts()  # what is only scheduled has none yet
        except EngineUnavailableError:
            if subject.status != "STALLED":
                raise
            return HistoryFacts()  # one that is stalled by its size does not fit into an answer either

    async def _elsewhere(self, facts: Facts) -> tuple[Elsewhere, ...]:
        """Return awaited events that were raised at ids like this one: refused by us, or awaited by none."""
        if not facts.open_waits:
            return ()
        since = min(wait.since for wait in facts.open_waits)
        async with self._database.read() as connection:
            wanted = audit.EntryFilter(action=RAISE_FAILED)
            entries = await audit.page(connection, wanted, limit=50)
        failed = [
            Elsewhere(instance_id=entry.instance_id, name=str(entry.data.get("event", "")), at=entry.at, unknown=True)
            for entry in entries
            if entry.instance_id != facts.instance_id and _alike(entry.instance_id, facts.instance_id)
        ]
        return (*failed, *[found for near in facts.near[:NEAR_IDS] for found in await self._unclaimed(near, since)])

    async def _unclaimed(self, instance_id: str, since: datetime) -> list[Elsewhere]:
        try:
            history = (await self._engine.history(instance_id)).gathered()
        except EngineRefusedError:
            return []
        return [
            Elsewhere(instance_id=instance_id, name=raised.name, at=raised.at)
            for raised in history.raised
            if not raised.taken and raised.at >= since
        ]


def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other).ratio() >= 0.75  # noqa: PLR2004 one or two letters of an order's id


async def _near(connection: AsyncConnection, reference: str, row: instances.Instance | None) -> tuple[str, ...]:
    wanted = listing.Filter(name=row.name) if row and row.name else listing.Filter()
    page = await listing.page(connection, wanted, limit=NEIGHBOURS)
    others = [line.instance_id for line in page.lines if line.instance_id != reference]
    by_subject = {line.subject: line.instance_id for line in page.lines if line.subject and line.subject != reference}
    near = difflib.get_close_matches(reference, others, n=NEAR_IDS, cutoff=0.75)
    meant = (
        [by_subject[each] for each in difflib.get_close_matches(reference, list(by_subject), n=1)] if not near else []
    )
    return tuple(near or meant)


async def _undelivered(connection: AsyncConnection, instance_id: str) -> datetime | None:
    waiting = await intake.pending_for(connection, instance_id)
    return min((row.created_at for row in waiting), default=None)


def _suspended_by(history: HistoryFacts, entries: tuple[audit.Chained, ...]) -> HistoryFacts:
    """Say who paused it, as far as it was done through us."""
    last = next((entry for entry in reversed(entries) if entry.action == AuditAction.WORKFLOW_PAUSE), None)
    if history.suspension is None or last is None:
        return history
    who = str(last.data.get("email") or last.actor)
    suspension = history.suspension.model_copy(update={"by": who, "why": last.reason})
    return history.model_copy(update={"suspension": suspension})


def _refusal(entries: tuple[audit.Chained, ...]) -> Refusal | None:
    """Return the last decision if it did not count, and none that counts came after it."""
    decided = [entry for entry in entries if entry.action in REFUSED or entry.action == AuditAction.REQUEST_ACCEPTED]
    if not decided or decided[-1].action not in REFUSED:
        return None
    return Refusal(at=decided[-1].at, who=decided[-1].actor, sentence=text_of(decided[-1]))


def _unposted(row: instances.Instance | None, entries: tuple[audit.Chained, ...]) -> Unposted | None:
    asked = next(
        (at for at, entry in enumerate(reversed(entries)) if entry.action == AuditAction.REQUEST_ASKED), len(entries)
    )
    since_asked = entries[len(entries) - asked :]
    found = [entry for entry in since_asked if entry.action == AuditAction.CARD_UNPOSTED]
    if row is None or row.phase != "waiting" or not found or (row.state and len(row.state.cards) > row.state.stage):
        return None
    return Unposted(channel=str(found[0].data.get("channel", "")), since=found[0].at)


def _late(entries: tuple[audit.Chained, ...]) -> tuple[Raised, ...]:
    return tuple(
        Raised(name=str(entry.data.get("event") or "approval_decision"), at=entry.at)
        for entry in entries
        if entry.action == RAISE_FAILED
        or (entry.action == AuditAction.DECISION_REFUSED and entry.verdict == "request_over")
    )
