"""Changing a workflow from outside: the verbs of `approvals/verbs`, and a start.

One call at a time for each instance, the state read first: pausing twice is one pause, resuming what runs a message.
Each call is audited before it is made and after it failed. What ends a request rewrites its card
(law: decide, then audit, then announce).
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from approvals.audit_actions import AuditAction
from approvals.authority import Resource
from approvals.verbs import Action, Verb
from bot.access.authenticating import Access, Caller, Initiator
from bot.access.refusals import Kind, Refused
from bot.control.operations.calls import TAKEN, Call, Done, Given, Parts
from bot.control.operations.rules import RULES
from bot.control.operations.starting import Starting
from bot.control.subjects import Subject, Subjects
from records import leases

CALL_LEASE = timedelta(minutes=1)
"""The lease of a call on an instance. Each call to the engine has a much shorter deadline."""

TURNS_S = (0.05, 0.1, 0.2, *[0.4] * 24)
"""Seconds between attempts to get the instance's lease; ten seconds in all."""


class Operations:
    """The management calls. Raises: Refused, EngineUnavailableError."""

    def __init__(
        self,
        parts: Parts,
        access: Access,
        subjects: Subjects,
        starting: Starting,
        turns_s: Sequence[float] = TURNS_S,
    ) -> None:
        self._turns_s = turns_s
        self._parts = parts
        self._access = access
        self._subjects = subjects
        self._starting = starting

    async def act(self, caller: Caller, verb: Verb, reference: str, given: Given) -> Done:
        """Carry the verb out for an authorized caller; a refusal is audited."""
        if verb.action is Action.RAISE_EVENT:
            await self._audit_lost(caller, reference, given)
        found = await self._subjects.find_for(caller, verb.action, reference, in_any_status=True)
        return await self.act_for(caller.initiator, verb, found.instance_id, given)

    async def act_for(self, by: Initiator, verb: Verb, instance_id: str, given: Given) -> Done:
        """Carry the verb out within a bulk operation, authorized at its start."""
        async with self._turn(instance_id):
            return await self._do(verb, by, await self._subjects.find(instance_id), given)

    async def _do(self, verb: Verb, by: Initiator, subject: Subject, given: Given) -> Done:
        call = Call(self._parts, verb.action, by, subject, given)
        if (text := verb.nothing_to_do(subject.status, subject.end)) is not None:
            return call.done(text, changed=False)
        if not verb.judges_itself and (text := verb.hindrance(subject.status, subject.name, subject.end)) is not None:
            raise Refused(Kind.CONFLICT, text)
        return await RULES[verb.name](call)

    async def _audit_lost(self, caller: Caller, reference: str, given: Given) -> None:
        """Write down an event for an id that is not known: a sender who got the id wrong looks for it in the audit."""
        try:
            await self._subjects.resolve(reference)
        except Refused as error:
            await self._access.demand(caller, Action.RAISE_EVENT, Resource(status="RUNNING"))
            lost = Subject(instance_id=reference[:200], engine=None, row=None)
            call = Call(self._parts, Action.RAISE_EVENT, caller.initiator, lost, given)
            await call.audit(AuditAction.WORKFLOW_RAISE_EVENT_FAILED, str(error), event=given.event)
            raise

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
        start = await self._starting.checked(name, value, instance_id, start_at, caller.email)
        async with self._turn(start.instance_id):
            found = await self._parts.engine.state(start.instance_id, payloads=False)
            if found is not None or not (await self._starting.begin(start, caller.actor))[1]:
                raise Refused(Kind.CONFLICT, TAKEN.format(start.instance_id))
            subject = Subject(instance_id=start.instance_id, engine=None, row=None, begun=True)
            call = Call(self._parts, Action.START_WORKFLOW, caller.initiator, subject, Given(reason=reason))
            await call.make(lambda: self._starting.schedule(start), name=name)
        text = "It has started." if start.start_at is None else f"It starts at {start.start_at:%Y-%m-%d %H:%M:%S} UTC."
        return call.done(text, "RUNNING" if start.start_at is None else "PENDING")

    # ---- one call at a time -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self, instance_id: str) -> AsyncIterator[None]:
        """Hold an instance against calls of this process and of every other one. Raises: Refused BUSY."""
        async with self._parts.engine.alone(instance_id):
            holder = uuid.uuid4().hex
            await self._lease(instance_id, holder)
            try:
                yield
            finally:
                async with self._parts.database.write() as connection:
                    await leases.release(connection, instance_id, holder)

    async def _lease(self, instance_id: str, holder: str) -> None:
        """Wait for another process's call to end; one that died in the middle loses its turn after CALL_LEASE."""
        for pause in self._turns_s:
            async with self._parts.database.write() as connection:
                if await leases.take(connection, instance_id, holder, self._parts.clock(), CALL_LEASE):
                    return
            await asyncio.sleep(pause)
        raise Refused(
            Kind.BUSY,
            f"Another call is at work on {instance_id}, so nothing was done. Look at its status and try again.",
        )


def as_json(text: str) -> Any:
    """Return what a person typed as JSON. Raises: Refused INVALID."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refused(
            Kind.INVALID, f'The payload is not JSON: {error}. Write an object such as {{"paid": true}}.'
        ) from error
