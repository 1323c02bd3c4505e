"""Forking a history for a rerun: pure, events in, events out.

The order is the runtime's: what had ended before the chosen event comes first, then what was still open, then the
event itself. A timer before it is set again even if it had fired: so does the runtime.
"""

from collections.abc import Sequence

from local.sidecar import errors
from local.sidecar.wire import moment, pb

_OPENS = {"taskScheduled": "tasks", "timerCreated": "timers", "childWorkflowInstanceCreated": "children"}
_CLOSES = {
    "taskCompleted": "tasks",
    "taskFailed": "tasks",
    "childWorkflowInstanceCompleted": "children",
    "childWorkflowInstanceFailed": "children",
}
Open = dict[str, dict[int, pb.HistoryEvent]]


def fork(
    history: Sequence[pb.HistoryEvent], request: pb.RerunWorkflowFromEventRequest, now: int
) -> tuple[list[pb.HistoryEvent], list[pb.HistoryEvent]]:
    """Give the new instance's history, and the events after it that are carried out again."""
    kept: list[pb.HistoryEvent] = []
    still_open: Open = {"tasks": {}, "timers": {}, "children": {}}
    for event in history:
        if event.eventId == request.eventID:
            target = _target(event, request)
            break
        _keep(event, kept, still_open)
    else:
        raise errors.rerun_no_event(request.eventID)
    for event in still_open["children"].values():
        event.childWorkflowInstanceCreated.instanceId = _child_id(request, event)
    again = [event for family in still_open.values() for event in family.values()]
    again.append(target)
    for place, event in enumerate(again):
        event.timestamp.CopyFrom(moment(now + place))
    return kept, again


def _keep(event: pb.HistoryEvent, kept: list[pb.HistoryEvent], still_open: Open) -> None:
    kind = event.WhichOneof("eventType") or ""
    if kind in _OPENS:
        still_open[_OPENS[kind]][event.eventId] = event
        return
    if kind in _CLOSES:
        opened = still_open[_CLOSES[kind]].pop(getattr(event, kind).taskScheduledId, None)
        if opened is not None:
            kept.append(opened)
    kept.append(event)


def _child_id(request: pb.RerunWorkflowFromEventRequest, event: pb.HistoryEvent) -> str:
    return f"{request.newInstanceID}:{event.eventId:04x}"


def _target(event: pb.HistoryEvent, request: pb.RerunWorkflowFromEventRequest) -> pb.HistoryEvent:
    kind = event.WhichOneof("eventType") or ""
    if kind not in _OPENS:
        raise errors.rerun_wrong_event(kind, request.eventID)
    is_child = kind == "childWorkflowInstanceCreated"
    name = {"taskScheduled": "activity", "timerCreated": "timer"}.get(kind, "")
    if request.HasField("newChildWorkflowInstanceID") and not is_child:
        raise errors.rerun_bad_request("set new child workflow instance ID on", name, request.eventID)
    if request.overwriteInput and kind == "timerCreated":
        raise errors.rerun_bad_request("write input to", name, request.eventID)
    body = getattr(event, kind)
    body.rerunParentInstanceInfo.instanceID = request.sourceInstanceID
    if is_child:
        given = request.newChildWorkflowInstanceID if request.HasField("newChildWorkflowInstanceID") else ""
        body.instanceId = given or _child_id(request, event)
    if request.overwriteInput:
        body.ClearField("input")
        if request.HasField("input"):
            body.input.CopyFrom(request.input)
    return event
