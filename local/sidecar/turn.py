"""One turn of a workflow: history + new events + the worker's actions -> what is to be stored and done.

Pure: no database, no gRPC, no clock but the moment passed in. The rules are those of the runtime's engine as
wire.jsonl shows them; event ids, order and routers must come out the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from local.sidecar import events
from local.sidecar.errors import UnusableReply
from local.sidecar.fold import fold
from local.sidecar.waits import cancelled_timers
from local.sidecar.wire import (
    CONTINUED,
    ENDED,
    StringValue,
    moment,
    pb,
)

Child = tuple[str, str]  # app and instance id


@dataclass(frozen=True, slots=True)
class Turn:
    """What a worker is given: the committed history and the events it has not seen."""

    instance_id: str
    past: Sequence[pb.HistoryEvent]
    new: Sequence[pb.HistoryEvent]
    continued: bool = False  # the stored history belongs to an earlier generation and is wiped at the commit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn leaves behind; all of it is committed together or not at all."""

    status: int
    custom_status: str | None
    history: Sequence[pb.HistoryEvent]  # to be appended
    continued: bool = False
    stalled: bool = False  # nothing was consumed: the new events stay in the inbox
    refused: bool = False  # stalled for want of something that another worker may have
    execution_id: str = ""
    activities: Sequence[pb.HistoryEvent] = ()
    timers: Sequence[pb.HistoryEvent] = ()
    cancelled: Sequence[int] = ()
    children: Sequence[pb.HistoryEvent] = ()
    report: pb.HistoryEvent | None = None  # to the parent
    parent: pb.ParentInstanceInfo | None = None
    terminate: Sequence[Child] = ()  # to be terminated
    terminate_output: StringValue | None = None


@dataclass(slots=True)
class _Draft:
    """An outcome while its actions are read."""

    turn: Turn
    now: int
    app_id: str
    start: pb.ExecutionStartedEvent
    history: list[pb.HistoryEvent]
    ended: bool = False
    activities: list[pb.HistoryEvent] = field(default_factory=list)
    timers: list[pb.HistoryEvent] = field(default_factory=list)
    children: list[pb.HistoryEvent] = field(default_factory=list)
    report: pb.HistoryEvent | None = None


_RESOLVES = {
    "taskCompleted": ("task", "taskScheduledId"),
    "taskFailed": ("task", "taskScheduledId"),
    "timerFired": ("timer", "timerId"),
    "childWorkflowInstanceCompleted": ("child", "taskScheduledId"),
    "childWorkflowInstanceFailed": ("child", "taskScheduledId"),
}
_SCHEDULES = {"taskScheduled": "task", "timerCreated": "timer", "childWorkflowInstanceCreated": "child"}


def _resolution(event: pb.HistoryEvent) -> tuple[str, int] | None:
    kind = event.WhichOneof("eventType") or ""
    if kind not in _RESOLVES:
        return None
    family, correlator = _RESOLVES[kind]
    return family, getattr(getattr(event, kind), correlator)


def open_turn(instance_id: str, past: Sequence[pb.HistoryEvent], inbox: Sequence[pb.HistoryEvent], now: int) -> Turn:
    """Give the next turn of an instance; what resolves a task, timer or child a second time is left out."""
    settled = {found for event in past if (found := _resolution(event))}
    started = any(event.HasField("executionStarted") for event in past)
    new = [events.turn_started(now)]
    for event in inbox:
        found = _resolution(event)
        if (found and found in settled) or (started and event.HasField("executionStarted")):
            continue
        if found:
            settled.add(found)
        started = started or event.HasField("executionStarted")
        new.append(event)
    return Turn(instance_id, past, new)


