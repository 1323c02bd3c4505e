"""Events reach workflows as text: the SDK would decode any raised event before our code could check it.

Payloads that are no JSON, nested too deep, or marked as an SDK object end an instance as FAILED in the SDK's decoder.
The one public seam is a gRPC interceptor: it writes each payload as a JSON string, so that decoding always succeeds and
gives the raw text (docs/explanation/dapr.md). What is carried over to the next run is unwrapped again.

The same seam names the version of a history that was begun before versions had names, and hands a request's workflow
every event as its one event: one that it never waits for would stay in its history, and a flood of them would fill it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grpc
from dapr.ext.workflow._durabletask.internal import protos

from approvals.decision import APPROVAL_DECISION as DECISION
from approvals.mailbox import LONGEST_EVENT, plain
from workflows.versions import APPROVALS, REQUESTS

ONE_MAILBOX = frozenset({APPROVALS.workflow, REQUESTS.workflow})
"""Workflows that wait for the one event approval_decision, and for no other."""

OBJECT_MARK = "__durabletask_autoobject__"
"""The key by which the SDK makes an object of a mapping."""

UNREADABLE = '{"unreadable": true}'
"""Stands for what is no plain JSON: an activity's result, or an event of a workflow that is not ours."""


class EventsAsText(grpc.UnaryStreamClientInterceptor, grpc.UnaryUnaryClientInterceptor):
    """Wraps the payloads of raised events in what comes from the engine, and unwraps those that go back to it.

    `unnamed` is the version that a history without one began with, for each workflow that has named versions.
    """

    def __init__(self, unnamed: Mapping[str, str]) -> None:
        self._unnamed = unnamed
        self._names = Names()

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Wrap the events of each work item."""
        stream = continuation(details, request)
        return WorkItems(stream, self._unnamed, self._names) if details.method.endswith("/GetWorkItems") else stream

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Wrap the events of a history that is read whole; unwrap those that a turn carries over."""
        if details.method.endswith("/CompleteOrchestratorTask"):
            unwrap(request)
            self._names.answered(request)
        answer = continuation(details, request)
        if details.method.endswith("/GetInstanceHistory") and answer.code() is grpc.StatusCode.OK:
            receive(answer.result().events, (), self._unnamed, begun_as(answer.result().events) in ONE_MAILBOX)
        return answer


class WorkItems:
    """The stream of work items. All else, like cancelling it, is the stream's own."""

    def __init__(self, stream: Any, unnamed: Mapping[str, str], names: "Names") -> None:
        self._stream = stream
        self._unnamed = unnamed
        self._names = names

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._stream)
        if item.HasField("workflowRequest"):
            work = item.workflowRequest
            receive(work.pastEvents, work.newEvents, self._unnamed, self._names.has_one_mailbox(work))
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Names:
    """Remembers which instances are of other workflows: an engine that sends only new events names them just once."""

    def __init__(self) -> None:
        self._others: set[str] = set()

    def has_one_mailbox(self, work: protos.WorkflowRequest) -> bool:
        """Return whether the instance waits for the one event alone."""
        name = begun_as((*work.pastEvents, *work.newEvents))
        if name and name not in ONE_MAILBOX:
            self._others.add(work.instanceId)
        elif name:
            self._others.discard(work.instanceId)
        return work.instanceId not in self._others

    def answered(self, answer: protos.WorkflowResponse) -> None:
        """Forget an instance that ends."""
        if any(action.HasField("completeWorkflow") for action in answer.actions):
            self._others.discard(answer.instanceId)


def begun_as(events: Iterable[protos.HistoryEvent]) -> str:
    """Return the workflow's name, if its beginning is among these events."""
    started = (event.executionStarted for event in events if event.HasField("executionStarted"))
    return next((each.name for each in started), "")


def receive(
    past: Iterable[protos.HistoryEvent],
    new: Iterable[protos.HistoryEvent],
    unnamed: Mapping[str, str],
    one_mailbox: bool,  # noqa: FBT001 whether the workflow waits for the one event alone
) -> None:
    """Make events what a worker of ours works with. `past` are those of turns that have ended."""
    for events in (past, new):
        if one_mailbox:
            rename(events)
        wrap(events)
    name_version(past, unnamed)


def rename(events: Iterable[protos.HistoryEvent]) -> None:
    """Make each event of another name one that can be no decision: the workflow drops and counts it."""
    for event in events:
        if event.HasField("eventRaised") and event.eventRaised.name.casefold() != DECISION:
            event.eventRaised.input.value = json.dumps({"event": event.eventRaised.name[:100]})
            event.eventRaised.name = DECISION


def name_version(past: Iterable[protos.HistoryEvent], unnamed: Mapping[str, str]) -> None:
    """Name the version of a history that was begun without one: the SDK would go on with the latest.

    `past` are events of turns that have ended: what begins now does take the latest.
    """
    turn = None
    for event in past:
        if event.HasField("workflowStarted"):
            turn = event.workflowStarted
        elif event.HasField("executionStarted"):
            first = unnamed.get(event.executionStarted.name)
            if first and turn is not None and not turn.version.name:
                turn.version.name = first
            return


def wrap(events: Iterable[protos.HistoryEvent]) -> None:
    """Make each decision's payload a JSON string of its raw text; the size is looked at first.

    Other events are waited for by workflows of other packages, which get them decoded, as from any worker.
    """
    for event in events:
        if event.HasField("eventRaised") and event.eventRaised.HasField("input"):
            raw, is_decision = event.eventRaised.input.value, _is_decision(event)
            text = raw if len(raw) <= LONGEST_EVENT else too_long(raw)
            event.eventRaised.input.value = json.dumps(text) if is_decision else harmless(text)
        for kind in ("taskCompleted", "childWorkflowInstanceCompleted"):
            if event.HasField(kind) and getattr(event, kind).HasField("result"):
                result = getattr(event, kind).result
                result.value = readable(result.value)


def _is_decision(event: protos.HistoryEvent) -> bool:
    """Return whether it is the event of a decision: the engine ignores case (docs/explanation/dapr.md)."""
    return bool(event.eventRaised.name.casefold() == DECISION)


def harmless(text: str) -> str:
    """Return a payload that the SDK can decode, whatever was raised."""
    if not text or text == "null":
        return text
    found = None if OBJECT_MARK in text else plain(text)
    try:
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate can be sent nowhere
    except UnicodeEncodeError:
        found = None
    return UNREADABLE if found is None else text


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
            if event.eventRaised.HasField("input") and _is_decision(event):
                event.eventRaised.input.value = json.loads(event.eventRaised.input.value)
