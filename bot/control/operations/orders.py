"""Starting an order: the read model's row first, then the engine, so that the same call finds the same instance."""

import asyncio
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import structlog

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
from approvals.request import ApprovalRequest, Binding
from approvals.requesters import UnknownRequesterError
from approvals.signing import KeyRing
from approvals.state import binding_of
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.control.operations.quotas import Quotas
from bot.engine.client import AlreadyExistsError, Engine, EngineRefusedError, EngineUnavailableError
from bot.process.correlation import correlation_id
from records import audit, instances
from records.database import Database

APPROVAL_WORKFLOW = "approval_workflow"


def engine_id(longest: int) -> re.Pattern[str]:
    """Return the pattern of an id (docs/explanation/dapr.md#instance-ids), without outer spaces and a final dot.

    It leaves out ' ', '-' and '_' when it looks for two dots in a row.
    """
    return re.compile(rf"(?!.*\.[ _-]*\.)[A-Za-z0-9](?:[A-Za-z0-9 _.-]{{0,{longest - 2}}}[A-Za-z0-9_-])?")


ID_RULE = (
    "letters, digits, spaces, '-', '_' and '.', beginning with a letter or digit and not ending with a space or a dot, "
    "and a letter or digit between two dots. The workflow engine takes no others."
)
ORDER_ID = engine_id(80)
ID_SENTENCE = f"An order id has 1 to 80 characters: {ID_RULE}"

DIGEST_NEEDED = (
    "{} is under a rule of high risk, so a decision on it has to say what was seen: send the `digest` that "
    "`countersign status` and GET /workflows/{{id}} show beside the request. Nothing was decided."
)

REQUESTER_S = 2.0
"""Seconds that a start waits for Slack to say who the requester is."""

LARGEST = Decimal(10) ** 12
"""Above this an amount is a mistake, in any currency."""

log = structlog.get_logger(__name__)


def demand_callback(callbacks: Callbacks, request: ApprovalRequest) -> None:
    """Refuse a callback that could not be called after the yes. Raises: Refused INVALID."""
    try:
        callbacks.demand(request.callback)
    except BadCallbackError as error:
        raise Refused(Kind.INVALID, str(error)) from error


class Started(Value):
    """A started order. `new` is False if the same call had started it before; `outcome` is how that one ended."""

    instance_id: str
    new: bool
    outcome: str | None = None


