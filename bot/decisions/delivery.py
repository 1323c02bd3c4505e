"""From the intake to the workflow: raise each decision as an event until the workflow itself has answered for it.

A raise that timed out may count or be lost (docs/explanation/dapr.md#when-parts-die). So it is repeated, and the
workflow counts each decision id once. A decision whose workflow no longer exists is answered here.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from activities.observer import NotificationQueue
from activities.slack.alarming import alarm
from approvals.audit_actions import AuditAction
from approvals.decision import APPROVAL_DECISION, Reason, Verdict
from approvals.messages import message_for
from bot.decisions.answers import Answers
from bot.decisions.raises import Raises
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError, UnknownInstanceError
from bot.process import measures
from bot.process.background import Background
from bot.process.periodic import NextRound, Periodic
from records import audit, instances, intake, notifications
from records.database import Database
from records.errors import RecordsError, public_message

log = structlog.get_logger(__name__)

DELIVERER_LEASE = timedelta(seconds=5)
"""The lease of the process that delivers a decision: when it is over another takes the place of one that was killed.

It is renewed while the process is at work, for a raise may take as long as the engine's deadline.
"""

RENEWED_AFTER = timedelta(seconds=2)
ANSWER_BY = timedelta(seconds=15)
"""A raised decision without the workflow's answer is raised again after this, then at twice the time, and so on."""

SUSPENDED_PAUSE = timedelta(seconds=30)

LONGEST_RAISE_PAUSE_S = 5.0
RAISES_PER_LOOK = 50
RAISES_AT_ONCE = 16
INTAKE_POLL_S = 1.0
"""Seconds between looks for decisions of another process or of before a restart."""

INTAKE_HAND_BACK_S = 2.0
"""How long the end waits for a database that does not answer."""

ALARM_AGE = timedelta(seconds=30)


