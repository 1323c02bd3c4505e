"""Bulk operations: a dry run that lists what would be hit, and the real call that hits exactly that (by its token).

Runs as a durable workflow; each instance has its own result, and what failed can be continued.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from approvals.audit_actions import AuditAction
from approvals.authority import Action, Resource, fitting
from approvals.signing import KeyRing, Purpose
from approvals.values import Moment, Value
from approvals.verbs import VERBS
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused, unknown
from bot.control.operations.selection import BulkAction, BulkFilter, select
from bot.control.reading.lines import Workflow, line_of
from bot.control.reading.overview import BULK_WORKFLOW, Overview
from bot.engine.client import AlreadyExistsError, Engine
from bot.process.correlation import correlation_id
from records import audit, bulk, instances
from records.database import Database

PLAN_LIFETIME = timedelta(hours=1)
"""Lifetime of a dry run's token: its content gets stale."""

STARTING = timedelta(seconds=30)
"""Grace period before a missing workflow counts as stopped."""

TAKEN_OUT = "It was taken out of the list before the start: nothing was done to it."
LISTED = 1_000
LINES = 50


class Plan(Value):
    """The dry run of a bulk operation: exactly `total` instances, bound by the token. `ids` are the first of them."""

    operation_id: str
    action: BulkAction
    token: str
    total: int
    filter: str
    ids: tuple[str, ...]
    lines: tuple[Workflow, ...]
    expires_at: Moment


class Result(Value):
    """One instance's result; `result` is a message."""

    instance_id: str
    state: bulk.ItemState
    result: str


class Status(Value):
    """The progress of an operation. `stopped` can be continued, and so can `done` with failures."""

    operation_id: str
    action: str
    state: bulk.OperationState
    reason: str
    filter: str
    workflow: str
    total: int
    pending: int
    done: int
    failed: int
    skipped: int
    created_at: Moment
    updated_at: Moment


