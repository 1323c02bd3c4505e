"""A worker and a caller by hand: a test can look at a work item, drop the stream, answer late, or be refused."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

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


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """Give the code and text of the error that the call must end in."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()
