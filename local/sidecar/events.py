"""How history events are made. Pure but for random execution ids: time comes in as nanoseconds after 1970 UTC."""

import uuid

from local.sidecar.wire import COMPLETED, StringValue, Timestamp, moment, pb

NO_ID = -1  # the event id of everything that isn't an action of the workflow
FIRES_NEVER = 253_402_300_799  # seconds; the SDK's mark for "no deadline": 9999-12-31T23:59:59Z


def target_app(event: pb.HistoryEvent, app: str) -> str:
    """Give the app that an event of this app's workflow calls: another one, or itself."""
    return event.router.targetAppID or app


def _event(now: int, **kind: object) -> pb.HistoryEvent:
    return pb.HistoryEvent(eventId=NO_ID, timestamp=moment(now), **kind)  # type: ignore[arg-type]  # one-of by name


def _given(text: StringValue) -> StringValue | None:
    return text if text.value else None


def turn_started(now: int) -> pb.HistoryEvent:
    """Open every turn; its timestamp is the workflow's clock."""
    return _event(now, workflowStarted=pb.WorkflowStartedEvent())


def execution_started(now: int, app_id: str, request: pb.CreateInstanceRequest) -> pb.HistoryEvent:
    """Make a client's request for a new instance."""
    start = pb.ExecutionStartedEvent(
        name=request.name,
        input=request.input if request.HasField("input") else None,
        workflowInstance=_instance(request.instanceId),
        scheduledStartTimestamp=(
            request.scheduledStartTimestamp if request.HasField("scheduledStartTimestamp") else None
        ),
    )
    return _event(now, executionStarted=start, router=pb.TaskRouter(sourceAppID=app_id))


def child_started(
    now: int, action: pb.WorkflowAction, parent: pb.ExecutionStartedEvent, parent_id: str
) -> pb.HistoryEvent:
    """Make a parent's request for a child instance."""
    child = action.createChildWorkflow
    start = pb.ExecutionStartedEvent(
        name=child.name,
        input=child.input if child.HasField("input") else None,
        workflowInstance=_instance(child.instanceId),
        parentInstance=pb.ParentInstanceInfo(
            taskScheduledId=action.id,
            name=StringValue(value=parent.name),
            workflowInstance=pb.WorkflowInstance(instanceId=parent_id, executionId=parent.workflowInstance.executionId),
            appID=action.router.sourceAppID,
        ),
    )
    return _event(now, executionStarted=start, router=action.router)


def child_restarted(
    now: int, created: pb.HistoryEvent, parent_name: str, parent_id: str, app_id: str
) -> pb.HistoryEvent:
    """Make the request for a child that a rerun starts over; like the runtime's it names no execution of the parent."""
    child = created.childWorkflowInstanceCreated
    start = pb.ExecutionStartedEvent(
        name=child.name,
        input=child.input if child.HasField("input") else None,
        workflowInstance=_instance(child.instanceId),
        parentInstance=pb.ParentInstanceInfo(
            taskScheduledId=created.eventId,
            name=StringValue(value=parent_name),
            workflowInstance=pb.WorkflowInstance(instanceId=parent_id),
            appID=app_id,
        ),
    )
    return _event(now, executionStarted=start, router=created.router)


def continued(
    now: int, start: pb.ExecutionStartedEvent, action: pb.WorkflowAction, instance_id: str
) -> pb.HistoryEvent:
    """Make the start of the next generation: same name and parent, the new input, a new execution id."""
    done = action.completeWorkflow
    following = pb.ExecutionStartedEvent(
        name=start.name,
        input=done.result if done.HasField("result") else None,
        parentInstance=start.parentInstance if start.HasField("parentInstance") else None,
        workflowInstance=_instance(instance_id),
    )
    return _event(now, executionStarted=following, router=action.router)


def _instance(instance_id: str) -> pb.WorkflowInstance:
    return pb.WorkflowInstance(instanceId=instance_id, executionId=StringValue(value=str(uuid.uuid4())))


def raised(now: int, request: pb.RaiseEventRequest) -> pb.HistoryEvent:
    """Make an external event, in the spelling it was raised with."""
    return _event(
        now,
        eventRaised=pb.EventRaisedEvent(name=request.name, input=request.input if request.HasField("input") else None),
    )


def terminated(now: int, output: StringValue | None, *, recurse: bool) -> pb.HistoryEvent:
    """Make the order to end at once."""
    return _event(now, executionTerminated=pb.ExecutionTerminatedEvent(input=output, recurse=recurse))


def suspended(now: int, reason: StringValue) -> pb.HistoryEvent:
    """Make the order to pause."""
    return _event(now, executionSuspended=pb.ExecutionSuspendedEvent(input=_given(reason)))


def resumed(now: int, reason: StringValue) -> pb.HistoryEvent:
    """Make the order to go on."""
    return _event(now, executionResumed=pb.ExecutionResumedEvent(input=_given(reason)))


def stalled(now: int, reason: pb.StalledReason.ValueType, description: str) -> pb.HistoryEvent:
    """Make the note that an instance waits until a worker can go on with it."""
    return _event(now, executionStalled=pb.ExecutionStalledEvent(reason=reason, description=description))


def timer_fired(now: int, timer_id: int, fire_at: Timestamp) -> pb.HistoryEvent:
    """Make the event that a timer's moment has come."""
    return _event(now, timerFired=pb.TimerFiredEvent(timerId=timer_id, fireAt=fire_at))


def activity_ended(now: int, scheduled: pb.HistoryEvent, response: pb.ActivityResponse) -> pb.HistoryEvent:
    """Make an activity's result or failure, matched to the event that scheduled it."""
    task, execution = scheduled.eventId, scheduled.taskScheduled.taskExecutionId
    if response.HasField("failureDetails"):
        failed = pb.TaskFailedEvent(
            taskScheduledId=task, taskExecutionId=execution, failureDetails=response.failureDetails
        )
        return _event(now, taskFailed=failed, router=scheduled.router)
    result = response.result if response.HasField("result") else None
    completed = pb.TaskCompletedEvent(taskScheduledId=task, taskExecutionId=execution, result=result)
    return _event(now, taskCompleted=completed, router=scheduled.router)


def child_ended(now: int, start: pb.ExecutionStartedEvent, action: pb.WorkflowAction) -> pb.HistoryEvent:
    """Make a child's end as its parent hears of it: everything but COMPLETED is a failure."""
    done, task = action.completeWorkflow, start.parentInstance.taskScheduledId
    router = pb.TaskRouter(sourceAppID=action.router.sourceAppID, targetAppID=start.parentInstance.appID)
    if done.workflowStatus == COMPLETED:
        result = done.result if done.HasField("result") else None
        completed = pb.ChildWorkflowInstanceCompletedEvent(taskScheduledId=task, result=result)
        return _event(now, childWorkflowInstanceCompleted=completed, router=router)
    details = done.failureDetails if done.HasField("failureDetails") else None
    failed = pb.ChildWorkflowInstanceFailedEvent(taskScheduledId=task, failureDetails=details)
    return _event(now, childWorkflowInstanceFailed=failed, router=router)


def child_refused(now: int, task_id: int, error_type: str, text: str) -> pb.HistoryEvent:
    """Make a child that could not be created."""
    details = pb.TaskFailureDetails(errorType=error_type, errorMessage=text)
    failed = pb.ChildWorkflowInstanceFailedEvent(taskScheduledId=task_id, failureDetails=details)
    return _event(now, childWorkflowInstanceFailed=failed)