class Deliverer:
    """Raises the intake's decisions. One for each process; several processes share the work by leases."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        engine: Engine,
        background: Background,
        clock: Callable[[], datetime],
        queue: NotificationQueue,
        answers: Answers,
    ) -> None:
        self._database = database
        self._engine = engine
        self._background = background
        self._clock = clock
        self._answers = answers
        self._queue = queue
        self._slots = asyncio.Semaphore(RAISES_AT_ONCE)
        self._held: dict[str, datetime] = {}
        """When this process got the lease of each decision that it is at."""
        self._loop = Periodic("deliverer", self.round, INTAKE_POLL_S, passing=(RecordsError,), public=public_message)
        self.raises = Raises()
        self.failures = 0
        """Counts failed raises of this process, for the metrics."""

    def deliver(self, row: intake.Row) -> "asyncio.Task[None]":
        """Begin to deliver a decision whose lease this process has, and wait for nothing."""
        self._held[row.id] = self._clock()
        return self._background.begin(self._deliver(row), f"deliver {row.id[:12]}")

    @property
    def loop(self) -> Periodic:
        """Delivers due decisions, in a loop. It goes on while the database is away."""
        return self._loop

    async def round(self) -> NextRound:
        """Deliver due decisions; the next look comes at once if there are more. Raises: RecordsError.

        Those that take long go on beside the next rounds, which renew their leases.
        """
        found = await self._due()
        if not found:
            return NextRound(in_s=INTAKE_POLL_S)
        _, late = await asyncio.wait([self.deliver(row) for row in found], timeout=INTAKE_POLL_S)
        return NextRound(in_s=INTAKE_POLL_S if late or len(found) < RAISES_PER_LOOK else 0.0)

    async def hand_back(self) -> None:
        """Make decisions due at once that this process began to deliver and did not end with: another delivers them."""
        held, self._held = tuple(self._held), {}
        if not held:
            return
        try:
            async with asyncio.timeout(INTAKE_HAND_BACK_S), self._database.write() as connection:
                for decision_id in held:
                    await intake.retry_at(connection, decision_id, self._clock())
        except (RecordsError, TimeoutError) as error:
            log.warning("decisions are not handed back; their leases end by themselves", why=str(error))

    async def _due(self) -> tuple[intake.Row, ...]:
        now = self._clock()
        async with self._database.read() as connection:
            oldest = await intake.oldest_undelivered(connection, now)
            if failing := self.raises.failing:
                self.raises.settled(failing - await intake.waited_for(connection, failing))
        if oldest is None:
            return ()
        if oldest > ALARM_AGE:
            log.error("a decision is undelivered", seconds=round(oldest.total_seconds()))
        return await self._claimed(now)

    async def _claimed(self, now: datetime) -> tuple[intake.Row, ...]:
        """Renew the leases of what this process is at, and claim as much more as it has room for."""
        renewed = [key for key, since in self._held.items() if abs(now - since) > RENEWED_AFTER]
        room = RAISES_PER_LOOK - len(self._held)
        if room <= 0 and not renewed:
            return ()
        async with self._database.write() as connection:
            for decision_id in renewed:
                await intake.retry_at(connection, decision_id, now + DELIVERER_LEASE)
            found = await intake.due(connection, now, room, DELIVERER_LEASE) if room > 0 else ()
        self._held.update((key, now) for key in renewed if key in self._held)
        return tuple(row for row in found if row.id not in self._held)

    async def _deliver(self, row: intake.Row) -> None:
        try:
            await self._attempt(row)
        except asyncio.CancelledError:
            raise  # it stays among those that are handed back
        except Exception:
            self.failures += 1
            log.exception("a delivery failed; its lease brings it back", decision=row.id[:12])
        self._held.pop(row.id, None)

    async def _attempt(self, row: intake.Row) -> None:
        async with self._slots:
            try:
                await self._raise(row)
                measures.delivered((self._clock() - row.created_at).total_seconds())
            except (EngineUnavailableError, EngineRefusedError) as error:
                # A refusal may be temporary too: a wrong token, a full store (law: acknowledged means durable).
                pause = min(LONGEST_RAISE_PAUSE_S, 0.5 * 2.0 ** min(row.attempts, 10)) * random.uniform(0.7, 1.0)  # noqa: S311
                log.warning("a decision is not delivered yet", decision=row.id[:12], why=str(error), again_in=pause)
                async with self._database.write() as connection:
                    await intake.retry_at(connection, row.id, self._clock() + timedelta(seconds=pause))
                self.failures += 1

    async def _raise(self, row: intake.Row) -> None:
        """Raise once, after a look at the state (docs/explanation/dapr.md#a-finished-instance-drops-events)."""
        if row.attempts > 1:
            if await self._is_over(row.instance_id):
                await self._answer_for(row)
                return
            state = await self._engine.state(row.instance_id, payloads=False)
            if state is None or state.finished:
                broken = state is not None and state.status == "FAILED"
                await self._answer_for(row, Reason.BROKEN_OFF if broken else Reason.REQUEST_OVER)
                return
            if state.status == "SUSPENDED" and row.state == "raised":
                await self._again_in(row, SUSPENDED_PAUSE)  # it has the event already, and keeps it until it is resumed
                return
        try:
            with self.raises.slot(row.instance_id):
                await self._engine.raise_event(row.instance_id, APPROVAL_DECISION, row.payload)
        except UnknownInstanceError:
            if await self._engine.state(row.instance_id, payloads=False) is not None:
                raise
            await self._answer_for(row)
        else:
            if row.attempts > 1:
                await self._again_in(row, min(intake.LONGEST_WAIT, ANSWER_BY * 2 ** min(row.attempts, 8)))

    async def _is_over(self, instance_id: str) -> bool:
        """Return whether the workflow has written down its outcome: after that it takes no decision any more."""
        found = await self._database.look(instances.get.on, instance_id)
        return found is not None and found.state is not None and found.state.outcome is not None

    async def _again_in(self, row: intake.Row, pause: timedelta) -> None:
        async with self._database.write() as connection:
            await intake.raised(connection, row.id, self._clock() + pause)

    async def _answer_for(self, row: intake.Row, reason: Reason = Reason.REQUEST_OVER) -> None:
        """Answer a decision whose workflow is over: it can count nowhere any more."""
        verdict, now = Verdict(allowed=False, reason=reason, rule="engine"), self._clock()
        entry = audit.Entry(
            at=now,
            actor=row.person,
            action=AuditAction.WITHDRAWAL_REFUSED if _is_withdrawal(row) else AuditAction.DECISION_REFUSED,
            instance_id=row.instance_id,
            through=row.through,
            verdict=verdict.reason.value,
            reason=message_for(verdict.reason, withdrawal=_is_withdrawal(row)),
            data={"decision_id": row.id},
        )
        told: tuple[notifications.NotificationRow, ...] = ()
        async with self._database.write() as connection:
            if await intake.answer(connection, row.id, verdict.model_dump(mode="json"), now):
                await audit.append(connection, entry)
                if row.through == "slack":
                    found = await instances.get(connection, row.instance_id)
                    told = await notifications.enqueue(connection, [_told(row, found, verdict)], now)
        self._queue.take(told)
        self._answers.answered(row.id, verdict)


def _told(row: intake.Row, found: instances.Instance | None, verdict: Verdict) -> notifications.Notification:
    """Return the person's notification as a row: Slack may be away when the workflow has ended."""
    name = f"{found.kind} {found.subject}: ".lstrip() if found and found.subject else ""
    user, why = row.person.partition("/")[2], message_for(verdict.reason, withdrawal=_is_withdrawal(row))
    return alarm(f"over/{row.id}", f"{name}{why}", row.instance_id, user=user)


def _is_withdrawal(row: intake.Row) -> bool:
    return (row.payload.get("submission") or {}).get("type") == "withdraw"
