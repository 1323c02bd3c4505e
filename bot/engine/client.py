"""The workflow engine as this program uses it: Dapr's SDK clients, a deadline on every call, and the guards it needs.

One caller at a time per instance, and the state is read before it is changed: pausing what is suspended wedges Dapr's
worker, resuming what runs destroys the workflow (docs/explanation/dapr.md#pause-resume-terminate-purge).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

import grpc
from dapr.conf import settings as dapr_settings
from dapr.ext.workflow._durabletask.internal import protos
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from dapr.ext.workflow.aio import DaprWorkflowClient
from google.protobuf.empty_pb2 import Empty
from grpc.aio import AioRpcError, Channel, insecure_channel, secure_channel

from approvals.statuses import ENDED, standing
from approvals.values import Moment, Value, in_utc
from bot.engine.history import RecordedHistory
from bot.engine.torn import Torn, is_torn
from bot.process import logs

Metadata = tuple[tuple[str, str], ...]
"""What a call to the sidecar shows: its token, if it demands one."""


class EngineUnavailableError(Exception):
    """The sidecar did not answer, or it has no worker. Whether the call took effect is unknown: read the state."""


class EngineRefusedError(Exception):
    """The engine said no: the call makes no sense for this instance. The text is the engine's own."""


class UnlistableError(EngineRefusedError):
    """The engine cannot list its instances: one of them has `||` in its id (docs/explanation/dapr.md#instance-ids)."""


class TornError(EngineRefusedError):
    """A part of the instance's history is missing: nothing reaches it now (docs/explanation/dapr.md#a-torn-turn)."""


class AlreadyExistsError(EngineRefusedError):
    """An active instance has this id."""


class UnknownInstanceError(EngineRefusedError):
    """The engine knows no instance of this id."""


class EngineInstance(Value):
    """An instance as the engine knows it. `status` is one of `approvals.statuses`."""

    instance_id: str
    name: str
    status: str
    custom_status: str = ""
    created_at: Moment
    updated_at: Moment
    input: str | None = None
    output: str | None = None
    failure: str | None = None

    @property
    def finished(self) -> bool:
        """Whether it has ended for good."""
        return self.status in ENDED


class Engine:
    """Dapr behind one address. Make it inside the running event loop."""

    def __init__(self, address: str, token: str = "", timeout: float = 10.0) -> None:
        self._address = address
        self._timeout = timeout
        self._channel: Channel = _channel(address)
        self._stub: Any = TaskHubSidecarServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated code
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._torn = Torn()
        self._with(token)

    def _with(self, token: str) -> None:
        host, _, port = self._address.rpartition(":")
        # The SDK reads these from its own settings object, not from arguments.
        for name, value in (
            ("DAPR_API_TOKEN", token or None),
            ("DAPR_API_TIMEOUT_SECONDS", self._timeout),
            ("DAPR_GRPC_ENDPOINT", self._address if "://" in self._address else None),
        ):
            setattr(dapr_settings, name, value)
        at_endpoint = "://" in self._address
        self._client = DaprWorkflowClient(
            None if at_endpoint else host, None if at_endpoint else port, logger_options=logs.of_the_sdk()
        )
        self.metadata: Metadata = (("dapr-api-token", token),) if token else ()

    async def use(self, token: str) -> None:
        """Show another token from the next call on. The SDK's client keeps its first one, so another is made."""
        self._with(token)

    async def close(self) -> None:
        """Close our own channel; the SDK's has no public close (docs/explanation/dapr.md#one-client-a-process)."""
        await self._channel.close()

    @asynccontextmanager
    async def alone(self, instance_id: str) -> AsyncIterator[None]:
        """Hold the instance: management calls of this process come one at a time for each instance."""
        lock = self._locks.setdefault(instance_id, asyncio.Lock())
        async with lock:
            yield

    # ---- reading ----------------------------------------------------------------------------------------------------

    async def state(self, instance_id: str, *, payloads: bool = True) -> EngineInstance | None:
        """Return the instance, None if the engine knows none. Works without a worker.

        One that is torn for good has FAILED: the engine cannot say so any more. Raises: TornError before that.
        """
        request = protos.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=payloads)
        try:
            answer = await self._unary(self._stub.GetInstance, request)
        except TornError as error:
            if not self._torn.for_good(instance_id):
                raise
            now = datetime.now(UTC)
            return EngineInstance(
                instance_id=instance_id, name="", status="FAILED", created_at=now, updated_at=now, failure=str(error)
            )
        self._torn.read(instance_id)
        return _instance(answer.workflowState) if answer.exists else None

    async def history(self, instance_id: str) -> RecordedHistory:
        """Return the history with its payloads. Raises: UnknownInstanceError."""
        return RecordedHistory(await self.recorded(instance_id))

    async def recorded(self, instance_id: str) -> Sequence[protos.HistoryEvent]:
        """Return the history in the SDK's own values, to be replayed. Raises: UnknownInstanceError."""
        request = protos.GetInstanceHistoryRequest(instanceId=instance_id)
        answer: protos.GetInstanceHistoryResponse = await self._unary(self._stub.GetInstanceHistory, request)
        return answer.events

    async def instance_ids(self, token: str | None = None, size: int = 1000) -> tuple[list[str], str | None]:
        """Return one page of ids in creation order, and the token of the next page."""
        request = protos.ListInstanceIDsRequest(pageSize=size)
        if token:
            request.continuationToken = token
        answer = await self._unary(self._stub.ListInstanceIDs, request)
        return list(answer.instanceIds), answer.continuationToken or None

    async def ping(self) -> None:
        """Say hello. Raises: EngineUnavailableError."""
        await self._unary(self._stub.Hello, Empty())

    # ---- changing ---------------------------------------------------------------------------------------------------

    async def schedule(self, name: str, instance_id: str, value: Any, start_at: datetime | None = None) -> None:
        """Start a workflow. Raises: AlreadyExistsError if an active instance has this id."""
        await _translated(
            self._client.schedule_new_workflow(name, input=value, instance_id=instance_id, start_at=start_at)
        )

    async def raise_event(self, instance_id: str, name: str, payload: dict[str, Any]) -> None:
        """Raise an event with a filled payload (docs/explanation/dapr.md#an-empty-payload-arrives-as-nothing)."""
        await _translated(self._client.raise_workflow_event(instance_id, name, data=payload))

    async def terminate(self, instance_id: str, output: dict[str, Any]) -> None:
        """End the instance and its children. It runs no more code: the caller updates the card."""
        await _translated(self._client.terminate_workflow(instance_id, output=output))

    async def pause(self, instance_id: str) -> None:
        """Suspend a RUNNING instance. Raises: EngineRefusedError for any other."""
        await self._demand(instance_id, "RUNNING")
        await _translated(self._client.pause_workflow(instance_id))

    async def resume(self, instance_id: str) -> None:
        """Resume a SUSPENDED instance. Raises: EngineRefusedError for any other."""
        await self._demand(instance_id, "SUSPENDED")
        await _translated(self._client.resume_workflow(instance_id))

    async def purge(self, instance_id: str, *, force: bool = False) -> int:
        """Forget the instance and its children; returns how many. `force` takes a wedged one too."""
        request = protos.PurgeInstancesRequest(instanceId=instance_id, recursive=True, force=force)
        return int((await self._unary(self._stub.PurgeInstances, request)).deletedInstanceCount)

    async def rerun(self, instance_id: str, event_id: int, new_id: str | None = None) -> str:
        """Run again from an event of a finished instance; returns the new instance's id."""
        rerun = self._client.rerun_workflow_from_event(instance_id, event_id, new_instance_id=new_id)
        return str(await _translated(rerun))

    async def _demand(self, instance_id: str, status: str) -> None:
        found = await self.state(instance_id, payloads=False)
        if found is None:
            raise UnknownInstanceError(f"no such instance exists: {instance_id}")
        if found.status != status:
            raise EngineRefusedError(f"{instance_id} is {standing(found.status)}")

    async def _unary(self, method: Any, request: Any) -> Any:
        return await _translated(method(request, timeout=self._timeout, metadata=self.metadata))


