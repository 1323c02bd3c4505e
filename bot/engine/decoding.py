"""Events reach workflows as text: the SDK would decode what anybody raised before any code of ours could look at it.

Payloads that are no JSON, nested too deep, or marked as an SDK object end an instance as FAILED in the SDK's decoder.
The one public seam is a gRPC interceptor: it writes each payload as a JSON string, so that decoding always succeeds and
gives the raw text (docs/explanation/dapr.md). What is carried over to the next run is unwrapped again.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from dapr.ext.workflow._durabletask.internal import protos

from approvals.mailbox import LONGEST_EVENT

UNREADABLE = '{"unreadable": true}'
"""Stands for an activity's result that is no JSON: only a stranger at the sidecar's port completes with one."""


class EventsAsText(grpc.UnaryStreamClientInterceptor, grpc.UnaryUnaryClientInterceptor):
    """Wraps the payloads of raised events in what comes from the engine, and unwraps those that go back to it."""

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Wrap the events of each work item."""
        stream = continuation(details, request)
        return WorkItems(stream) if details.method.endswith("/GetWorkItems") else stream

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Wrap the events of a history that is read whole; unwrap those that a turn carries over."""
        if details.method.endswith("/CompleteOrchestratorTask"):
            unwrap(request)
        answer = continuation(details, request)
        if details.method.endswith("/GetInstanceHistory") and answer.code() is grpc.StatusCode.OK:
            wrap(answer.result().events)
        return answer


class WorkItems:
    """The stream of work items. All else, like cancelling it, is the stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._stream)
        if item.HasField("workflowRequest"):
            wrap(item.workflowRequest.pastEvents)
            wrap(item.workflowRequest.newEvents)
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def wrap(events: Iterable[protos.HistoryEvent]) -> None:
    """Make each raised event's payload a JSON string of its raw text; the size is looked at first."""
    for event in events:
        if event.HasField("eventRaised") and event.eventRaised.HasField("input"):
            raw = event.eventRaised.input.value
            event.eventRaised.input.value = json.dumps(raw if len(raw) <= LONGEST_EVENT else too_long(raw))
        for kind in ("taskCompleted", "childWorkflowInstanceCompleted"):
            if event.HasField(kind) and getattr(event, kind).HasField("result"):
                result = getattr(event, kind).result
                result.value = readable(result.value)


def too_long(raw: str) -> str:
    """Return what stands for an event that is too long to be looked at."""
    return json.dumps({"too_long": len(raw)})


def readable(result: str) -> str:
    """Return an activity's result as it is if it is JSON."""
    try:
        json.loads(result)
    except (ValueError, RecursionError):
        return UNREADABLE if result else result
    return result


def unwrap(answer: protos.WorkflowResponse) -> None:
    """Give each carried-over event back the text that was raised: the next run's work item is wrapped again."""
    for action in answer.actions:
        for event in action.completeWorkflow.carryoverEvents:
            if event.eventRaised.HasField("input"):
                event.eventRaised.input.value = json.loads(event.eventRaised.input.value)
