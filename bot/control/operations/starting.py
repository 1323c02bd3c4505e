"""Starting a workflow by its name: ids the engine takes, names a worker knows, never a silent second run."""

import difflib
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from activities.callbacks import Callbacks
from approvals.evidence import sealed_input
from approvals.request import ApprovalRequest
from approvals.signing import KeyRing
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.control.operations.orders import APPROVAL_WORKFLOW, ID_RULE, demand_callback, engine_id
from bot.control.operations.quotas import Quotas
from bot.engine.client import Engine
from bot.process.correlation import correlation_id
from records import instances
from records.database import Database

INSTANCE_ID = engine_id(128)
ID_SENTENCE = f"An instance id has 1 to 128 characters: {ID_RULE}"
SCHEDULED = "starts at {:%Y-%m-%d %H:%M:%S} UTC"


class Start(Value):
    """A workflow to start. `value` is its input as JSON."""

    name: str
    value: Any = None
    instance_id: str
    start_at: datetime | None = None


class Starting:
    """Checks and starts. `names` are the workflows that a worker of this app knows and that may be started so."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        engine: Engine,
        names: tuple[str, ...],
        keys: KeyRing,
        callbacks: Callbacks,
        quotas: Quotas,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._keys = keys
        self._names = names
        self._callbacks = callbacks
        self._quotas = quotas
        self._clock = clock

    def checked(
        self, name: str, value: Any, instance_id: str | None, start_at: datetime | None, submitted_by: str
    ) -> Start:
        """Return the start. Raises: Refused INVALID for a name, an id or an input."""
        if name not in self._names:
            near = difflib.get_close_matches(name, self._names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(self._names)}."
            raise Refused(Kind.INVALID, f"No workflow named {name[:100]!r} can be started here.{hint}")
        if instance_id is not None and not INSTANCE_ID.fullmatch(instance_id):
            raise Refused(Kind.INVALID, ID_SENTENCE)
        if start_at is not None and start_at <= self._clock():
            start_at = None  # what should have started already starts now
        if name == APPROVAL_WORKFLOW:
            request = _request(value, submitted_by)
            demand_callback(self._callbacks, request)
            value = request.model_dump(mode="json")
        return Start(name=name, value=value, instance_id=instance_id or uuid.uuid4().hex, start_at=start_at)

    async def begin(self, start: Start, actor: str) -> bool:
        """Write the read model's row. False if there was one. Raises: Refused RATE_LIMITED by the policy's quotas."""
        request = ApprovalRequest.model_validate(start.value) if start.name == APPROVAL_WORKFLOW else None
        about: dict[str, Any] = {} if request is None else {"request": request, **_shown(request)}
        known = instances.Known(
            instance_id=start.instance_id,
            name=start.name,
            custom_status="" if start.start_at is None else SCHEDULED.format(start.start_at),
            phase="starting" if request else "unknown",
            correlation_id=correlation_id(),
            **about,
        )
        bounds = () if request is None else await self._quotas.of(request, actor)
        async with self._database.write() as connection:
            _, new = await instances.begin(connection, known, self._clock())
            if new:
                await self._quotas.take(connection, bounds, start.instance_id, self._clock())
        return new

    async def schedule(self, start: Start) -> None:
        """Hand it to the engine. Raises: AlreadyExistsError, EngineUnavailableError."""
        value = start.value
        if start.name == APPROVAL_WORKFLOW:
            request = ApprovalRequest.model_validate(value)
            value = sealed_input(self._keys, request, start.instance_id, secrets.token_hex(16))
        await self._engine.schedule(start.name, start.instance_id, value, start.start_at)


def _request(value: Any, submitted_by: str) -> ApprovalRequest:
    """Return the input of an approval. Its submitter is the caller (law: identity comes from signatures alone)."""
    try:
        return ApprovalRequest.model_validate(
            value | {"submitted_by": submitted_by} if isinstance(value, dict) else value
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:100] for part in first["loc"]) or "input"
        message = first["msg"].removeprefix("Value error, ")
        raise Refused(Kind.INVALID, f"The input is no approval request: {where}: {message}.") from error


def _shown(request: ApprovalRequest) -> dict[str, Any]:
    return {
        "kind": request.kind,
        "subject": request.subject,
        "amount": request.amount,
        "currency": request.currency,
        "description": request.description,
        "requester": request.requester,
    }