def close_turn(turn: Turn, response: pb.WorkflowResponse, now: int, app_id: str) -> Outcome | Turn:
    """Apply a worker's answer. A turn in return is the next generation, to be handed out at once.

    One that repeats a committed action is applied again, as the runtime does: the SDK repeats an action of a changed
    workflow while its id belongs to the timer of a wait in the history. Raises UnusableReply for an unknown action.
    """
    start = _start(turn)
    _stamp_version(turn, response)
    order = next((e.executionTerminated for e in turn.new if e.HasField("executionTerminated")), None)
    draft = _Draft(turn, now, app_id, start, list(turn.new))
    for action in response.actions:
        action.router.sourceAppID = app_id
        if continues(action) and not draft.ended:
            if order is None:
                return _next_generation(draft, action)
            continue  # a terminate in the same turn must not be lost to continue-as-new
        _apply(draft, action)
    if order is not None and not draft.ended:
        draft = replace(draft, history=list(turn.new), activities=[], timers=[], children=[])
        _complete(draft, _forced_end(order, app_id))
    return _outcome(draft, response, order)


def _start(turn: Turn) -> pb.ExecutionStartedEvent:
    for event in (*turn.past, *turn.new):
        if event.HasField("executionStarted"):
            return event.executionStarted
    raise UnusableReply(f"instance '{turn.instance_id}' has not been started")


def _stamp_version(turn: Turn, response: pb.WorkflowResponse) -> None:
    """Note a turn's version and new patches. As in the runtime the name of a version is lost beside patches."""
    if not response.HasField("version"):
        return
    known = Counter(p for e in turn.past if e.HasField("workflowStarted") for p in e.workflowStarted.version.patches)
    fresh = list((Counter(response.version.patches) - known).elements())
    if fresh:
        turn.new[0].workflowStarted.version.CopyFrom(pb.WorkflowVersion(patches=fresh))
    elif response.version.HasField("name") and not response.version.patches:
        turn.new[0].workflowStarted.version.CopyFrom(response.version)


def continues(action: pb.WorkflowAction) -> bool:
    """Say whether an action ends the generation and starts the next."""
    return action.HasField("completeWorkflow") and action.completeWorkflow.workflowStatus == CONTINUED


def _next_generation(draft: _Draft, action: pb.WorkflowAction) -> Turn:
    opening = events.turn_started(draft.now)
    opening.router.CopyFrom(action.router)
    start = events.continued(draft.now + 1, draft.start, action, draft.turn.instance_id)
    return Turn(draft.turn.instance_id, (), [opening, start, *action.completeWorkflow.carryoverEvents], continued=True)


def _forced_end(order: pb.ExecutionTerminatedEvent, app_id: str) -> pb.WorkflowAction:
    done = pb.CompleteWorkflowAction(
        workflowStatus=pb.ORCHESTRATION_STATUS_TERMINATED, result=order.input if order.HasField("input") else None
    )
    return pb.WorkflowAction(id=-1, completeWorkflow=done, router=pb.TaskRouter(sourceAppID=app_id))


def _apply(draft: _Draft, action: pb.WorkflowAction) -> None:
    kind = action.WhichOneof("workflowActionType")
    apply = _ACTIONS.get(kind or "")
    if apply is None:
        raise UnusableReply(f"this sidecar doesn't know the action '{kind}' (id {action.id})")
    apply(draft, action)


def _scheduled(draft: _Draft, action: pb.WorkflowAction) -> pb.HistoryEvent:
    event = pb.HistoryEvent(eventId=action.id, timestamp=moment(draft.now), router=action.router)
    draft.history.append(event)
    return event


def _schedule_task(draft: _Draft, action: pb.WorkflowAction) -> None:
    task, event = action.scheduleTask, _scheduled(draft, action)
    event.taskScheduled.name = task.name
    event.taskScheduled.taskExecutionId = task.taskExecutionId
    _copy(task, event.taskScheduled, "version", "input")
    draft.activities.append(event)


def _create_timer(draft: _Draft, action: pb.WorkflowAction) -> None:
    timer, event = action.createTimer, _scheduled(draft, action)
    event.timerCreated.fireAt.CopyFrom(timer.fireAt)
    if timer.HasField("name"):
        event.timerCreated.name = timer.name
    origin = timer.WhichOneof("origin")
    if origin:
        getattr(event.timerCreated, origin).CopyFrom(getattr(timer, origin))
    draft.timers.append(event)