class Bulk:
    """Plans, starts, shows and continues. Raises: Refused, EngineUnavailableError."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        engine: Engine,
        access: Access,
        overview: Overview,
        keys: KeyRing,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._access = access
        self._overview = overview
        self._keys = keys
        self._clock = clock

    async def dry_run(self, caller: Caller, action: BulkAction, wanted: BulkFilter, reason: str = "") -> Plan:
        """Find the instances and keep the list. Changes none of them."""
        await self._demand(caller, action)
        now, operation_id = self._clock(), uuid.uuid4().hex
        async with self._database.read() as connection:
            ids = await select(connection, action, wanted, now)
        token = self._token(operation_id, action, caller.actor, ids)
        operation = bulk.Operation(
            id=operation_id,
            action=action,
            filter={"words": wanted.words(action), "by": caller.email, "through": caller.through},
            reason=reason,
            actor=caller.actor,
            token_hash=_hash(token),
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as connection:
            await bulk.plan(connection, operation)
            await audit.append(
                connection, self._entry(caller, operation, AuditAction.BULK_PLANNED, reason, total=len(ids))
            )
        for start in range(0, len(ids), bulk.ITEMS_PER_WRITE):
            async with self._database.write() as connection:
                await bulk.add(connection, operation_id, ids[start : start + bulk.ITEMS_PER_WRITE], now)
        return Plan(
            operation_id=operation_id,
            action=action,
            token=token,
            total=len(ids),
            filter=wanted.words(action),
            ids=ids[:LISTED],
            lines=await self._lines(ids[:LINES]),
            expires_at=now + PLAN_LIFETIME,
        )

    async def start(
        self,
        caller: Caller,
        token: str,
        reason: str,
        action: BulkAction | None = None,
        without: AbstractSet[str] = frozenset(),
    ) -> Status:
        """Act on exactly the instances of the token's dry run. Idempotent: the same token is the same operation.

        `without` are instance ids to leave out.
        """
        async with self._database.read() as connection:
            operation = await bulk.by_token(connection, _hash(token))
        if operation is None or operation.actor != caller.actor:
            raise Refused(
                Kind.CONFLICT, "This token belongs to no dry run of yours. Nothing was done: make a dry run first."
            )
        await self._demand(caller, operation.action)
        if action is not None and action != operation.action:
            raise Refused(
                Kind.CONFLICT, f"The dry run was for {operation.action}, not {action}. Nothing was done: make another."
            )
        if operation.state == "planned":
            await self._begin(caller, operation, token, reason, without)
        return await self.status(caller, operation.id)

    async def status(self, caller: Caller, operation_id: str) -> Status:
        """Return how far an operation is."""
        await self._access.demand(caller, Action.BULK)
        operation = await self._get(operation_id)
        if operation.state == "running":
            operation = await self._seen(operation)
        async with self._database.read() as connection:
            progress = await bulk.progress(connection, operation_id)
        return Status(
            operation_id=operation.id,
            action=operation.action,
            state=operation.state,
            reason=operation.reason,
            filter=str(operation.filter.get("words", "")),
            workflow=workflow_id(operation.id),
            total=progress.total,
            created_at=operation.created_at,
            updated_at=operation.updated_at,
            **progress.model_dump(),
        )

    async def page(self, caller: Caller, limit: int = 20) -> tuple[Status, ...]:
        """Return the newest operations; dry runs that were not started are `planned`."""
        await self._access.demand(caller, Action.BULK)
        async with self._database.read() as connection:
            found = await bulk.page(connection, limit=limit)
        return tuple([await self.status(caller, each.id) for each in found])

    async def listed(self, caller: Caller, limit: int) -> tuple[Status, ...]:
        """Return the newest operations that were more than a dry run, with their progress."""
        return tuple([await self.status(caller, each.id) for each in await self.begun(caller, limit)])

    async def begun(self, caller: Caller, limit: int) -> tuple[bulk.Operation, ...]:
        """Return the newest operations that were more than a dry run, without their progress."""
        await self._access.demand(caller, Action.BULK)
        async with self._database.read() as connection:
            return tuple(each for each in await bulk.page(connection, limit=limit) if each.state != "planned")

    async def results(
        self,
        caller: Caller,
        operation_id: str,
        *,
        state: bulk.ItemState | None = None,
        after: str = "",
        limit: int = 200,
    ) -> tuple[Result, ...]:
        """Return an operation's instances with their results, by id; `after` is the last one seen."""
        await self._access.demand(caller, Action.BULK)
        await self._get(operation_id)
        async with self._database.read() as connection:
            items = await bulk.items(connection, operation_id, state=state, after=after, limit=limit)
        return tuple(Result(instance_id=each.instance_id, state=each.state, result=each.result) for each in items)

    async def continue_(self, caller: Caller, operation_id: str, reason: str = "") -> Status:
        """Continue with items that failed or have no result yet."""
        await self._access.demand(caller, Action.BULK)
        operation = await self._get(operation_id)
        await self._demand(caller, operation.action)
        if operation.state == "planned":
            raise Refused(Kind.CONFLICT, "This operation has not started. Start it with its dry run's token.")
        async with self._database.read() as connection:
            progress = await bulk.progress(connection, operation_id)
        if operation.state == "done" and progress.failed == 0:
            return await self.status(caller, operation_id)  # nothing is left to do
        found = await self._engine.state(workflow_id(operation_id), payloads=False)
        if found is not None and not found.finished:
            raise Refused(
                Kind.CONFLICT,
                "It is still under way. Wait for its end, or resume it if it is paused.",
            )
        now = self._clock()
        async with self._database.write() as connection:
            await bulk.retry_failed(connection, operation_id, now)
            await bulk.move(connection, operation_id, "running", now, of=("running", "stopped", "done"))
            await audit.append(connection, self._entry(caller, operation, AuditAction.BULK_CONTINUED, reason))
        await self._schedule(operation_id)
        return await self.status(caller, operation_id)

    # ---- inside -----------------------------------------------------------------------------------------------------

    async def _demand(self, caller: Caller, action: BulkAction) -> None:
        """Ask for the right to act in bulk, and for the right to the action itself."""
        single = VERBS[action].action
        await self._access.demand(caller, Action.BULK)
        await self._access.demand(caller, single, Resource(status=fitting(single)))

    async def _begin(
        self, caller: Caller, operation: bulk.Operation, token: str, reason: str, without: AbstractSet[str]
    ) -> None:
        now, ids = self._clock(), await self._all_ids(operation.id)
        if now - operation.created_at > PLAN_LIFETIME:
            raise Refused(
                Kind.CONFLICT, "This dry run is more than an hour old. Nothing was done: make another and look at it."
            )
        if not self._good(token, operation, ids):
            raise Refused(
                Kind.CONFLICT, "The list of this dry run is not the one that was shown. Nothing was done: make another."
            )
        if not reason.strip() and not operation.reason.strip():
            raise Refused(Kind.INVALID, "A bulk operation needs a reason: the audit keeps it with your name.")
        out = sorted(set(ids) & without)
        if len(out) != len(without):
            raise Refused(Kind.INVALID, "What is taken out must be in the dry run's list. Nothing was done.")
        if ids and len(out) == len(ids):
            raise Refused(Kind.INVALID, "All of the dry run's list is taken out. Nothing was done.")
        async with self._database.write() as connection:
            started = await bulk.move(connection, operation.id, "running", now, of=("planned",))
            for each in out if started else ():
                await bulk.finish(connection, operation.id, each, now, state="skipped", result=TAKEN_OUT)
            if started and reason.strip():
                await bulk.give_reason(connection, operation.id, reason)
            if started:
                why = reason or operation.reason
                await audit.append(
                    connection, self._entry(caller, operation, AuditAction.BULK_STARTED, why, total=len(ids) - len(out))
                )
        if started:
            await self._schedule(operation.id)

    async def _schedule(self, operation_id: str) -> None:
        known = instances.Known(instance_id=workflow_id(operation_id), name=BULK_WORKFLOW, phase="unknown")
        async with self._database.write() as connection:
            await instances.replace(connection, known, self._clock())
        try:
            await self._engine.schedule(BULK_WORKFLOW, workflow_id(operation_id), {"operation_id": operation_id})
        except AlreadyExistsError:
            return  # a concurrent call was first

    async def _seen(self, operation: bulk.Operation) -> bulk.Operation:
        """Return the operation, noted as stopped if its workflow was ended from outside."""
        found = await self._engine.state(workflow_id(operation.id), payloads=False)
        starting = abs(self._clock() - operation.updated_at) < STARTING  # it may lie ahead of a clock that went back
        if starting or (found is not None and not found.finished):
            return operation
        async with self._database.write() as connection:
            await bulk.move(connection, operation.id, "stopped", self._clock(), of=("running",))
        return await self._get(operation.id)

    async def _get(self, operation_id: str) -> bulk.Operation:
        async with self._database.read() as connection:
            found = await bulk.get(connection, operation_id)
        if found is None:
            raise unknown(operation_id)
        return found

    async def _all_ids(self, operation_id: str) -> tuple[str, ...]:
        found: list[str] = []
        while True:
            async with self._database.read() as connection:
                page = await bulk.items(connection, operation_id, after=found[-1] if found else "", limit=LISTED)
            found += [item.instance_id for item in page]
            if len(page) < LISTED:
                return tuple(found)

    async def _lines(self, ids: tuple[str, ...]) -> tuple[Workflow, ...]:
        async with self._database.read() as connection:
            found = [row for each in ids if (row := await instances.get(connection, each)) is not None]
        return await self._overview.lines([line_of(row) for row in found])

    def _token(self, operation_id: str, action: str, actor: str, ids: tuple[str, ...]) -> str:
        mac = self._keys.mac(Purpose.DRY_RUN, _bound(operation_id, action, actor, ids))
        return f"{operation_id}.{self._keys.current}.{mac}"

    def _good(self, token: str, operation: bulk.Operation, ids: tuple[str, ...]) -> bool:
        operation_id, _, rest = token.partition(".")
        key_id, _, mac = rest.rpartition(".")
        bound = _bound(operation.id, operation.action, operation.actor, ids)
        same = hmac.compare_digest(operation_id.encode(), operation.id.encode())
        return same and self._keys.matches(Purpose.DRY_RUN, bound, key_id, mac)

    def _entry(
        self, caller: Caller, operation: bulk.Operation, action: AuditAction, reason: str, **data: object
    ) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=action,
            instance_id=workflow_id(operation.id),
            through=caller.through,
            reason=reason,
            correlation_id=correlation_id(),
            data={
                "action": operation.action,
                "filter": operation.filter.get("words", ""),
                "email": caller.email,
                **data,
            },
        )


def workflow_id(operation_id: str) -> str:
    """Return the instance id of an operation's workflow."""
    return f"bulk-{operation_id}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest()


def _bound(operation_id: str, action: str, actor: str, ids: tuple[str, ...]) -> bytes:
    """Return what a token stands for: the operation, whose it is, and every id in its order."""
    listed = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    return "\n".join((operation_id, action, actor, str(len(ids)), listed)).encode()
