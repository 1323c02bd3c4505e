"""The one starter: every workflow that a person or a program starts begins here, whichever face they came by.

The read model's row comes first and the engine second, so that the same call finds the same instance again.
"""

import asyncio
import difflib
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from pydantic import Field, ValidationError

from activities.callbacks import BadCallbackError, Callbacks
from activities.policies import PolicyFile
from activities.requesters import resolve
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from approvals.audit_actions import AuditAction
from approvals.digest import content_digest
from approvals.evidence import sealed_input
from approvals.orders import instance_id_of
from approvals.policy.routing import NoRoute, Policy, PolicyError, route
from approvals.request import ApprovalRequest
from approvals.requesters import UnknownRequesterError, canonical, unknown
from approvals.signing import KeyRing
from approvals.values import Value
from approvals.webhooks import Callback
from bot.access.refusals import Kind, Refused, unusable
from bot.control.operations.ids import INSTANCE_ID, INSTANCE_ID_SENTENCE
from bot.control.operations.quotas import QuotaGuard
from bot.engine.client import AlreadyExistsError, Engine, EngineRefusedError, EngineUnavailableError
from bot.engine.traces import INSTANCE
from bot.process.correlation import correlation_id
from bot.process.tracing import TRACING
from records import audit, instances
from records.database import Database
from records.plain import Plain, Transaction

APPROVAL_WORKFLOW = "approval_workflow"
SCHEDULED = "starts at {:%Y-%m-%d %H:%M:%S} UTC"

SEARCHED_REQUESTS = 1000
"""Requests that are searched for the requester who was meant."""

REQUESTER_S = 2.0
"""Seconds that a start waits for Slack to say who the requester is."""

log = structlog.get_logger(__name__)


class Start(Value):
    """A workflow to start: a request, or another one with `value` as its input in JSON."""

    name: str = APPROVAL_WORKFLOW
    request: ApprovalRequest | None = None
    value: Any = None
    instance_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    start_at: datetime | None = None
    callback: Callback | None = None

    @property
    def digest(self) -> str | None:
        """The digest of the request's content without its submitter; None if the input is no request."""
        return None if self.request is None else content_digest(self.request.model_copy(update={"submitted_by": ""}))

    @property
    def named(self) -> str:
        """What messages call it."""
        return f"{self.request.kind.capitalize()} {self.request.subject}" if self.request else self.instance_id


class StartedRequest(Value):
    """A started request. `new` is False if the same call had started it before; `outcome` is how that one ended."""

    instance_id: str
    new: bool
    outcome: str | None = None


class StartParts(NamedTuple):
    """The services that a start needs. `names` are the workflows that may be started by name."""

    database: Database
    engine: Engine
    policies: PolicyFile
    directory: Directory
    keys: KeyRing
    callbacks: Callbacks
    quotas: QuotaGuard
    names: tuple[str, ...]
    clock: Callable[[], datetime]


