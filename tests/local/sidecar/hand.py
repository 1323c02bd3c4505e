"""A worker by hand: a test can look at a work item, drop the stream, or answer late."""

from typing import Any

from local.sidecar.wire import StringValue, pb


def start(name: str = "w", **more: Any) -> pb.CreateInstanceRequest:
    return pb.CreateInstanceRequest(instanceId=name, name=name, **more)


def work(stub: Any, *capabilities: Any) -> Any:
    """Open a worker's stream."""
    stream = stub.GetWorkItems(pb.GetWorkItemsRequest(capabilities=capabilities), timeout=20)
    stream.initial_metadata()
    return stream


def answer(item: pb.WorkItem, *actions: pb.WorkflowAction) -> pb.WorkflowResponse:
    return pb.WorkflowResponse(
        instanceId=item.workflowRequest.instanceId, actions=actions, completionToken=item.completionToken
    )


def task(number: int = 1) -> pb.WorkflowAction:
    return pb.WorkflowAction(id=number, scheduleTask=pb.ScheduleTaskAction(name="a"))


def done(number: int = 2) -> pb.WorkflowAction:
    end = pb.CompleteWorkflowAction(workflowStatus=pb.ORCHESTRATION_STATUS_COMPLETED)
    return pb.WorkflowAction(id=number, completeWorkflow=end)


def again(data: str = "{}") -> pb.WorkflowAction:
    end = pb.CompleteWorkflowAction(
        workflowStatus=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, result=StringValue(value=data)
    )
    return pb.WorkflowAction(id=1, completeWorkflow=end)
