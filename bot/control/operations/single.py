"""Changing a workflow from outside: pause, resume, terminate, purge, rerun, raise an event, start.

One call at a time for each instance, the state read first: pausing twice is one pause, resuming what runs a sentence.
Each call is audited before it is made and after it failed. A call that ends a request rewrites its card.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog

from activities.telling import stopped_of
from approvals.audit_actions import AuditAction
from approvals.authority import Action, Resource
from approvals.statuses import ENDED, Status
from approvals.values import Value
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.control.operations.starting import ID_SENTENCE, INSTANCE_ID, Starting
from bot.control.subjects import Subject, Subjects
from bot.engine.client import (
    AlreadyExistsError,
    Engine,
    EngineRefusedError,
    EngineUnavailableError,
    UnknownInstanceError,
)
from bot.process.correlation import correlation_id
from cards.request_card import Ending
from records import audit, instances, intake, leases, notifications
from records.database import Database

log = structlog.get_logger(__name__)


LEASE = timedelta(minutes=2)
"""How long a call may hold an instance. Each call to the engine has a deadline far below."""

TAKEN = "{} is taken, and an id is not run twice. Nothing was started: use another id."

TURNS = (0.05, 0.1, 0.2, *[0.4] * 24)
"""Seconds between the looks whether it is our turn; ten seconds in all."""


class Done(Value):
    """What became of a call. `changed` is False where the instance was so already; `sentence` is for people."""

    instance_id: str
    status: str
    changed: bool
    sentence: str


class Operations:
    """The management calls. Raises: Refused, EngineUnavailableError."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        engine: Engine,
        access: Access,
        subjects: Subjects,
        starting: Starting,
        notify: Callable[[Iterable[notifications.Row]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._access = access
        self._subjects = subjects
        self._starting = starting
        self._notify = notify
        self._clock = clock

    async def start(  # noqa: PLR0913 what a start consists of
        self,
        caller: Caller,
        name: str,
        value: Any,
        *,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reason: str = "",
    ) -> Done:
        """Start a workflow by name, now or at a moment. An id that has run is not run again.

        Raises: Refused INVALID for a name, an id or an input, CONFLICT if the id is taken.
        """
        await self._access.demand(caller, Action.START_WORKFLOW)
        start = self._starting.checked(name, value, instance_id, start_at, caller.email)
        async with self._turn(start.instance_id):
            found = await self._engine.state(start.instance_id, payloads=False)
            if found is not None or not await self._starting.begin(start):
                status = found.status if found else "known from before"
                raise Refused(
                    Kind.CONFLICT,
                    f"{start.instance_id} is taken ({status}), and an id is not run twice. Nothing was started: use "
                    "another id.",
                )
            subject = Subject(instance_id=start.instance_id, engine=None, row=None, begun=True)
            await self._do(
                caller, Action.START_WORKFLOW, subject, reason, lambda: self._starting.schedule(start), name=name
            )
        text = "It has started." if start.start_at is None else f"It starts at {start.start_at:%Y-%m-%d %H:%M:%S} UTC."
        status = "RUNNING" if start.start_at is None else "PENDING"
        return Done(instance_id=start.instance_id, status=status, changed=True, sentence=text)

    async def pause(self, caller: Caller, reference: str, reason: str) -> Done:
        """Suspend a running instance. Its timers' clocks go on; events are kept."""
        async with self._alone(caller, Action.PAUSE, reference) as subject:
            if subject.status == "SUSPENDED":
                return self._unchanged(subject, "It is paused already, so nothing was done. Resume it to let it go on.")
            if subject.status != "RUNNING":
                raise Refused(
                    Kind.CONFLICT,
                    f"Only a running workflow can be paused, and {subject.instance_id} is {subject.status}.",
                )
            await self._do(caller, Action.PAUSE, subject, reason, lambda: self._engine.pause(subject.instance_id))
            return await self._changed(subject, "SUSPENDED", "It is paused. Decisions are kept until it is resumed.")

    async def resume(self, caller: Caller, reference: str, reason: str = "") -> Done:
        """Let a suspended instance go on."""
        async with self._alone(caller, Action.RESUME, reference) as subject:
            if subject.status == "RUNNING":
                return self._unchanged(subject, "It is running already, so nothing was done.")
            if subject.status != "SUSPENDED":
                raise Refused(
                    Kind.CONFLICT,
                    f"Only a paused workflow can be resumed, and {subject.instance_id} is {subject.status}.",
                )
            await self._do(caller, Action.RESUME, subject, reason, lambda: self._engine.resume(subject.instance_id))
            return await self._changed(subject, "RUNNING", "It goes on. Decisions that were kept count now.")

    async def terminate(self, caller: Caller, reference: str, reason: str) -> Done:
        """End an instance for good. It runs no more code, so the card is rewritten here."""
        async with self._alone(caller, Action.TERMINATE, reference) as subject:
            if subject.status in ENDED:
                return self._unchanged(subject, f"It is over already ({subject.status}), so nothing was done.")
            output = {"status": "terminated", "reason": reason or "no reason given", "by": caller.email or caller.actor}
            await self._do(
                caller, Action.TERMINATE, subject, reason, lambda: self._engine.terminate(subject.instance_id, output)
            )
            await self._ended(caller, subject, reason)
            return Done(
                instance_id=subject.instance_id, status="TERMINATED", changed=True,
                sentence="It is terminated. Nothing was approved, and its card has no buttons any more.",
            )  # fmt: skip

    async def purge(self, caller: Caller, reference: str, reason: str = "", *, force: bool = False) -> Done:
        """Purge a finished instance's history; its audit stays. `force` purges a wedged, unfinished one too."""
        async with self._alone(caller, Action.PURGE, reference) as subject:
            if subject.engine is None:
                await self._forget(subject)
                return self._unchanged(subject, "The engine has no history of it any more, so nothing was done.")
            if subject.status not in ENDED and not force:
                raise Refused(
                    Kind.CONFLICT,
                    f"{subject.instance_id} is {subject.status} and not over, so it was not purged. Terminate it "
                    "first.",
                )
            await self._do(
                caller, Action.PURGE, subject, reason, lambda: self._engine.purge(subject.instance_id, force=force)
            )
            if subject.status not in ENDED:
                await self._ended(caller, subject, reason)  # nobody can decide it any more, and its card has to say so
            await self._forget(subject)
            return Done(
                instance_id=subject.instance_id, status=subject.status, changed=True,
                sentence="Its history is purged. Its audit entries stay.",
            )  # fmt: skip

    async def rerun(self, caller: Caller, reference: str, event_id: int, new_id: str | None, reason: str = "") -> Done:
        """Run a finished instance again from one of its events, as a new instance."""
        async with self._alone(caller, Action.RERUN, reference) as subject:
            if new_id is not None and not INSTANCE_ID.fullmatch(new_id):
                raise Refused(Kind.CONFLICT, f"{ID_SENTENCE} Nothing was started.")
            if new_id == subject.instance_id:
                raise Refused(Kind.CONFLICT, TAKEN.format(new_id))
            made: list[str] = []

            async def run() -> None:
                made.append(await self._engine.rerun(subject.instance_id, event_id, new_id))

            await self._do(caller, Action.RERUN, subject, reason, run, event_id=event_id, new_instance_id=new_id)
            return Done(
                instance_id=made[0], status="RUNNING", changed=True,
                sentence=f"{subject.instance_id} runs again from its event {event_id}, as the new instance {made[0]}.",
            )  # fmt: skip

    async def raise_event(self, caller: Caller, reference: str, name: str, payload: Any, reason: str = "") -> Done:
        """Raise an event at a waiting instance. `approval_decision` is refused: it needs a person's own path."""
        try:
            await self._subjects.resolve(reference)
        except Refused as error:
            await self._access.demand(caller, Action.RAISE_EVENT, Resource(status="RUNNING"))
            lost = Subject(instance_id=reference[:200], engine=None, row=None)
            await self._audit(caller, AuditAction.WORKFLOW_RAISE_EVENT_FAILED, lost, str(error), event=name)
            raise
        async with self._alone(caller, Action.RAISE_EVENT, reference) as subject:
            if name.casefold() == "approval_decision":
                raise Refused(
                    Kind.CONFLICT,
                    "A decision is not raised as a bare event: it has to be a person's own. Decide in Slack, or with "
                    "POST /orders/{order_id}/approve.",
                )
            if not isinstance(payload, dict) or not payload:
                raise Refused(
                    Kind.CONFLICT,
                    "The event's payload must be a JSON object with something in it: the engine delivers an empty one, "
                    "false or 0 as nothing.",
                )
            if subject.status in ENDED:
                text = f"{subject.instance_id} is over ({subject.status}): the event would be dropped."
                await self._audit(caller, AuditAction.WORKFLOW_RAISE_EVENT_FAILED, subject, text, event=name)
                raise Refused(Kind.CONFLICT, text)
            if subject.status == "PENDING":
                raise Refused(
                    Kind.CONFLICT,
                    f"{subject.instance_id} has not started yet, and any event would start it at once. Wait until it "
                    "runs.",
                )
            await self._do(
                caller, Action.RAISE_EVENT, subject, reason,
                lambda: self._engine.raise_event(subject.instance_id, name, payload), event=name,
            )  # fmt: skip
            return Done(
                instance_id=subject.instance_id,
                status=subject.status,
                changed=True,
                sentence=f"The event {name} is raised.",
            )

    # ---- what all of them share -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _alone(self, caller: Caller, action: Action, reference: str) -> AsyncIterator[Subject]:
        """Find the subject, hold it against all other calls, and ask whether the caller may."""
        found = await self._subjects.find(reference)
        async with self._turn(found.instance_id):
            subject = await self._subjects.find(found.instance_id)
            await self._subjects.demand(caller, action, subject, in_any_status=True)
            yield subject

    @asynccontextmanager
    async def _turn(self, instance_id: str) -> AsyncIterator[None]:
        """Hold an instance against calls of this process and of every other one. Raises: Refused BUSY."""
        async with self._engine.alone(instance_id):
            holder = uuid.uuid4().hex
            await self._lease(instance_id, holder)
            try:
                yield
            finally:
                async with self._database.write() as connection:
                    await leases.release(connection, instance_id, holder)

    async def _lease(self, instance_id: str, holder: str) -> None:
        """Wait for another process's call to end; one that died in the middle loses its turn after LEASE."""
        for pause in TURNS:
            async with self._database.write() as connection:
                if await leases.take(connection, instance_id, holder, self._clock(), LEASE):
                    return
            await asyncio.sleep(pause)
        raise Refused(
            Kind.BUSY,
            f"Another call is at work on {instance_id}, so nothing was done. Look at its status and try again.",
        )

    async def _do(
        self,
        caller: Caller,
        action: Action,
        subject: Subject,
        reason: str,
        call: Callable[[], Awaitable[object]],
        **data: Any,
    ) -> None:
        """Audit the call, make it, audit its failure: a crash leaves an entry without an effect, never the opposite."""
        await self._audit(caller, AuditAction(f"workflow.{action}"), subject, reason, **data)
        try:
            await call()
        except UnknownInstanceError as error:
            await self._audit(caller, AuditAction(f"workflow.{action}_failed"), subject, str(error))
            raise Refused(
                Kind.CONFLICT, f"The engine does not know {subject.instance_id} any more, so nothing was done."
            ) from error
        except AlreadyExistsError as error:
            await self._audit(caller, AuditAction(f"workflow.{action}_failed"), subject, str(error))
            raise Refused(Kind.CONFLICT, TAKEN.format(data.get("new_instance_id") or subject.instance_id)) from error
        except EngineRefusedError as error:
            await self._audit(caller, AuditAction(f"workflow.{action}_failed"), subject, str(error))
            raise Refused(Kind.CONFLICT, f"The engine refused: {error}. Nothing was done.") from error
        except EngineUnavailableError as error:
            await self._audit(caller, AuditAction(f"workflow.{action}_failed"), subject, str(error))
            raise

    async def _audit(self, caller: Caller, action: AuditAction, subject: Subject, reason: str, **data: Any) -> None:
        row = subject.row
        entry = audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=action,
            instance_id=subject.instance_id,
            request_digest=(row.digest or "") if row else "",
            through=caller.through,
            reason=reason,
            policy_version=(row.policy_version or "") if row else "",
            correlation_id=correlation_id(),
            data={"status": subject.status, "email": caller.email, **data},
        )
        async with self._database.write() as connection:
            await audit.append(connection, entry)

    def _unchanged(self, subject: Subject, text: str) -> Done:
        return Done(instance_id=subject.instance_id, status=subject.status, changed=False, sentence=text)

    async def _changed(self, subject: Subject, status: Status, text: str) -> Done:
        async with self._database.write() as connection:
            changes = instances.Changes(engine_status=status)
            await instances.project(connection, subject.instance_id, changes, self._clock())
            await intake.hurry(connection, subject.instance_id, self._clock())
        return Done(instance_id=subject.instance_id, status=status, changed=True, sentence=text)

    async def _ended(self, caller: Caller, subject: Subject, reason: str) -> None:
        """Note the end, and have the card rewritten and people told."""
        now = self._clock()
        ending = Ending(
            kind="terminated",
            by=caller.person.user if caller.person else None,
            by_name=caller.email or caller.actor,
            reason=reason,
            at=now,
        )
        async with self._database.write() as connection:
            row = await instances.get(connection, subject.instance_id)  # its card may only just have been posted
            wanted = "terminated" if row is not None and row.cards else ""
            changes = instances.Changes(
                engine_status="TERMINATED", phase="terminated", wanted=wanted, output=ending.model_dump_json()
            )
            await instances.project(
                connection, subject.instance_id, changes, now, while_in=("starting", "waiting", "unknown")
            )
            await intake.hurry(connection, subject.instance_id, now)
            told = stopped_of(row.state, "terminated") if row is not None and row.state is not None else ()
            new = await notifications.enqueue(connection, told, now)
        self._notify(new)

    async def _forget(self, subject: Subject) -> None:
        async with self._database.write() as connection:
            await instances.forget(connection, subject.instance_id, self._clock())


def as_json(text: str) -> Any:
    """Return what a person typed as JSON. Raises: Refused INVALID."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refused(
            Kind.INVALID, f'The payload is not JSON: {error}. Write an object such as {{"paid": true}}.'
        ) from error
