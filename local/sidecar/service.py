"""The gRPC face: TaskHubSidecarService as the SDK's worker and clients call it. Translates, decides nothing."""

import functools
import hmac
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from local.sidecar import errors, events
from local.sidecar.app import App, has_started
from local.sidecar.errors import Refused, StoreUnavailable, UnusableReply
from local.sidecar.fold import fold
from local.sidecar.identifiers import check_key
from local.sidecar.wire import ENDED, RUNNING, SUSPENDED, StringValue, Timestamp, pb, stubs

TOKEN_HEADER = "dapr-api-token"  # noqa: S105 - the header's name
PAGE = 1000  # ids in a page when the caller names no size
NEVER = Timestamp(seconds=-62_135_596_800)  # year 1: what the runtime says of an instance that has not started

Context = grpc.aio.ServicerContext[Any, Any]
_log = logging.getLogger(__name__)


def _answers(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Check the token, and turn what went wrong into a gRPC status; the server stays up whatever a call does."""

    @functools.wraps(method)
    async def call(self: "Service", request: Any, context: Context) -> Any:
        try:
            self.check_token(context)
            return await method(self, request, context)
        except (Refused, StoreUnavailable) as refusal:
            await context.abort(refusal.code, refusal.text)
        except (grpc.aio.AbortError, grpc.RpcError):
            raise
        except Exception:  # noqa: BLE001 - the last resort of the entry point
            reference = uuid.uuid4().hex[:8]
            _log.exception("%s failed (reference %s)", method.__name__, reference)
            text = f"the sidecar made a mistake in this call; its log has the cause under reference {reference}"
            await context.abort(grpc.StatusCode.INTERNAL, text)

    return call


class Service(stubs.TaskHubSidecarServiceServicer):  # type: ignore[misc]  # generated without types
    """One method a call; names are the protocol's."""

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token.encode()

    def check_token(self, context: Context) -> None:
        """Refuses a caller without DAPR_API_TOKEN, if there is one."""
        if not self._token:
            return
        given = dict(context.invocation_metadata() or ()).get(TOKEN_HEADER)
        if given is None:
            raise errors.unauthenticated("missing api token in request metadata")
        if not hmac.compare_digest(given.encode() if isinstance(given, str) else given, self._token):
            raise errors.unauthenticated("authentication error: api token mismatch")

    @_answers
    async def Hello(self, request: Empty, context: Context) -> Empty:  # noqa: D102, N802
        return Empty()

    @_answers
    async def StartInstance(self, request: pb.CreateInstanceRequest, context: Context) -> Any:  # noqa: D102, N802
        await self._app.await_worker()
        instance_id = await self._app.change(lambda engine: engine.start(self._app.id, request))
        if not request.HasField("scheduledStartTimestamp"):
            await self._app.wait_for(instance_id, has_started)
        return pb.CreateInstanceResponse(instanceId=instance_id)

    @_answers
    async def GetInstance(self, request: pb.GetInstanceRequest, context: Context) -> Any:  # noqa: D102, N802
        return self._state(request)

    @_answers
    async def WaitForInstanceStart(self, request: pb.GetInstanceRequest, context: Context) -> Any:  # noqa: D102, N802
        await self._app.need_worker(request.instanceId)
        await self._app.settle(request.instanceId, "reminder")
        await self._app.wait_for(request.instanceId, has_started)
        return self._state(request)

    @_answers
    async def WaitForInstanceCompletion(self, request: pb.GetInstanceRequest, context: Context) -> Any:  # noqa: D102, N802
        await self._app.need_worker(request.instanceId)
        await self._app.settle(request.instanceId, "reminder")
        await self._app.wait_for(request.instanceId, ENDED.__contains__)
        return self._state(request)

    @_answers
    async def RaiseEvent(self, request: pb.RaiseEventRequest, context: Context) -> Any:  # noqa: D102, N802
        event = events.raised(self._app.now(), request)
        await self._deliver(request.instanceId, event)
        return pb.RaiseEventResponse()

    @_answers
    async def TerminateInstance(self, request: pb.TerminateRequest, context: Context) -> Any:  # noqa: D102, N802
        output = request.output if request.HasField("output") else None
        event = events.terminated(self._app.now(), output, recurse=request.recursive)
        try:
            await self._deliver(request.instanceId, event)
        except Refused as refusal:
            raise refusal.within(errors.TERMINATE) from None
        await self._app.wait_for(request.instanceId, ENDED.__contains__)
        return pb.TerminateResponse()

    @_answers
    async def SuspendInstance(self, request: pb.SuspendRequest, context: Context) -> Any:  # noqa: D102, N802
        await self._deliver(request.instanceId, events.suspended(self._app.now(), request.reason))
        await self._app.wait_for(request.instanceId, (ENDED | {SUSPENDED}).__contains__)
        return pb.SuspendResponse()

    @_answers
    async def ResumeInstance(self, request: pb.ResumeRequest, context: Context) -> Any:  # noqa: D102, N802
        await self._deliver(request.instanceId, events.resumed(self._app.now(), request.reason))
        await self._app.wait_for(request.instanceId, (ENDED | {RUNNING}).__contains__)
        return pb.ResumeResponse()

    async def _deliver(self, instance_id: str, event: pb.HistoryEvent) -> None:
        await self._app.need_worker_to_change(instance_id)
        try:
            await self._app.change(lambda engine: engine.deliver(self._app.id, instance_id, event))
        except errors.Stalled:
            await self._app.settle(instance_id)
            await self._app.change(lambda engine: engine.deliver(self._app.id, instance_id, event))

    @_answers
    async def PurgeInstances(self, request: pb.PurgeInstancesRequest, context: Context) -> Any:  # noqa: D102, N802
        if request.HasField("purgeInstanceFilter"):
            raise Refused(grpc.StatusCode.UNKNOWN, "multi-instance purge is not unimplemented")
        await self._need_worker_to_purge(request)
        count = await self._app.change(
            lambda engine: engine.purge(
                self._app.id, request.instanceId, recursive=request.recursive, force=request.force
            )
        )
        return pb.PurgeInstancesResponse(deletedInstanceCount=count)

    async def _need_worker_to_purge(self, request: pb.PurgeInstancesRequest) -> None:
        row = self._app.find(request.instanceId)
        if request.force or (request.recursive and (row is None or row.status not in ENDED)):
            return  # done, or refused, from what is stored alone
        try:
            await self._app.need_worker_to_change(request.instanceId)
        except Refused as refusal:
            raise refusal.within(errors.PURGE) from None

    @_answers
    async def RerunWorkflowFromEvent(self, request: pb.RerunWorkflowFromEventRequest, context: Context) -> Any:  # noqa: D102, N802
        await self._app.need_worker_to_change(request.sourceInstanceID)
        new_id = await self._app.change(lambda engine: engine.rerun(self._app.id, request))
        return pb.RerunWorkflowFromEventResponse(newInstanceID=new_id)

    @_answers
    async def ListInstanceIDs(self, request: pb.ListInstanceIDsRequest, context: Context) -> Any:  # noqa: D102, N802
        token = request.continuationToken or "0"
        if not token.isdigit():
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT, f"continuation token '{token}' is not one of this sidecar's"
            )
        size = request.pageSize or PAGE
        rows = self._app.reader.page(self._app.id, int(token), size + 1)
        for _, name in rows[:size]:
            check_key(name, self._app.id)
        more = str(rows[size - 1][0]) if len(rows) > size else None
        return pb.ListInstanceIDsResponse(instanceIds=[name for _, name in rows[:size]], continuationToken=more)

    @_answers
    async def GetInstanceHistory(self, request: pb.GetInstanceHistoryRequest, context: Context) -> Any:  # noqa: D102, N802
        row = self._app.find(request.instanceId)
        if row is None:
            raise errors.history_not_found(request.instanceId)
        return pb.GetInstanceHistoryResponse(events=self._app.reader.history(row.key))

    @_answers
    async def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: Context) -> None:  # noqa: D102, N802
        worker = self._app.join(caches=pb.WORKER_CAPABILITY_STATEFUL_HISTORY in request.capabilities)
        await context.send_initial_metadata(())  # the worker knows now that it is heard
        try:
            while (item := await worker.outbox.get()) is not None:
                await context.write(item)
        finally:
            self._app.leave(worker)

    @_answers
    async def CompleteActivityTask(self, request: pb.ActivityResponse, context: Context) -> Any:  # noqa: D102, N802
        try:
            await self._app.complete_activity(request)
        except StoreUnavailable as error:
            raise _retryable(error) from error
        return pb.CompleteTaskResponse()

    @_answers
    async def CompleteWorkflowTask(self, request: pb.WorkflowResponse, context: Context) -> Any:  # noqa: D102, N802
        try:
            await self._app.complete_turn(request)
        except UnusableReply as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"instance '{request.instanceId}': {error}") from error
        except StoreUnavailable as error:
            raise _retryable(error) from error
        return pb.CompleteTaskResponse()

    CompleteOrchestratorTask = CompleteWorkflowTask  # its older name, the one the SDK calls

    def _state(self, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        row = self._app.find(request.instanceId)
        if row is None:
            return pb.GetInstanceResponse(exists=False)
        seen = fold(self._app.reader.history(row.key))
        started = seen.start.executionStarted if seen.start else None
        state = pb.WorkflowState(
            instanceId=row.id,
            name=started.name if started else "",
            workflowStatus=seen.status,  # type: ignore[arg-type]  # enums are ints on the wire
            createdTimestamp=seen.start.timestamp if seen.start else NEVER,
            lastUpdatedTimestamp=seen.last if seen.start else NEVER,
            startedAt=seen.first,
        )
        if request.getInputsAndOutputs:
            _add_payloads(state, started, seen.end, row.custom_status)
        return pb.GetInstanceResponse(exists=True, workflowState=state)


def _add_payloads(
    state: pb.WorkflowState,
    start: pb.ExecutionStartedEvent | None,
    end: pb.HistoryEvent | None,
    custom_status: str | None,
) -> None:
    if start is not None and start.HasField("input"):
        state.input.CopyFrom(start.input)
    if custom_status is not None:
        state.customStatus.CopyFrom(StringValue(value=custom_status))
    if end is not None and end.executionCompleted.HasField("result"):
        state.output.CopyFrom(end.executionCompleted.result)
    if end is not None and end.executionCompleted.HasField("failureDetails"):
        state.failureDetails.CopyFrom(end.executionCompleted.failureDetails)


def _retryable(error: StoreUnavailable) -> Refused:
    """Reword it: a worker takes RESOURCE_EXHAUSTED for an oversized result and would fail the workflow."""
    return Refused(grpc.StatusCode.UNAVAILABLE, error.text)
