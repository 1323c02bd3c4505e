"""Workers that keep histories are sent what came since, and the whole history wherever that could be wrong."""

from typing import Any

import grpc
import pytest

from local.sidecar.wire import pb
from tests.local.sidecar.cast import staffed, until
from tests.local.sidecar.hand import again, answer, done, start, work

pytestmark = pytest.mark.local_only  # Dapr 1.18 always sends whole histories; 1.19 is the first to send less

KEEPS = pb.WORKER_CAPABILITY_STATEFUL_HISTORY


def begin(stub: Any, stream: Any, name: str = "w") -> None:
    """Start an instance and answer its first turn with nothing to do: two events are committed."""
    scheduled = stub.StartInstance.future(start(name))
    item = next(stream)
    assert (len(item.workflowRequest.pastEvents), item.workflowRequest.HasField("cachedHistory")) == (0, False)
    stub.CompleteWorkflowTask(answer(item))
    scheduled.result(timeout=5)


def turn(stub: Any, stream: Any, name: str = "w") -> pb.WorkItem:
    """Raise an event and give the turn that it makes."""
    stub.RaiseEvent(pb.RaiseEventRequest(instanceId=name, name="e"), timeout=5)
    return next(stream)


def sent(item: pb.WorkItem) -> tuple[int, int, int]:
    """Give the numbers of events that the worker has, is sent of the past, and is sent as new."""
    request = item.workflowRequest
    return request.cachedHistory.eventCount, len(request.pastEvents), len(request.newEvents)


def history(stub: Any, name: str = "w") -> list[Any]:
    return list(stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId=name), timeout=5).events)


def test_a_worker_is_sent_what_came_since_its_last_turn(empty: Any) -> None:
    stream = work(empty.stub, KEEPS)
    begin(empty.stub, stream)
    second = turn(empty.stub, stream)
    assert sent(second) == (0, 2, 2)
    empty.stub.CompleteWorkflowTask(answer(second))
    third = turn(empty.stub, stream)
    assert sent(third) == (2, 2, 2)
    assert list(third.workflowRequest.pastEvents) == history(empty.stub)[2:]
    empty.stub.CompleteWorkflowTask(answer(third))
    assert sent(turn(empty.stub, stream)) == (4, 2, 2)


def test_a_worker_that_does_not_ask_for_it_is_sent_everything(empty: Any) -> None:
    stream = work(empty.stub, pb.WORKER_CAPABILITY_HEALTH_PING)
    begin(empty.stub, stream)
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, stream)))
    assert sent(turn(empty.stub, stream)) == (0, 4, 2)


def test_a_worker_that_dropped_its_stream_is_sent_the_turn_in_full(empty: Any) -> None:
    first = work(empty.stub, KEEPS)
    begin(empty.stub, first)
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, first)))
    assert sent(turn(empty.stub, first)) == (2, 2, 2)
    first.cancel()
    assert sent(next(work(empty.stub, KEEPS))) == (0, 4, 2)


def test_a_new_generation_and_a_new_run_are_sent_in_full(empty: Any) -> None:
    stream = work(empty.stub, KEEPS)
    begin(empty.stub, stream)
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, stream)))
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, stream), again()))
    generation = next(stream)
    assert sent(generation) == (0, 0, 2)
    empty.stub.CompleteWorkflowTask(answer(generation))
    over = turn(empty.stub, stream)
    assert sent(over) == (0, 2, 2)
    empty.stub.CompleteWorkflowTask(answer(over, done(1)))
    begin(empty.stub, stream)
    assert sent(turn(empty.stub, stream)) == (0, 2, 2)


def test_what_was_purged_and_started_anew_is_sent_in_full(empty: Any) -> None:
    stream = work(empty.stub, KEEPS)
    begin(empty.stub, stream)
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, stream)))
    empty.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="w", recursive=True, force=True), timeout=5)
    begin(empty.stub, stream)
    assert sent(turn(empty.stub, stream)) == (0, 2, 2)


def test_a_turn_goes_to_the_worker_that_has_its_history(empty: Any) -> None:
    first, second = work(empty.stub, KEEPS), work(empty.stub, KEEPS)
    begin(empty.stub, first, "a")
    unanswered = turn(empty.stub, first, "a")
    begin(empty.stub, second, "b")  # the second one has less to do
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, second, "b")))
    empty.stub.CompleteWorkflowTask(answer(unanswered))
    assert sent(turn(empty.stub, first, "a")) == (2, 2, 2)
    assert sent(turn(empty.stub, second, "b")) == (2, 2, 2)


def test_a_worker_that_lost_its_copy_can_fetch_the_committed_history_in_mid_turn(empty: Any) -> None:
    stream = work(empty.stub, KEEPS)
    begin(empty.stub, stream)
    empty.stub.CompleteWorkflowTask(answer(turn(empty.stub, stream)))
    committed = history(empty.stub)
    item = turn(empty.stub, stream)
    assert history(empty.stub) == committed
    request = item.workflowRequest
    assert len(committed) == request.cachedHistory.eventCount + len(request.pastEvents)


class Fetches(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # generated without types
    """Counts how often a worker fetches a history that it has lost."""

    def __init__(self) -> None:
        self.count = 0

    def intercept_unary_unary(self, call: Any, details: Any, request: Any) -> Any:
        self.count += details.method.endswith("/GetInstanceHistory")
        return call(details, request)


@pytest.mark.parametrize(("room", "fetches"), [(100, False), (1, True)])
def test_the_sdks_worker_runs_on_deltas_even_if_it_has_lost_its_copy(empty: Any, room: int, fetches: bool) -> None:  # noqa: FBT001
    counter = Fetches()
    with staffed(empty.sidecar.address, interceptors=[counter], history_cache_max_instances=room) as house:
        pair = [house.schedule("loop", {"t": 60}) for _ in range(2)]
        for number in range(1, 6):
            for instance in pair:
                house.raise_event(instance, "approval_decision", {"ok": number == 5})
                until(lambda i=instance, n=number: house.kinds(i).count("eventRaised") == n)
        outputs = [house.finish(instance).serialized_output for instance in pair]
    assert outputs == ['{"status": "ok", "seen": 5}'] * 2
    assert (counter.count > 0) == fetches