class Starting:
    """Checks a start, writes its row, hands it to the engine."""

    def __init__(self, parts: StartParts) -> None:
        self._parts = parts

    # ---- a request: the same call again finds the same request ------------------------------------------------------

    async def ask(
        self,
        request: ApprovalRequest,
        actor: str,
        through: str,
        instance_id: str | None = None,
        callback: Callback | None = None,
    ) -> StartedRequest:
        """Start a request's workflow: an order's under the order's own id, any other under the given one.

        Raises: Refused CONFLICT (the id is taken), INVALID (the policy has nobody to ask, or the engine takes no such
        request), RATE_LIMITED by the policy's quotas, UNAVAILABLE (calling again is safe).
        """
        known_as = instance_id or instance_id_of(request.subject)
        with TRACING.span(f"ask {request.kind}", key=known_as, attributes={INSTANCE: known_as}):
            return await self._ask(request, actor, through, known_as, callback)

    async def _ask(
        self, request: ApprovalRequest, actor: str, through: str, known_as: str, callback: Callback | None
    ) -> StartedRequest:
        start = Start(request=request, instance_id=known_as, callback=callback)
        await self.check(start)
        row, new = await self.begin(start, actor, self._asked(start, actor, through))
        if not new and (found := _found(start, row)) is not None:
            return found
        try:
            return await self._schedule_once(start, new=new)
        except EngineRefusedError as error:
            raise Refused(Kind.INVALID, f"The workflow engine refused {start.named}: {error}") from error
        except EngineUnavailableError as error:
            raise Refused(
                Kind.UNAVAILABLE,
                f"The workflow engine does not answer, so {start.named} may not have started. Call again: the same "
                "call is safe.",
                retry_after=5,
            ) from error

    def _asked(self, start: Start, actor: str, through: str) -> audit.Entry:
        request = start.request
        about = {"requester": request.requester, "currency": request.currency} if request else {}
        amount = None if request is None or request.amount is None else str(request.amount)
        return audit.Entry(
            at=self._parts.clock(),
            actor=actor,
            action=AuditAction.ORDER_STARTED,
            instance_id=start.instance_id,
            request_digest=start.digest or "",
            through=through,
            correlation_id=correlation_id(),
            data=about | {"amount": amount},
        )

    async def _schedule_once(self, start: Start, *, new: bool) -> StartedRequest:
        """Hand a request to the engine. Look first (docs/explanation/dapr.md#a-finished-id-runs-again)."""
        engine, instance_id = self._parts.engine, start.instance_id
        if (found := await engine.state(instance_id, payloads=False)) is not None:
            if found.finished:
                raise Refused(
                    Kind.CONFLICT,
                    f"{start.named} has run and is over. It is not run again under the same id: use a new one.",
                )
            return StartedRequest(instance_id=instance_id, new=False)
        try:
            await self.schedule(start)
        except AlreadyExistsError:
            return StartedRequest(instance_id=instance_id, new=False)
        except EngineUnavailableError as error:
            if await self._quietly_found(instance_id) is None:
                raise
            log.info("a start whose answer was lost has worked", instance_id=instance_id, why=str(error))
        return StartedRequest(instance_id=instance_id, new=new)

    async def _quietly_found(self, instance_id: str) -> object | None:
        """Return the instance if a call whose answer was lost has started it after all."""
        try:
            return await self._parts.engine.state(instance_id, payloads=False)
        except EngineUnavailableError:
            return None

    # ---- by name: an id is started once -----------------------------------------------------------------------------

    async def checked(
        self, name: str, value: Any, instance_id: str | None, start_at: datetime | None, submitted_by: str
    ) -> Start:
        """Return a start by name. Raises: Refused INVALID for a name, an id or an input."""
        names = self._parts.names
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(names)}."
            raise Refused(Kind.INVALID, f"No workflow named {name[:100]!r} can be started here.{hint}")
        if instance_id is not None and not INSTANCE_ID.fullmatch(instance_id):
            raise Refused(Kind.INVALID, INSTANCE_ID_SENTENCE)
        if start_at is not None and start_at <= self._parts.clock():
            start_at = None  # what should have started already starts now
        request = _input(value, submitted_by) if name == APPROVAL_WORKFLOW else None
        own = {"instance_id": instance_id} if instance_id else {}
        start = Start(name=name, request=request, value=value, start_at=start_at, **own)
        await self.check(start)
        return start

    # ---- the steps that both have -----------------------------------------------------------------------------------

    async def check(self, start: Start) -> None:
        """Refuse a request that could not be decided, or whose yes could not be told. Raises: Refused INVALID."""
        if start.request is None:
            return
        try:
            self._parts.callbacks.demand(start.request.callback)
        except BadCallbackError as error:
            raise Refused(Kind.INVALID, str(error)) from error
        policy = await self._policy()
        await self._check_requester(start.request, policy)
        found = route(policy, start.request)
        # A requester given by Slack id is resolved by the workflow: only then is their manager known.
        if isinstance(found, NoRoute) and "@" in start.request.requester:
            raise Refused(Kind.INVALID, found.sentence)

    async def begin(
        self, start: Start, actor: str, entry: audit.Entry | None = None
    ) -> tuple[instances.Instance, bool]:
        """Write the read model's row, with an audit entry if it is new. Returns the row that stands.

        Raises: Refused RATE_LIMITED by the policy's quotas.
        """
        quotas, now = self._parts.quotas, self._parts.clock()
        bounds = () if start.request is None else await quotas.of(start.request, actor)
        if not bounds:
            return await self._parts.database.transact(begun.on, _known(start), entry, now)
        async with self._parts.database.write() as connection:
            row, new = await begun(connection, _known(start), entry, now)
            if new:
                await quotas.take(connection, bounds, start.instance_id, now)
        return row, new

    async def schedule(self, start: Start) -> None:
        """Hand it to the engine. Raises: AlreadyExistsError, EngineUnavailableError."""
        value = start.value
        if start.request is not None:
            value = sealed_input(self._parts.keys, start.request, start.instance_id, secrets.token_hex(16))
        await self._parts.engine.schedule(start.name, start.instance_id, value, start.start_at)

    async def _policy(self) -> Policy:
        try:
            return await self._parts.policies.current()
        except PolicyError as error:
            raise Refused(Kind.UNAVAILABLE, f"The policy cannot be used, so nothing was started. {error}") from error

    async def _check_requester(self, request: ApprovalRequest, policy: Policy) -> None:
        """Refuse an unknown requester. If Slack does not answer, the workflow looks them up before asking."""
        try:
            async with asyncio.timeout(REQUESTER_S):
                await resolve(request.requester, policy, self._parts.directory)
        except UnknownRequesterError as error:
            raise Refused(Kind.INVALID, str(await self._nearest(request.requester, policy))) from error
        except (LookupFailedError, TimeoutError) as error:
            log.info("a requester is looked up later", why=str(error), subject=request.subject)

    async def _nearest(self, requester: str, policy: Policy) -> UnknownRequesterError:
        """Return the refusal of a requester with the nearest of those who have asked before."""
        async with self._parts.database.read() as connection:
            people = await instances.requesters(connection, SEARCHED_REQUESTS)
        return unknown(canonical(requester), policy.programs, people)


