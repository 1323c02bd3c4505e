"""From the intake to the workflow: raise each decision as an event until the workflow itself has answered for it.

A raise that timed out may count or be lost (docs/explanation/dapr.md#when-parts-die). So it is repeated, and the
workflow counts each decision id once. A decision whose workflow no longer exists is answered here.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from activities.observer import NotificationQueue
from activities.slack.alarming import alarm
from approvals.audit_actions import AuditAction
from approvals.decision import Reason, Verdict
from approvals.messages import sentence
from bot.decisions.answers import Answers
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError, UnknownInstanceError
from bot.process import measures
from bot.process.background import Background
from bot.process.periodic import NextRound, Periodic
from records import audit, instances, intake, notifications
from records.database import Database
from records.errors import RecordsError, public_message
from workflows.obtain import APPROVAL_DECISION

log = structlog.get_logger(__name__)

DELIVERER_LEASE = timedelta(seconds=30)
ANSWER_BY = timedelta(seconds=15)
"""A raised decision without the workflow's answer is raised again after this, then at twice the time, and so on."""

SLOW_RAISE_S = 3.0
"""A raise takes milliseconds. One that takes longer is shown before its own deadline ends it."""

ALONE_S = 120.0
"""An instance that takes no raise for this long has a problem of its own."""

SUSPENDED_PAUSE = timedelta(seconds=30)

LONGEST_RAISE_PAUSE_S = 5.0
RAISES_PER_LOOK = 50
RAISES_AT_ONCE = 16
INTAKE_POLL_S = 1.0
"""Seconds between looks for decisions of another process or of before a restart."""

INTAKE_HAND_BACK_S = 2.0
"""How long the end waits for a database that does not answer."""

ALARM_AGE = timedelta(seconds=30)


