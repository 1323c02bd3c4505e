"""Bad input and closed doors: the right status with a sentence, and the sidecar stays up for everybody else."""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.sidecar import Sidecar, SidecarError
from local.sidecar.wire import StringValue, pb, stubs
from tests.local.sidecar.cast import House, until
from tests.local.sidecar.hand import refused


def test_a_payload_over_4_mib_is_refused_and_others_go_on(house: Any) -> None:
    instance = house.schedule("echo")
    code, text = refused(lambda: house.raise_event(instance, "say", {"a": "x" * 5_000_000}))
    assert (code, "4194304" in text) == ("RESOURCE_EXHAUSTED", True)
    house.raise_event(instance, "say", {"a": 1})
    assert house.finish(instance).runtime_status.name == "COMPLETED"


def test_a_history_that_outgrows_a_message_stalls_its_instance_alone(house: Any, poll: Any) -> None:
    instance = house.schedule("loop", {"t": 60})
    for turns in (2, 3):
        house.raise_event(instance, "approval_decision", {"ok": False, "pad": "x" * 2_000_000})
        poll(
            lambda turns=turns: (
                house.kinds(instance).count("workflowStarted") >= turns or house.status(instance) == "STALLED"
            )
        )
    poll(lambda: house.status(instance) == "STALLED")
    assert refused(lambda: house.raise_event(instance, "approval_decision", {"ok": True})) == (
        "UNKNOWN",
        f"failed to invoke method for workflow '{instance}': actor is stalled",
    )
    assert house.kinds(instance)[-1] == "executionStalled"
    assert house.finish(house.schedule("nothing")).runtime_status.name == "COMPLETED"


@pytest.mark.local_only
def test_a_page_token_of_somebody_else_is_refused(house: Any) -> None:
    request = pb.ListInstanceIDsRequest(continuationToken="elsewhere")
    assert refused(lambda: house.stub.ListInstanceIDs(request))[0] == "INVALID_ARGUMENT"


def test_purging_by_filter_is_not_offered(house: Any) -> None:
    request = pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter())
    assert refused(lambda: house.stub.PurgeInstances(request)) == (
        "UNKNOWN",
        "multi-instance purge is not unimplemented",  # the runtime's own wording
    )


# without a worker


@pytest.mark.local_only
def test_without_a_worker_reads_work(empty: Any) -> None:
    assert not empty.stub.GetInstance(pb.GetInstanceRequest(instanceId="x")).exists
    assert list(empty.stub.ListInstanceIDs(pb.ListInstanceIDsRequest()).instanceIds) == []
    assert (
        refused(lambda: empty.stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId="x")))[0] == "NOT_FOUND"
    )


@pytest.mark.local_only
def test_without_a_worker_changes_and_waits_are_refused_after_a_while(empty: Any) -> None:
    stub, lookup = empty.stub, "failed to lookup actor: api error: code = FailedPrecondition desc = "
    rerun = pb.RerunWorkflowFromEventRequest(sourceInstanceID="x", eventID=1)
    calls = [
        (lookup, lambda: stub.RaiseEvent(pb.RaiseEventRequest(instanceId="x", name="e"))),
        (
            f"failed to submit termination request: {lookup}",
            lambda: stub.TerminateInstance(pb.TerminateRequest(instanceId="x")),
        ),
        (lookup, lambda: stub.SuspendInstance(pb.SuspendRequest(instanceId="x"))),
        (lookup, lambda: stub.ResumeInstance(pb.ResumeRequest(instanceId="x"))),
        (lookup, lambda: stub.RerunWorkflowFromEvent(rerun)),
        (
            f"failed to purge workflow state: {lookup}",
            lambda: stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="x")),
        ),
        ("", lambda: stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId="x"))),
    ]
    actor = "did not find address for actor 'dapr.internal.default.countersign.workflow/x'"
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda call: refused(call[1]), calls))
    assert answers == [("FAILED_PRECONDITION", f"{context}{actor}") for context, _ in calls]


@pytest.mark.local_only
def test_without_a_worker_schedule_waits_until_the_callers_deadline(empty: Any) -> None:
    request = pb.CreateInstanceRequest(instanceId="x", name="w")
    assert refused(lambda: empty.stub.StartInstance(request, timeout=0.3))[0] == "DEADLINE_EXCEEDED"
    assert not empty.stub.GetInstance(pb.GetInstanceRequest(instanceId="x")).exists


# the token


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Any]:
    with (
        Sidecar(tmp_path / "w.db", token="open sesame") as sidecar,
        grpc.insecure_channel(sidecar.address) as channel,
    ):
        yield stubs.TaskHubSidecarServiceStub(channel)


@pytest.mark.local_only
@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [((), "missing api token"), ((("dapr-api-token", "wrong"),), "api token mismatch")],
)
@pytest.mark.parametrize("call", ["GetInstance", "GetWorkItems"])
def test_a_token_is_demanded_on_every_call(guarded: Any, call: str, metadata: Any, sentence: str) -> None:
    request = pb.GetInstanceRequest() if call == "GetInstance" else pb.GetWorkItemsRequest()

    def ask() -> None:
        answer = getattr(guarded, call)(request, metadata=metadata, timeout=5)
        next(answer)

    code, text = refused(ask)
    assert (code, sentence in text) == ("UNAUTHENTICATED", True)


@pytest.mark.local_only
def test_the_right_token_opens(guarded: Any) -> None:
    answer = guarded.GetInstance(pb.GetInstanceRequest(), metadata=(("dapr-api-token", "open sesame"),))
    assert not answer.exists


@pytest.mark.local_only
@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_listening_beyond_this_machine_needs_a_token_that_is_not_blank(tmp_path: Path, token: str) -> None:
    everywhere = "0.0.0.0"  # noqa: S104 - the case
    with pytest.raises(SidecarError, match="needs DAPR_API_TOKEN"):
        Sidecar(tmp_path / "w.db", host=everywhere, token=token).start()


# the trap of pausing twice


def _be_worker(address: str, mark: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    house = House(address, mark)
    house.runtime.start()
    signal.pause()


@pytest.mark.local_only
def test_pause_while_suspended_wedges_the_worker_at_the_next_resume_until_a_forced_purge(empty: Any) -> None:
    worker = get_context("forkserver").Process(target=_be_worker, args=(empty.sidecar.address, "trap"), daemon=True)
    worker.start()
    try:
        data = StringValue(value='{"t": 60}')
        empty.stub.StartInstance(pb.CreateInstanceRequest(instanceId="x", name="loop_trap", input=data), timeout=20)
        for _ in range(2):
            empty.stub.SuspendInstance(pb.SuspendRequest(instanceId="x"), timeout=5)
        empty.stub.RaiseEvent(pb.RaiseEventRequest(instanceId="x", name="other"), timeout=5)
        count = pb.GetInstanceHistoryRequest(instanceId="x")
        until(lambda: len(empty.stub.GetInstanceHistory(count).events) > 8)
        resumed = refused(lambda: empty.stub.ResumeInstance(pb.ResumeRequest(instanceId="x"), timeout=0.5))
        ended = refused(lambda: empty.stub.TerminateInstance(pb.TerminateRequest(instanceId="x"), timeout=0.5))
        assert (resumed[0], ended[0]) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
        purged = empty.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="x", recursive=True, force=True))
        assert purged.deletedInstanceCount == 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