def _found(start: Start, row: instances.Instance) -> StartedRequest | None:
    """Return the request that the same call started before; None if it still has to reach the engine.

    Raises: Refused CONFLICT if it was another request, or is gone.
    """
    if row.phase == "purged":
        raise Refused(
            Kind.CONFLICT,
            f"{start.named} has run and was purged. It is not run again under the same id: use a new one.",
        )
    if row.content_digest != start.digest or _asked_for(row.callback) != _asked_for(start.callback):
        raise Refused(
            Kind.CONFLICT,
            f"{start.named} was started before with other content. Nothing was changed: use a new id.",
        )
    if row.phase == "starting":
        return None
    return StartedRequest(instance_id=start.instance_id, new=False, outcome=row.ended_as)


def _asked_for(callback: Callback | None) -> Callback | None:
    """Return a callback that the caller named: the effect of a kind is the policy's, and may change meanwhile."""
    return None if callback is None or callback.signer.startswith("kind:") else callback


def _input(value: Any, submitted_by: str) -> ApprovalRequest:
    """Return the input of an approval. Its submitter is the caller (law: identity comes from signatures alone)."""
    try:
        return ApprovalRequest.model_validate(
            value | {"submitted_by": submitted_by} if isinstance(value, dict) else value
        )
    except ValidationError as error:
        raise unusable(error, "input") from error


@Plain
def begun(
    transaction: Transaction, known: instances.Known, entry: audit.Entry | None, now: datetime
) -> tuple[instances.Instance, bool]:
    """Write a row, with an audit entry if it is new. Returns the row that stands and whether it is new."""
    row, new = instances.insert.on(transaction, known, now)
    if new and entry is not None:
        audit.append.on(transaction, entry)
    return row, new


def _known(start: Start) -> instances.Known:
    request = start.request
    about: dict[str, Any] = {}
    if request is not None:
        shown = request.model_dump(include={"kind", "subject", "amount", "currency", "description", "requester"})
        about = shown | {"request": request, "content_digest": start.digest}
    return instances.Known(
        instance_id=start.instance_id,
        name=start.name,
        custom_status="" if start.start_at is None else SCHEDULED.format(start.start_at),
        phase="starting" if request else "unknown",
        correlation_id=correlation_id(),
        callback=start.callback,
        **about,
    )
