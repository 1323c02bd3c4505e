"""The steps that every management call shares: audit before and after, the engine's answer, the row, the card."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from activities.observer import NotificationQueue
from activities.telling import pause_of, stopped_of, wanted_while
from approvals.audit_actions import AuditAction
from approvals.statuses import Status
from approvals.values import Value
from approvals.verbs import Action
from bot.access.authenticating import Initiator
from bot.access.refusals import Kind, Refused
from bot.control.subjects import Subject
from bot.engine.client import (
    AlreadyExistsError,
    Engine,
    EngineRefusedError,
    EngineUnavailableError,
    UnknownInstanceError,
)
from bot.process.correlation import correlation_id
from cards.card_view import Ending
from records import audit, instances, intake, notifications
from records.database import Database

TAKEN = "{} is taken, and an id is not run twice. Nothing was started: use another id."


class Done(Value):
    """The result of a call. `changed` is False if the instance was so already; `sentence` is for people."""

    instance_id: str
    status: str
    changed: bool
    sentence: str


class Given(Value):
    """The arguments of a call beside the instance: the reason, and what single verbs need."""

    reason: str = ""
    force: bool = False
    event_id: int = -1
    new_id: str | None = None
    event: str = ""
    payload: Any = None


class Parts(NamedTuple):
    """The services that a call needs."""

    database: Database
    engine: Engine
    notifications: NotificationQueue
    clock: Callable[[], datetime]


class Call:
    """One call on one instance that is held for it. `by` may do it: that was asked before."""

    def __init__(self, parts: Parts, action: Action, by: Initiator, subject: Subject, given: Given) -> None:
        self.parts = parts
        self.engine = parts.engine
        self.by = by
        self.subject = subject
        self.given = given
        self._action = action

    async def make(self, call: Callable[[], Awaitable[object]], **data: Any) -> None:
        """Audit the call, make it, audit its failure: a crash leaves an entry without an effect, never the opposite.

        Raises: Refused CONFLICT for the engine's no, EngineUnavailableError.
        """
        await self.audit(AuditAction(f"workflow.{self._action}"), self.given.reason, **data)
        try:
            await call()
        except (EngineRefusedError, EngineUnavailableError) as error:
            await self.audit(AuditAction(f"workflow.{self._action}_failed"), str(error))
            if isinstance(error, EngineUnavailableError):
                raise
            raise Refused(Kind.CONFLICT, self._refusal(error)) from error

    def _refusal(self, error: EngineRefusedError) -> str:
        match error:
            case UnknownInstanceError():
                return f"The engine does not know {self.subject.instance_id} any more, so nothing was done."
            case AlreadyExistsError():
                return TAKEN.format(self.given.new_id or self.subject.instance_id)
            case _:
                return f"The engine refused: {error}. Nothing was done."

    async def audit(self, action: AuditAction, reason: str, **data: Any) -> None:
        """Write an entry about the instance."""
        row = self.subject.row
        entry = audit.Entry(
            at=self.parts.clock(),
            actor=self.by.actor,
            action=action,
            instance_id=self.subject.instance_id,
            request_digest=(row.digest or "") if row else "",
            through=self.by.through,
            reason=reason,
            policy_version=(row.policy_version or "") if row else "",
            correlation_id=correlation_id(),
            data={"status": self.subject.status, "email": self.by.email, **data},
        )
        async with self.parts.database.write() as connection:
            await audit.append(connection, entry)

    # ---- what became of it ------------------------------------------------------------------------------------------

    def done(self, text: str, status: str = "", instance_id: str = "", *, changed: bool = True) -> Done:
        """Return the answer; without a status or an id, the instance's own."""
        return Done(
            instance_id=instance_id or self.subject.instance_id,
            status=status or self.subject.status,
            changed=changed,
            sentence=text,
        )

    async def became(self, status: Status, text: str) -> Done:
        """Note the status that the engine gives the instance now; kept decisions are delivered at once."""
        now = self.parts.clock()
        async with self.parts.database.write() as connection:
            row = await instances.locked(connection, self.subject.instance_id)
            changes = instances.Changes(engine_status=status)
            told: tuple[notifications.Notification, ...] = ()
            if row is not None and row.state is not None and row.cards and row.phase == "waiting":
                paused = status == "SUSPENDED"
                wanted = wanted_while(row.wanted, paused=paused)
                changes = instances.Changes(engine_status=status, wanted=wanted)
                told = pause_of(row.state, "paused" if paused else "resumed", now)
            await instances.project(connection, self.subject.instance_id, changes, now)
            await intake.make_due(connection, self.subject.instance_id, now)
            new = await notifications.enqueue(connection, told, now)
        self.parts.notifications.take(new)
        return self.done(text, status)

    async def ended(self) -> None:
        """Note the end, and have the card rewritten and people notified."""
        now = self.parts.clock()
        ending = Ending(
            kind="terminated",
            by=self.by.person.user if self.by.person else None,
            by_name=self.by.email or self.by.actor,
            reason=self.given.reason,
            at=now,
        )
        async with self.parts.database.write() as connection:
            # Locked: its card may only just have been posted.
            row = await instances.locked(connection, self.subject.instance_id)
            wanted = "terminated" if row is not None and row.cards else ""
            changes = instances.Changes(
                engine_status="TERMINATED", phase="terminated", wanted=wanted, output=ending.model_dump_json()
            )
            await instances.project(
                connection, self.subject.instance_id, changes, now, while_in=("starting", "waiting", "unknown")
            )
            await intake.make_due(connection, self.subject.instance_id, now)
            told = stopped_of(row.state, "terminated") if row is not None and row.state is not None else ()
            new = await notifications.enqueue(connection, told, now)
        self.parts.notifications.take(new)

    async def forget(self) -> None:
        """Forget the personal data of a purged instance; the audit stays."""
        async with self.parts.database.write() as connection:
            await instances.forget(connection, self.subject.instance_id, self.parts.clock())
