"""Random calls on random instances against a small model of the table, answers and states compared after every call.

The calls go to the service itself and the turns to the SDK's own executor, without gRPC between them, so that many
sequences fit. COUNTERSIGN_SEQUENCES sets their number: `COUNTERSIGN_SEQUENCES=2000 pytest
tests/local/sidecar/test_model.py`.
"""

import asyncio
import itertools
import json
import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from dapr.ext.workflow._durabletask import worker as sdk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from local.sidecar import schema
from local.sidecar.runtime import Runtime
from local.sidecar.service import Service
from local.sidecar.wire import StringValue, Timestamp, pb

SEQUENCES = int(os.environ.get("COUNTERSIGN_SEQUENCES", "60"))
STEPS = 30

OK = ("OK", "")
UNKNOWN = ("UNKNOWN", "no such instance exists")
NOT_ENDED = ("UNKNOWN", "failed to purge workflow state: orchestration has not yet completed")
FAR = Timestamp(seconds=4_000_000_000)
ENDED = ("COMPLETED", "FAILED", "TERMINATED")


def two(ctx: Any, _data: Any) -> Any:
    first = yield ctx.wait_for_external_event("say")
    second = yield ctx.wait_for_external_event("say")
    return [first, second]


def nothing(_ctx: Any, _data: Any) -> str:
    return "done"


class Refusal(Exception):  # noqa: N818 - carries a status
    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.answer = (code.name, text)


class Call:
    """Stands in for a gRPC context."""

    def invocation_metadata(self) -> None:
        return None

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        raise Refusal(code, text)