def _create_child(draft: _Draft, action: pb.WorkflowAction) -> None:
    child = action.createChildWorkflow
    child.instanceId = child.instanceId or f"{draft.turn.instance_id}:{action.id:04x}"
    event = _scheduled(draft, action)
    event.childWorkflowInstanceCreated.instanceId = child.instanceId
    event.childWorkflowInstanceCreated.name = child.name
    _copy(child, event.childWorkflowInstanceCreated, "version", "input")
    draft.children.append(events.child_started(draft.now, action, draft.start, draft.turn.instance_id))


def _complete(draft: _Draft, action: pb.WorkflowAction) -> None:
    if draft.ended:
        return  # the first completion of a turn wins
    draft.ended = True
    done, event = action.completeWorkflow, _scheduled(draft, action)
    event.executionCompleted.workflowStatus = done.workflowStatus
    _copy(done, event.executionCompleted, "result", "failureDetails")
    if draft.start.HasField("parentInstance"):
        draft.report = events.child_ended(draft.now, draft.start, action)


def _copy(source: Any, target: Any, *names: str) -> None:
    for name in names:
        if source.HasField(name):
            getattr(target, name).CopyFrom(getattr(source, name))


_ACTIONS = {
    "scheduleTask": _schedule_task,
    "createTimer": _create_timer,
    "createChildWorkflow": _create_child,
    "completeWorkflow": _complete,
}


def _outcome(draft: _Draft, response: pb.WorkflowResponse, order: pb.ExecutionTerminatedEvent | None) -> Outcome:
    turn = draft.turn
    whole = fold((*turn.past, *draft.history))
    ended = whole.status in ENDED
    recurse = order is not None and order.recurse and ended
    return Outcome(
        status=whole.status,
        custom_status=response.customStatus.value if response.HasField("customStatus") else None,
        history=_without_orphans(turn.past, draft.history),
        continued=turn.continued,
        execution_id=draft.start.workflowInstance.executionId.value,
        activities=_without_result(turn, draft.activities),
        timers=() if ended else draft.timers,
        cancelled=() if ended else cancelled_timers(turn.past, draft.history),
        children=draft.children,
        report=draft.report,
        parent=draft.start.parentInstance if draft.report else None,
        terminate=descendants((*turn.past, *draft.history), draft.app_id) if recurse else (),
        terminate_output=order.input if order is not None and order.HasField("input") else None,
    )


def _without_result(turn: Turn, activities: Sequence[pb.HistoryEvent]) -> Sequence[pb.HistoryEvent]:
    """Leave out the activities that have ended already: a repeated one must not run a second time."""
    if not activities:
        return ()
    settled = {found for event in (*turn.past, *turn.new) if (found := _resolution(event))}
    return [event for event in activities if ("task", event.eventId) not in settled]


def descendants(history: Iterable[pb.HistoryEvent], app: str) -> Sequence[Child]:
    """Give the children that the history of an app's workflow created, each once, in order."""
    made = [event for event in history if event.HasField("childWorkflowInstanceCreated")]
    children = ((events.target_app(event, app), event.childWorkflowInstanceCreated.instanceId) for event in made)
    return tuple(dict.fromkeys(children))


def _without_orphans(past: Sequence[pb.HistoryEvent], new: Sequence[pb.HistoryEvent]) -> Sequence[pb.HistoryEvent]:
    """Drop results of tasks and children that this history never scheduled (an earlier generation's)."""
    made = {
        (_SCHEDULES[kind], event.eventId)
        for event in (*past, *new)
        if (kind := event.WhichOneof("eventType")) in _SCHEDULES
    }
    return [e for e in new if (found := _resolution(e)) is None or found[0] == "timer" or found in made]
