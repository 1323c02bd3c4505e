"""A stranger at the sidecar's port: raises, starts and ends anything, completes others' activities, takes turns."""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
from dapr.ext.workflow._durabletask.internal import protos
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

from approvals.decision import Decision
from approvals.people import Person
from approvals.state import State, binding_of
from records import instances
from tests.end_to_end.system import Order, System

Turn = Callable[[Any], list[Any]]
"""Makes the actions of a forged turn from the work item that a worker was handed."""


class Stranger:
    """Everything that reaching the port allows, with no key of ours."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.channel = grpc.insecure_channel(address)
        self.stub: Any = TaskHubSidecarServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.channel.close()

    def raise_text(self, instance_id: str, text: str) -> None:
        request = protos.RaiseEventRequest(
            instanceId=instance_id, name="approval_decision", input=StringValue(value=text)
        )
        self.stub.RaiseEvent(request)

    def start(self, instance_id: str, value: Any) -> None:
        self.stub.StartInstance(start_of(instance_id, value), timeout=10)

    def history(self, instance_id: str) -> list[Any]:
        return list(self.stub.GetInstanceHistory(protos.GetInstanceHistoryRequest(instanceId=instance_id)).events)

    def scheduled(self, instance_id: str, name: str) -> list[Any]:
        """Return the inputs with which an activity was scheduled."""
        return [
            json.loads(event.taskScheduled.input.value)
            for event in self.history(instance_id)
            if event.HasField("taskScheduled") and event.taskScheduled.name == name
        ]

    def results(self, instance_id: str) -> list[str]:
        return [
            event.taskCompleted.result.value for event in self.history(instance_id) if event.HasField("taskCompleted")
        ]

    @contextmanager
    def completing(self, instance_id: str, task_id: int, result: Any) -> Iterator[None]:
        """Complete one activity of an instance again and again, sooner than its worker can."""
        stop, text = threading.Event(), json.dumps(result)

        def hammer() -> None:
            while not stop.is_set():
                response = protos.ActivityResponse(
                    instanceId=instance_id, taskId=task_id, result=StringValue(value=text)
                )
                try:
                    self.stub.CompleteActivityTask(response)
                except grpc.RpcError:
                    time.sleep(0.001)

        threads = [threading.Thread(target=hammer, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def take_a_turn(self, begin: Callable[[int], object], wanted: str, turn: Turn, attempts: int = 40) -> str:
        """Be a worker until a turn of an instance that is begun is handed out, and answer it. Returns the instance.

        The ids of those that are begun hold `wanted`; an engine may answer a start after the instance's first turn.
        """
        taken: list[str] = []

        def work() -> None:
            with contextlib.suppress(grpc.RpcError):
                for item in stream:
                    found = item.workflowRequest.instanceId if item.HasField("workflowRequest") else ""
                    if wanted in found and not taken:
                        actions = turn(item.workflowRequest)
                        token = item.completionToken
                        stub.CompleteOrchestratorTask(
                            protos.WorkflowResponse(instanceId=found, actions=actions, completionToken=token)
                        )
                        taken.append(found)
                        stream.cancel()  # what it was handed besides goes to a true worker
                        return

        with grpc.insecure_channel(self._address) as channel:
            stub: Any = TaskHubSidecarServiceStub(channel)  # type: ignore[no-untyped-call]
            stream = stub.GetWorkItems(protos.GetWorkItemsRequest())
            worker = threading.Thread(target=work, daemon=True)
            worker.start()
            for number in range(attempts):
                begin(number)
                worker.join(0.25)
                if taken:
                    return taken[0]
            stream.cancel()
        raise AssertionError("no turn was handed to the stranger")

    def schedule(self, name: str, value: Any) -> str:
        """Have an activity run with any input, by a turn of an instance of the stranger's own; returns its id."""
        asked = {"subject": "x", "amount": "1", "currency": "USD", "requester": "x@example.com"}

        def begin(number: int) -> None:
            ids = (f"strangers-{number}-{each}-{time.monotonic_ns()}" for each in range(AT_ONCE))
            for call in [self.stub.StartInstance.future(start_of(each, asked), timeout=10) for each in ids]:
                call.exception()

        return self.take_a_turn(begin, "strangers-", schedule(name, value))


def state_of(system: System, order: Order) -> State:
    """Return what the records say of an order."""
    row = system.records(lambda connection: instances.get(connection, order.instance_id))
    assert row is not None
    assert row.state is not None
    return row.state


def a_yes(state: State, user: str = "U0MANAGER", decision_id: str = "") -> Decision:
    """Return a yes of this user to the current card, unsigned."""
    return Decision(
        id=decision_id or secrets.token_hex(8),
        binding=binding_of(state),
        person=Person(team="T0LOCAL", user=user),
        approved=True,
        through="slack",
        at=datetime.now(UTC),
    )


AT_ONCE = 12
"""Starts at once: an engine hands a turn to the worker with the least to do, and that is ours while it is idle."""


def start_of(instance_id: str, value: Any) -> protos.CreateInstanceRequest:
    """Return the call that starts a workflow with any input."""
    text = StringValue(value=json.dumps(value))
    return protos.CreateInstanceRequest(instanceId=instance_id, name="approval_workflow", input=text)


def next_id(work: Any) -> int:
    """Return the number that the instance's next action has."""
    made = [
        event.eventId
        for event in (*work.pastEvents, *work.newEvents)
        if event.HasField("taskScheduled") or event.HasField("timerCreated")
    ]
    return max(made, default=0) + 1


def schedule(name: str, value: Any) -> Turn:
    """Return a turn that asks for an activity."""

    def turn(work: Any) -> list[Any]:
        task = protos.ScheduleTaskAction(name=name, input=StringValue(value=json.dumps(value)))
        return [protos.WorkflowAction(id=next_id(work), scheduleTask=task)]

    return turn


def complete(output: Any) -> Turn:
    """Return a turn that ends the instance."""

    def turn(work: Any) -> list[Any]:
        done = protos.CompleteWorkflowAction(
            workflowStatus=protos.ORCHESTRATION_STATUS_COMPLETED, result=StringValue(value=json.dumps(output))
        )
        return [protos.WorkflowAction(id=next_id(work), completeWorkflow=done)]

    return turn