PASSING = frozenset({
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
})  # fmt: skip
"""Codes of what may work later."""

REFUSALS = ("job name is invalid", "orchestration has not yet completed", "is stalled")
"""What else Dapr says no with as UNKNOWN. Anything else of that code is a part that is away, such as its database."""


def _channel(address: str) -> Channel:
    if address.startswith(("https://", "grpcs://")):
        return secure_channel(address.partition("://")[2], grpc.ssl_channel_credentials())
    return insecure_channel(address.rpartition("://")[2])


async def _translated(call: Any) -> Any:
    """Await a call and translate its gRPC error: only this module reads status codes and texts."""
    try:
        return await call
    except AioRpcError as error:
        raise _failure(error.code(), error.details() or "") from error


def _failure(code: grpc.StatusCode, text: str) -> Exception:
    """Tell temporary failures from lasting ones (docs/explanation/dapr.md#what-each-call-answers)."""
    missing_event = "does not have history event" in text or "is not an event that can be rerun" in text
    if "no such instance exists" in text or (code == grpc.StatusCode.NOT_FOUND and not missing_event):
        return UnknownInstanceError(text)
    if "invalid key format" in text:
        return UnlistableError(
            f"an instance whose id holds '||' is in its way; purge that one by its id ({text[:300]})"
        )
    if is_torn(text):
        return TornError(text)
    if code == grpc.StatusCode.ALREADY_EXISTS:
        return AlreadyExistsError(text)
    if code in PASSING or (code == grpc.StatusCode.UNKNOWN and not any(each in text for each in REFUSALS)):
        return EngineUnavailableError(f"{code.name}: {text}")
    return EngineRefusedError(text)


def _instance(state: protos.WorkflowState) -> EngineInstance:
    """Read the engine's answer, also one from before a start (docs/explanation/dapr.md#before-a-scheduled-start)."""
    status = protos.OrchestrationStatus.Name(state.workflowStatus).removeprefix("ORCHESTRATION_STATUS_")
    failure = f"{state.failureDetails.errorType}: {state.failureDetails.errorMessage}"
    return EngineInstance(
        instance_id=state.instanceId,
        name=state.name,
        status=status,
        custom_status=state.customStatus.value,
        created_at=in_utc(state.createdTimestamp.ToDatetime()),
        updated_at=in_utc(state.lastUpdatedTimestamp.ToDatetime()),
        input=state.input.value or None,
        output=state.output.value or None,
        failure=failure if state.HasField("failureDetails") else None,
    )