class Raises:
    """Whether decisions reach workflows now: raises in flight, and failures since the last success."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._said = False

    @contextmanager
    def one(self, instance_id: str) -> Iterator[None]:
        """Watch one raise. Only an engine that is away counts: a refusal is about one instance."""
        now = self._clock()
        self._under_way.setdefault(instance_id, now)
        slow = asyncio.get_running_loop().call_later(SLOW_RAISE_S, self._say)
        try:
            yield
        except EngineUnavailableError:
            self._say()
            self._failed.setdefault(instance_id, now)
            raise
        except EngineRefusedError:
            self._failed.pop(instance_id, None)
            raise
        else:
            self._failed.clear()
            self._said = False
        finally:
            slow.cancel()
            self._under_way.pop(instance_id, None)

    @property
    def failing(self) -> frozenset[str]:
        """The instances whose last raise failed since one arrived."""
        return frozenset(self._failed)

    def settled(self, instance_ids: Collection[str]) -> None:
        """Forget their failures: another process delivered, or the raise that timed out was kept and counted."""
        for each in instance_ids:
            self._failed.pop(each, None)
        self._said = self._said and bool(self._failed or self._under_way)

    def _say(self) -> None:
        """Log it once, until a raise arrives: a raise that hangs fails only at its deadline."""
        if not self._said:
            log.error("decisions do not reach their workflows")
        self._said = True

    @property
    def trouble_s(self) -> float:
        """For how many seconds no raise has arrived while some should have; 0 while all is well."""
        now = self._clock()
        slow = [began for began in self._under_way.values() if now - began > SLOW_RAISE_S]
        return max((now - began for began in (*slow, *self._failed.values())), default=0.0)

    @property
    def everywhere(self) -> bool:
        """Whether that concerns more than one instance that is ill by itself."""
        return self.trouble_s > 0 and (len({*self._failed, *self._under_way}) > 1 or self.trouble_s < ALONE_S)

    @property
    def message(self) -> str:
        """Say it to operators."""
        if self.trouble_s == 0:
            return "ok"
        return (
            f"No decision has reached its workflow for {self.trouble_s:.0f} s. They are kept and tried again: look "
            "whether the sidecar, its placement and its scheduler run."
        )


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
        self._held: set[str] = set()
        self._loop = Periodic("deliverer", self.round, INTAKE_POLL_S, passing=(RecordsError,), public=public_message)
        self.raises = Raises()
        self.failures = 0
        """Counts failed raises of this process, for the metrics."""

    def deliver(self, row: intake.Row) -> None:
        """Begin to deliver a fresh decision, and wait for nothing; its lease keeps the loop away meanwhile."""
        self._background.start(self._deliver(row), f"deliver {row.id[:12]}")

    @property
    def loop(self) -> Periodic:
        """Delivers due decisions, in a loop. It goes on while the database is away."""
        return self._loop

    async def round(self) -> NextRound:
        """Deliver due decisions; the next look comes at once if there are more. Raises: RecordsError."""
        found = await self._due()
        for failure in await asyncio.gather(*(self._deliver(row) for row in found), return_exceptions=True):
            if failure is not None:
                self.failures += 1
                log.error("a delivery failed; its lease brings it back", exc_info=failure)
        return NextRound(in_s=0.0 if len(found) == RAISES_PER_LOOK else INTAKE_POLL_S)

    async def hand_back(self) -> None:
        """Make decisions due at once that this process began to deliver and did not end with: another delivers them."""
        held, self._held = tuple(self._held), set()
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
        async with self._database.write() as connection:
            return await intake.due(connection, now, RAISES_PER_LOOK, DELIVERER_LEASE)

    async def _deliver(self, row: intake.Row) -> None:
        self._held.add(row.id)
        try:
            await self._attempt(row)
        except asyncio.CancelledError:
            raise  # it stays among those that are handed back
        except BaseException:
            self._held.discard(row.id)
            raise
        self._held.discard(row.id)

    async def _attempt(self, row: intake.Row) -> None:
        async with self._slots:
            try:
                await self._raise(row)
                measures.delivered((self._clock() - row.created_at).total_seconds())
            except (EngineUnavailableError, EngineRefusedError) as error:
                # A refusal may be temporary too: a wrong token, a full store (law: acknowledged means durable).
                pause = min(LONGEST_RAISE_PAUSE_S, 0.5 * 2.0 ** min(row.attempts, 10)) * random.uniform(0.7, 1.0)  # noqa: S311
                self.failures += 1
                log.warning("a decision is not delivered yet", decision=row.id[:12], why=str(error), again_in=pause)
                async with self._database.write() as connection:
                    await intake.retry_at(connection, row.id, self._clock() + timedelta(seconds=pause))

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
            with self.raises.one(row.instance_id):
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
            reason=sentence(verdict.reason, withdrawal=_is_withdrawal(row)),
            data={"decision_id": row.id},
        )
        told: tuple[notifications.Row, ...] = ()
        async with self._database.write() as connection:
            if await intake.answer(connection, row.id, verdict.model_dump(mode="json"), now):
                await audit.append(connection, entry)
                if row.through == "slack":
                    found = await instances.get(connection, row.instance_id)
                    told = await notifications.enqueue(connection, [_told(row, found, verdict)], now)
        self._queue.take(told)
        self._answers.answered(row.id, verdict)


def _told(row: intake.Row, found: instances.Instance | None, verdict: Verdict) -> notifications.Notification:
    """Return what the person hears: a row like all tellings, for Slack may be away when the workflow is over."""
    name = f"{found.kind} {found.subject}: ".lstrip() if found and found.subject else ""
    user, why = row.person.partition("/")[2], sentence(verdict.reason, withdrawal=_is_withdrawal(row))
    return alarm(f"over/{row.id}", f"{name}{why}", row.instance_id, user=user)


def _is_withdrawal(row: intake.Row) -> bool:
    return (row.payload.get("submission") or {}).get("type") == "withdraw"