class Desk:
    """A service with a worker on one event loop, called from plain functions."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(Path(self._folder.name) / "model.db"))

    async def _open(self, path: Path) -> None:
        schema.prepare(path, "app")
        self._runtime = Runtime(path)
        self._app = self._runtime.app("app")
        self._runtime._writer._database.execute("PRAGMA synchronous = OFF")  # rules are under test, not the disk
        self._service = Service(self._app, "")
        registry = sdk._Registry()
        for workflow in (two, nothing):
            registry.add_named_orchestrator(workflow.__name__, workflow)
        self._registry = registry
        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        log = logging.getLogger("model")
        worker = self._app.join()
        while (item := await worker.outbox.get()) is not None:
            request = item.workflowRequest
            executor = sdk._OrchestrationExecutor(self._registry, log)
            result = executor.execute(request.instanceId, request.pastEvents, request.newEvents)
            response = pb.WorkflowResponse(
                instanceId=request.instanceId, actions=result.actions, completionToken=item.completionToken
            )
            await self._service.CompleteWorkflowTask(response, Call())

    def close(self) -> None:
        self._runtime.stop()
        self._loop.run_until_complete(self._task)
        self._runtime.close()
        self._loop.close()
        self._folder.cleanup()

    def ask(self, method: str, request: Any) -> Any:
        """Give the answer of a call, or its code and text."""
        return self._loop.run_until_complete(self._ask(method, request))

    async def _ask(self, method: str, request: Any) -> Any:
        try:
            answer = await asyncio.wait_for(getattr(self._service, method)(request, Call()), 10)
        except Refusal as refusal:
            answer = refusal.answer
        while self._app.dispatcher._busy or self._app.dispatcher._ready:
            assert not self._task.done(), self._task.exception()
            await self._runtime.change(lambda _engine: None)
        return answer


@dataclass
class Model:
    """What the table says of one instance."""

    status: str = "NONE"
    kind: str = ""
    got: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)  # raised while suspended
    wedged: bool = False  # paused while suspended: only an end by order or a forced purge may follow
    output: Any = None

    def begin(self) -> None:
        """Run the first turn."""
        if self.kind == "nothing":
            self.status, self.output = "COMPLETED", "done"
        else:
            self.status = "RUNNING"

    def wake(self) -> None:
        """Any event starts what was scheduled for later."""
        if self.status == "PENDING":
            self.begin()

    def take(self, number: int) -> None:
        self.got.append(number)
        if len(self.got) == 2:
            self.status, self.output = "COMPLETED", [{"n": n} for n in self.got]


NAMES = st.sampled_from(["a", "b", "c"])


class Table(RuleBasedStateMachine):
    """The rows of the table as rules."""

    desk: Desk
    runs = itertools.count()
    numbers = itertools.count(1)

    @initialize()
    def anew(self) -> None:
        self.run = next(self.runs)
        self.models: dict[str, Model] = {name: Model() for name in "abc"}
        self.order: list[str] = []

    def id(self, name: str) -> str:
        return f"{name}-{self.run}"

    def check(self, name: str, answer: Any, expected: tuple[str, str]) -> None:
        given = answer if isinstance(answer, tuple) else OK
        assert given == expected
        self.compare(name)

    def compare(self, name: str) -> None:
        model = self.models[name]
        answer = self.desk.ask("GetInstance", pb.GetInstanceRequest(instanceId=self.id(name), getInputsAndOutputs=True))
        state = answer.workflowState
        prefix = "ORCHESTRATION_STATUS_"
        shown = pb.OrchestrationStatus.Name(state.workflowStatus).removeprefix(prefix) if answer.exists else "NONE"
        assert shown == model.status
        output = json.loads(state.output.value) if state.HasField("output") else None
        assert output == model.output
        assert state.name == ("" if model.status in ("NONE", "PENDING") else model.kind)

    @rule(name=NAMES, kind=st.sampled_from(["two", "two", "nothing"]), later=st.booleans())
    def schedule(self, name: str, kind: str, later: bool) -> None:  # noqa: FBT001 - drawn
        request = pb.CreateInstanceRequest(instanceId=self.id(name), name=kind)
        if later:
            request.scheduledStartTimestamp.CopyFrom(FAR)
        answer = self.desk.ask("StartInstance", request)
        if self.models[name].status not in ("NONE", *ENDED):
            text = (
                "failed to create workflow instance: rpc error: code = AlreadyExists desc = "
                f"an active workflow with ID '{self.id(name)}' already exists"
            )
            self.check(name, answer, ("ALREADY_EXISTS", text))
            return
        if self.models[name].status == "NONE":
            self.order.append(name)
        self.models[name] = Model("PENDING", kind)
        if not later:
            self.models[name].begin()
        self.check(name, answer, OK)

    @rule(name=NAMES, spelling=st.sampled_from(["say", "SAY", "other"]))
    def raise_event(self, name: str, spelling: str) -> None:
        model, number = self.models[name], next(self.numbers)
        if model.wedged:
            return
        data = StringValue(value=json.dumps({"n": number}))
        answer = self.desk.ask("RaiseEvent", pb.RaiseEventRequest(instanceId=self.id(name), name=spelling, input=data))
        expected = UNKNOWN if model.status == "NONE" else OK
        model.wake()
        if spelling != "other" and model.status == "RUNNING":
            model.take(number)
        elif spelling != "other" and model.status == "SUSPENDED":
            model.kept.append(number)
        self.check(name, answer, expected)

    @rule(name=NAMES)
    def pause(self, name: str) -> None:
        model = self.models[name]
        if model.status == "PENDING":
            return  # its next turns are answered wrongly by the SDK until it is resumed: a test of its own
        answer = self.desk.ask("SuspendInstance", pb.SuspendRequest(instanceId=self.id(name)))
        expected = UNKNOWN if model.status == "NONE" else OK
        model.wake()
        if model.status == "SUSPENDED":
            model.wedged = True
        elif model.status == "RUNNING":
            model.status = "SUSPENDED"
        self.check(name, answer, expected)

    @rule(name=NAMES)
    def resume(self, name: str) -> None:
        model = self.models[name]
        if model.wedged:
            return  # the trap: the SDK's executor would never come back
        answer = self.desk.ask("ResumeInstance", pb.ResumeRequest(instanceId=self.id(name)))
        expected = UNKNOWN if model.status == "NONE" else OK
        model.wake()
        if model.status == "RUNNING":
            model.status = "FAILED"
        elif model.status == "SUSPENDED":
            model.status = "RUNNING"
            for number in model.kept:
                if model.status == "RUNNING":
                    model.take(number)
            model.kept = []
        self.check(name, answer, expected)

    @rule(name=NAMES, output=st.sampled_from([None, "stop"]))
    def terminate(self, name: str, output: str | None) -> None:
        model = self.models[name]
        request = pb.TerminateRequest(instanceId=self.id(name), recursive=True)
        if output:
            request.output.value = json.dumps(output)
        answer = self.desk.ask("TerminateInstance", request)
        expected = ("UNKNOWN", f"failed to submit termination request: {UNKNOWN[1]}") if model.status == "NONE" else OK
        model.wake()
        if model.status in ("RUNNING", "SUSPENDED"):
            model.status, model.output = "TERMINATED", output
        self.check(name, answer, expected)

    @rule(name=NAMES, force=st.booleans(), recursive=st.booleans())
    def purge(self, name: str, force: bool, recursive: bool) -> None:  # noqa: FBT001 - drawn
        status = self.models[name].status
        request = pb.PurgeInstancesRequest(instanceId=self.id(name), recursive=recursive, force=force)
        answer = self.desk.ask("PurgeInstances", request)
        context = "failed to purge workflow state: "
        if status == "NONE":
            step = "failed to fetch workflow state: " if recursive else ""
            expected = ("UNKNOWN", f"{context}{step}{UNKNOWN[1]}")
        elif status == "PENDING" and recursive:
            expected = ("UNKNOWN", f"{context}{UNKNOWN[1]}")
        elif status not in ENDED and not force:
            expected = NOT_ENDED
        else:
            expected = OK
            self.models[name] = Model()
            self.order.remove(name)
            assert answer.deletedInstanceCount == 1
        self.check(name, answer, expected)

    @rule(name=NAMES)
    def history(self, name: str) -> None:
        model = self.models[name]
        answer = self.desk.ask("GetInstanceHistory", pb.GetInstanceHistoryRequest(instanceId=self.id(name)))
        if model.status == "NONE":
            self.check(name, answer, ("NOT_FOUND", f"workflow instance '{self.id(name)}' not found"))
            return
        kinds = [event.WhichOneof("eventType") for event in answer.events]
        assert kinds[:2] == ([] if model.status == "PENDING" else ["workflowStarted", "executionStarted"])
        assert kinds.count("executionCompleted") == (model.status in ENDED)
        ids = [event.eventId for event in answer.events if event.eventId > 0]
        assert len(ids) == len(set(ids))

    @rule()
    def listing(self) -> None:
        answer = self.desk.ask("ListInstanceIDs", pb.ListInstanceIDsRequest(pageSize=10_000))
        assert [one for one in answer.instanceIds if one.endswith(f"-{self.run}")] == [self.id(n) for n in self.order]

    @precondition(lambda self: self.models)
    @rule(name=NAMES)
    def rerun(self, name: str) -> None:
        status = self.models[name].status
        if status in ENDED:
            return  # what a rerun makes is a matter of the recorded scenarios
        request = pb.RerunWorkflowFromEventRequest(sourceInstanceID=self.id(name), eventID=1)
        unknown = ("NOT_FOUND", f"workflow instance does not exist with ID '{self.id(name)}'")
        active = ("INVALID_ARGUMENT", f"'{self.id(name)}' is not in a terminal state")
        self.check(name, self.desk.ask("RerunWorkflowFromEvent", request), unknown if status == "NONE" else active)

    def teardown(self) -> None:
        for name in self.order if hasattr(self, "order") else ():
            request = pb.PurgeInstancesRequest(instanceId=self.id(name), force=True)
            self.desk.ask("PurgeInstances", request)


@pytest.mark.local_only
@pytest.mark.timeout(1800)
def test_random_calls_meet_the_table() -> None:
    Table.desk = Desk()
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Table,
            settings=settings(
                max_examples=SEQUENCES,
                stateful_step_count=STEPS,
                suppress_health_check=slow,
                database=None,
            ),
        )
    finally:
        Table.desk.close()