class Orders:
    """Starts orders."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        engine: Engine,
        policies: PolicyFile,
        directory: Directory,
        keys: KeyRing,
        callbacks: Callbacks,
        quotas: Quotas,
        clock: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._database = database
        self._keys = keys
        self._engine = engine
        self._policies = policies
        self._callbacks = callbacks
        self._quotas = quotas
        self._clock = clock

    async def start(
        self, request: ApprovalRequest, actor: str, through: str, instance_id: str | None = None
    ) -> Started:
        """Start a request's workflow: an order's under the order's own id, any other under the given one.

        Raises: Refused CONFLICT (the id is taken), INVALID (the policy has nobody to ask, or the engine takes no such
        order), RATE_LIMITED by the policy's quotas, UNAVAILABLE (calling again is safe).
        """
        instance_id = instance_id or instance_id_of(request.subject)
        named = f"{request.kind.capitalize()} {request.subject}"
        demand_callback(self._callbacks, request)
        await self._check_requester(request)
        await self._check_route(request)
        digest = content_digest(request.model_copy(update={"submitted_by": ""}))
        row, new = await self._begin(instance_id, request, digest, actor, through)
        if not new:
            if row.content_digest != digest:
                raise Refused(
                    Kind.CONFLICT,
                    f"{named} was started before with other content. Nothing was changed: use a new id.",
                )
            if row.phase == "purged":
                raise Refused(
                    Kind.CONFLICT,
                    f"{named} has run and was purged. It is not run again under the same id: use a new one.",
                )
            if row.phase != "starting":
                return Started(instance_id=instance_id, new=False, outcome=row.ended_as)
        try:
            return await self._schedule(instance_id, request, new=new)
        except EngineRefusedError as error:
            raise Refused(Kind.INVALID, f"The workflow engine refused the order: {error}") from error
        except EngineUnavailableError as error:
            raise Refused(
                Kind.UNAVAILABLE,
                "The workflow engine does not answer, so the order may not have started. Call again: the same call is "
                "safe.",
                retry_after=5,
            ) from error

    async def bound(self, instance_id: str, digest: str | None) -> Binding:
        """Return what a decision on an order is bound to: the card as it stands, with the digest that the caller saw.

        Raises: Refused NOT_FOUND, CONFLICT while nobody is asked yet, UNBOUND if a digest is needed.
        """
        async with self._database.read() as connection:
            row = await instances.get(connection, instance_id)
        if row is None:
            raise Refused(
                Kind.NOT_FOUND, f"No request has started as {instance_id}. Look at the id, or start it first."
            )
        if row.state is None:
            raise Refused(
                Kind.CONFLICT,
                "It is starting and has not asked anybody yet. Try again in a moment.",
                retry_after=1,
            )
        binding = binding_of(row.state)
        if digest is None and row.state.route.risk == "high":
            raise Refused(Kind.UNBOUND, DIGEST_NEEDED.format(instance_id))
        return binding.model_copy(update={"digest": digest}) if digest else binding

    async def default_currency(self) -> str:
        """Return the currency of an order that names none. Raises: Refused UNAVAILABLE."""
        return (await self._policy()).currency

    async def _policy(self) -> Policy:
        try:
            return await self._policies.current()
        except PolicyError as error:
            raise Refused(Kind.UNAVAILABLE, f"The policy cannot be used, so nothing was started. {error}") from error

    async def _schedule(self, instance_id: str, request: ApprovalRequest, *, new: bool) -> Started:
        """Hand the order to the engine. Look first (docs/explanation/dapr.md#a-finished-id-runs-again)."""
        if (found := await self._engine.state(instance_id, payloads=False)) is not None:
            if found.finished:
                raise Refused(
                    Kind.CONFLICT,
                    f"Order {request.subject} has run and is over ({found.status}). It is not run again under the same "
                    "id: use a new one.",
                )
            return Started(instance_id=instance_id, new=False)
        try:
            sealed = sealed_input(self._keys, request, instance_id, secrets.token_hex(16))
            await self._engine.schedule(APPROVAL_WORKFLOW, instance_id, sealed)
        except AlreadyExistsError:
            return Started(instance_id=instance_id, new=False)
        except EngineUnavailableError as error:
            if await self._quietly_found(instance_id) is None:
                raise
            log.info("a start whose answer was lost has worked", instance_id=instance_id, why=str(error))
        return Started(instance_id=instance_id, new=new)

    async def _quietly_found(self, instance_id: str) -> object | None:
        """Return the instance if a call whose answer was lost has started it after all."""
        try:
            return await self._engine.state(instance_id, payloads=False)
        except EngineUnavailableError:
            return None

    async def _check_requester(self, request: ApprovalRequest) -> None:
        """Refuse a requester who is nobody. If Slack does not answer, the workflow asks it before anybody decides."""
        try:
            async with asyncio.timeout(REQUESTER_S):
                await resolve(request.requester, await self._policy(), self._directory)
        except UnknownRequesterError as error:
            raise Refused(Kind.INVALID, str(error)) from error
        except (LookupFailedError, TimeoutError) as error:
            log.info("a requester is looked up later", why=str(error), subject=request.subject)

    async def _check_route(self, request: ApprovalRequest) -> None:
        found = route(await self._policy(), request)
        # A requester given by Slack id is resolved by the workflow: only then is their manager known.
        if isinstance(found, NoRoute) and "@" in request.requester:
            raise Refused(Kind.INVALID, found.sentence)

    async def _begin(
        self, instance_id: str, request: ApprovalRequest, digest: str, actor: str, through: str
    ) -> tuple[instances.Instance, bool]:
        now = self._clock()
        known = instances.Known(
            instance_id=instance_id,
            name=APPROVAL_WORKFLOW,
            kind=request.kind,
            subject=request.subject,
            amount=request.amount,
            currency=request.currency,
            description=request.description,
            requester=request.requester,
            request=request,
            content_digest=digest,
            correlation_id=correlation_id(),
        )
        entry = audit.Entry(
            at=now,
            actor=actor,
            action=AuditAction.ORDER_STARTED,
            instance_id=instance_id,
            request_digest=digest,
            through=through,
            correlation_id=correlation_id(),
            data={
                "requester": request.requester,
                "amount": None if request.amount is None else str(request.amount),
                "currency": request.currency,
            },
        )
        bounds = await self._quotas.of(request, actor)
        async with self._database.write() as connection:
            row, new = await instances.begin(connection, known, now)
            if new:
                await self._quotas.take(connection, bounds, instance_id, now)
                await audit.append(connection, entry)
        return row, new
