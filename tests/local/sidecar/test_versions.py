"""Changed workflows: patches and named versions, the same on the real runtime (COUNTERSIGN_TEST_SIDECAR=HOST:PORT)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dapr.ext.workflow as wf
import grpc
import pytest

from local.sidecar.wire import StringValue, pb
from tests.local.sidecar.hand import answer, refused, start, work


@pytest.fixture
def deploy(house: Any) -> Any:
    """Give a way to start an instance whose code can be changed while it waits."""
    instance = house.new_id("changing")

    def deploy(*steps: str) -> str:
        """Run these steps from the next turn on: an event's name is waited for, a patch's name is noted."""

        def code(ctx: Any) -> Any:
            noted = []
            for step in steps:
                if step.startswith("patch"):
                    way = "new" if ctx.is_patched(step) else "old"
                    note = yield ctx.call_activity(house.cast.name("gentle"), input=f"{step} {way}")
                    noted.append(note["got"])
                else:
                    yield ctx.wait_for_external_event(step)
            return noted

        house.cast.codes[instance] = code
        if house.state(instance) is None:
            house.schedule("changing", {"code": instance}, instance)
        return instance

    return deploy


def noted(house: Any, instance: str) -> Any:
    state = house.finish(instance)
    assert state.runtime_status.name == "COMPLETED", state.failure_details
    return json.loads(state.serialized_output)


def test_a_new_instance_takes_the_patched_branch(house: Any, deploy: Any) -> None:
    assert noted(house, deploy("patch1")) == ["patch1 new"]


def test_what_passed_a_place_before_its_patch_keeps_the_old_branch(house: Any, deploy: Any) -> None:
    instance = deploy("go")
    deploy("patch1", "go", "patch2")
    house.raise_event(instance, "go", {"a": 1})
    assert noted(house, instance) == ["patch1 old", "patch2 new"]


def test_a_patch_is_remembered_by_the_history(house: Any, deploy: Any, poll: Any) -> None:
    instance = deploy("patch1", "go")
    poll(lambda: "timerCreated" in house.kinds(instance))
    deploy("patch1", "go", "patch2")
    house.raise_event(instance, "go", {"a": 1})
    assert noted(house, instance) == ["patch1 new", "patch2 new"]
    versions = [e.workflowStarted.version for e in house.history(instance) if e.HasField("workflowStarted")]
    assert [list(version.patches) for version in versions if version.patches] == [["patch1"], ["patch2"]]


# lost patches


@pytest.fixture
def stalled(house: Any, deploy: Any, poll: Any) -> str:
    """Give an instance whose patch is not in the code that its worker runs now."""
    instance = deploy("patch1", "go")
    poll(lambda: "timerCreated" in house.kinds(instance))
    deploy("go")
    house.raise_event(instance, "go", {"a": 1})
    poll(lambda: house.status(instance) == "STALLED")
    return str(instance)


def test_a_patched_instance_on_code_without_the_patch_is_stalled(house: Any, stalled: str) -> None:
    last = house.history(stalled)[-1].executionStalled
    assert last.reason == pb.PATCH_MISMATCH
    assert last.description == "Patch mismatch. History patches: [patch1], current patches: []. "


@pytest.mark.parametrize(
    ("call", "context"),
    [
        ("raise_workflow_event", ""),
        ("pause_workflow", ""),
        ("resume_workflow", ""),
        ("terminate_workflow", "failed to submit termination request: "),
    ],
)
def test_a_stalled_instance_refuses_orders_and_events(house: Any, stalled: str, call: str, context: str) -> None:
    names = ("go",) if call == "raise_workflow_event" else ()
    text = f"{context}failed to invoke method for workflow '{stalled}': actor is stalled"
    assert refused(lambda: getattr(house.client, call)(stalled, *names)) == ("UNKNOWN", text)
    assert house.status(stalled) == "STALLED"


def test_nobody_can_wait_for_the_end_of_a_stalled_instance(house: Any, stalled: str) -> None:
    text = f"failed to invoke reminder for workflow '{stalled}': actor is stalled"
    assert refused(lambda: house.finish(stalled)) == ("UNKNOWN", text)


def test_a_stalled_instance_is_neither_started_anew_nor_rerun(house: Any, stalled: str) -> None:
    text = f"failed to invoke method for workflow '{stalled}': actor is stalled"
    start = refused(lambda: house.schedule("nothing", None, stalled))
    rerun = refused(lambda: house.client.rerun_workflow_from_event(stalled, 1))
    assert (start[1].endswith(text), rerun[1].endswith(text)) == (True, True)


def test_only_force_purges_a_stalled_instance(house: Any, stalled: str) -> None:
    def purge(**how: bool) -> Any:
        return house.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=stalled, **how))

    context = "failed to purge workflow state"
    assert refused(lambda: purge(recursive=True))[1] == f"{context}: orchestration has not yet completed"
    assert refused(purge)[1] == f"{context}: failed to invoke method for workflow '{stalled}': actor is stalled"
    assert purge(recursive=True, force=True).deletedInstanceCount == 1
    assert house.state(stalled) is None


# named versions, on workers of their own


@contextmanager
def worker(address: str, *versions: str) -> Iterator[None]:
    """Run a worker with these versions of one workflow; the last one is the latest."""
    host, port = address.rsplit(":", 1)
    runtime = wf.WorkflowRuntime(host=host, port=port)
    for version in versions:

        def waiting(ctx: wf.DaprWorkflowContext, _data: Any, version: str = version) -> Any:
            yield ctx.wait_for_external_event("go")
            return version

        runtime.register_versioned_workflow(
            waiting, name="waiting", version_name=version, is_latest=version == versions[-1]
        )
    runtime.start()
    try:
        yield
    finally:
        runtime.shutdown()


@pytest.fixture
def client(empty: Any) -> Iterator[Any]:
    host, port = empty.sidecar.address.rsplit(":", 1)
    client = wf.DaprWorkflowClient(host=host, port=port)
    yield client
    client.close()


def finished(client: Any, instance: str) -> Any:
    return client.wait_for_workflow_completion(instance, timeout_in_seconds=10).serialized_output


def kinds(empty: Any, instance: str) -> list[str]:
    answer = empty.stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId=instance), timeout=5)
    return [event.WhichOneof("eventType") for event in answer.events]


def status(client: Any, instance: str) -> str:
    return str(client.get_workflow_state(instance).runtime_status.name)


@pytest.mark.local_only
def test_an_instance_keeps_the_version_of_its_first_turn(empty: Any, client: Any) -> None:
    with worker(empty.sidecar.address, "v1"):
        client.schedule_new_workflow("waiting", instance_id="before")
    with worker(empty.sidecar.address, "v1", "v2"):
        client.schedule_new_workflow("waiting", instance_id="after")
        for instance in ("before", "after"):
            client.raise_workflow_event(instance, "go", data={"a": 1})
        assert (finished(client, "before"), finished(client, "after")) == ('"v1"', '"v2"')


@pytest.mark.local_only
def test_without_its_version_an_instance_is_stalled_until_a_worker_with_it_comes(
    empty: Any, client: Any, poll: Any
) -> None:
    address = empty.sidecar.address
    with worker(address, "v1"):
        client.schedule_new_workflow("waiting", instance_id="w")
    with worker(address, "v2"):
        client.raise_workflow_event("w", "go", data={"a": 1})
        poll(lambda: status(client, "w") == "STALLED")
        with worker(address, "v2"):
            assert status(client, "w") == "STALLED"
        with worker(address, "v1", "v2"):
            poll(lambda: status(client, "w") == "COMPLETED", 1.0)
    assert client.get_workflow_state("w").serialized_output == '"v1"'
    assert kinds(empty, "w").count("executionStalled") == 1


@pytest.mark.local_only
def test_a_turn_that_one_worker_has_no_version_for_goes_to_another(empty: Any, client: Any) -> None:
    address = empty.sidecar.address
    with worker(address, "v1"):
        client.schedule_new_workflow("waiting", instance_id="w")
    with worker(address, "v2"), worker(address, "v1", "v2"), worker(address, "v2"):
        client.raise_workflow_event("w", "go", data={"a": 1})
        assert finished(client, "w") == '"v1"'
    assert "executionStalled" not in kinds(empty, "w")


UNAVAILABLE = pb.WorkflowAction(workflowVersionNotAvailable=pb.WorkflowVersionNotAvailableAction())


@pytest.mark.local_only
def test_an_event_waits_while_a_worker_tries_what_was_stalled(empty: Any) -> None:
    stub, event = empty.stub, pb.RaiseEventRequest(instanceId="w", name="go")
    wrong = work(stub)
    scheduled = stub.StartInstance.future(start())
    stub.CompleteWorkflowTask(answer(next(wrong), UNAVAILABLE))
    scheduled.result(timeout=5)
    assert refused(lambda: stub.RaiseEvent(event, timeout=5))[1].endswith("actor is stalled")
    right = work(stub)
    item = next(right)
    raised = stub.RaiseEvent.future(event, timeout=5)
    with pytest.raises(grpc.FutureTimeoutError):
        raised.result(timeout=0.2)
    stub.CompleteWorkflowTask(answer(item))
    raised.result(timeout=5)
    assert kinds(empty, "w") == ["executionStalled", "workflowStarted", "executionStarted"]


@pytest.mark.local_only
def test_a_turn_with_an_activity_that_no_message_holds_is_stalled(empty: Any) -> None:
    stub, stream = empty.stub, work(empty.stub)
    scheduled = stub.StartInstance.future(start())
    huge = pb.ScheduleTaskAction(name="huge", input=StringValue(value="x" * 3_990_000))
    stub.CompleteWorkflowTask(answer(next(stream), pb.WorkflowAction(id=1, scheduleTask=huge)))
    scheduled.result(timeout=5)
    last = stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId="w"), timeout=5).events[-1].executionStalled
    assert last.reason == pb.PAYLOAD_SIZE_EXCEEDED
    assert last.description.startswith("activity 'huge::1' payload 3990")
    assert "exceeds 95% of max gRPC body size 4194304 bytes" in last.description
