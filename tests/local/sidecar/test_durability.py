"""What must survive: stops, dropped workers, late answers, a full disk, two sidecars on one file, foreign files."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from local.sidecar import Sidecar, SidecarError, schema
from local.sidecar.app import RETRY_AFTER
from local.sidecar.errors import StoreUnavailable
from local.sidecar.runtime import Runtime
from local.sidecar.wire import StringValue, pb, stubs
from local.sidecar.worker import Worker
from tests.local.sidecar.cast import staffed
from tests.local.sidecar.hand import answer, done, start, task, work
from tests.torture.sidecar import torture

pytestmark = pytest.mark.local_only


def test_a_short_torture_loses_and_doubles_nothing(tmp_path: Path) -> None:
    instances, wrong = torture(kills=10, seed=20, folder=tmp_path)
    assert instances > 0
    assert wrong == []


def test_overdue_timers_and_kept_events_take_effect_after_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "workflows.db"
    with Sidecar(database) as sidecar, staffed(sidecar.address, "restart") as house:
        timer, event = house.schedule("loop", {"t": 0.3}), house.schedule("echo")
        house.runtime.shutdown()
    time.sleep(0.3)  # the timer's moment passes while nobody is there
    with Sidecar(database) as sidecar, staffed(sidecar.address, "restart") as house:
        assert house.finish(timer).serialized_output == '{"status": "timeout", "seen": 0}'
        house.raise_event(event, "say", {"a": 2})
        assert house.finish(event).runtime_status.name == "COMPLETED"


def test_a_dropped_worker_gets_the_turn_again(empty: Any) -> None:
    first = work(empty.stub)
    scheduled = empty.stub.StartInstance.future(start())
    before = next(first)
    first.cancel()
    second = work(empty.stub)
    again = next(second)
    assert again.workflowRequest.newEvents[1] == before.workflowRequest.newEvents[1]
    assert again.completionToken != before.completionToken
    empty.stub.CompleteWorkflowTask(answer(again, done(1)))
    scheduled.result(timeout=5)


def test_a_dropped_worker_gets_the_activity_again(empty: Any) -> None:
    first = work(empty.stub)
    scheduled = empty.stub.StartInstance.future(start())
    empty.stub.CompleteWorkflowTask(answer(next(first), task()))
    before = next(first).activityRequest
    first.cancel()
    assert next(work(empty.stub)).activityRequest == before
    scheduled.result(timeout=5)


def test_late_and_double_answers_change_nothing(empty: Any) -> None:
    first = work(empty.stub)
    scheduled = empty.stub.StartInstance.future(start())
    late = next(first)
    first.cancel()
    second = work(empty.stub)
    item = next(second)
    empty.stub.CompleteWorkflowTask(answer(late, done(1)))
    empty.stub.CompleteWorkflowTask(answer(item, task()))
    empty.stub.CompleteWorkflowTask(answer(item, task()))
    scheduled.result(timeout=5)
    activity = next(second)
    result = pb.ActivityResponse(instanceId="w", taskId=1, completionToken=activity.completionToken)
    for _ in range(2):
        empty.stub.CompleteActivityTask(result)
    empty.stub.CompleteWorkflowTask(answer(next(second), done()))
    kinds = [
        event.WhichOneof("eventType")
        for event in empty.stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId="w")).events
    ]
    assert kinds == [
        "workflowStarted",
        "executionStarted",
        "taskScheduled",
        "workflowStarted",
        "taskCompleted",
        "executionCompleted",
    ]


UNUSABLE = {
    "an action of another protocol": pb.WorkflowAction(id=1, sendEvent=pb.SendEventAction(name="x")),
    "an action without a kind": pb.WorkflowAction(id=1),
}


@pytest.mark.parametrize("action", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unknown_action_is_refused_and_the_turn_handed_out_again(empty: Any, action: Any) -> None:
    stream = work(empty.stub)
    scheduled = empty.stub.StartInstance.future(start())
    item = next(stream)
    with pytest.raises(grpc.RpcError) as refused:
        empty.stub.CompleteWorkflowTask(answer(item, action))
    assert refused.value.code().name == "INVALID_ARGUMENT"
    assert "doesn't know the action" in refused.value.details()
    again = next(stream)
    empty.stub.CompleteWorkflowTask(answer(again, done(1)))
    scheduled.result(timeout=5)
    state = empty.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId="w"), timeout=5)
    assert state.workflowState.workflowStatus == pb.ORCHESTRATION_STATUS_COMPLETED


def test_several_workers_share_the_turns(empty: Any) -> None:
    streams = [work(empty.stub), work(empty.stub)]
    for stream in streams:
        stream.initial_metadata()
    calls = [empty.stub.StartInstance.future(start(name)) for name in ("w1", "w2")]
    got = {next(stream).workflowRequest.instanceId for stream in streams}
    assert not any(call.done() for call in calls)
    assert got == {"w1", "w2"}


@pytest.fixture
async def runtime(tmp_path: Path) -> Any:
    schema.prepare(tmp_path / "full.db", "app")
    runtime = Runtime(tmp_path / "full.db")
    yield runtime
    runtime.stop()
    await asyncio.to_thread(runtime.close)


async def test_a_full_disk_refuses_the_call_and_loses_nothing(runtime: Any) -> None:
    await runtime.change(lambda engine: engine.start("app", start("before")))
    database = runtime._writer._database
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages + 8}")
    big = start("big", input=StringValue(value="x" * 1_000_000))
    calls = [runtime.change(lambda engine, r=r: engine.start("app", r)) for r in (start("small"), big)]
    small, large = await asyncio.gather(*calls, return_exceptions=True)
    assert small == "small"
    assert isinstance(large, StoreUnavailable)
    assert large.code.name == "RESOURCE_EXHAUSTED"
    assert "full.db is full" in str(large)
    database.execute(f"PRAGMA max_page_count = {1 << 30}")
    await runtime.change(lambda engine: engine.start("app", big))
    assert [name for _, name in runtime.reader.page("app", 0, 9)] == ["before", "small", "big"]


def stall_by(refusing: Worker) -> pb.WorkflowResponse:
    """Take the turn that a worker was given, and say that it has no such version."""
    item = refusing.outbox.get_nowait()
    assert item is not None
    return answer(item, pb.WorkflowAction(workflowVersionNotAvailable=pb.WorkflowVersionNotAvailableAction()))


async def test_a_stall_that_the_full_disk_refused_ends_at_the_next_worker_too(runtime: Any) -> None:
    app = runtime.app("app")
    await runtime.change(lambda engine: engine.start("app", start()))
    refusal = stall_by(app.join())
    database = runtime._writer._database
    database.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable):
        await app.complete_turn(refusal)
    database.execute("PRAGMA query_only = OFF")
    await asyncio.sleep(RETRY_AFTER + 0.2)
    right = app.join()
    await app.complete_turn(answer(right.outbox.get_nowait(), done(1)))
    assert app.find("w").status == pb.ORCHESTRATION_STATUS_COMPLETED


# the file


def test_a_second_sidecar_on_the_same_file_is_refused(empty: Any) -> None:
    with pytest.raises(SidecarError, match="Another sidecar already uses"), Sidecar(empty.path):
        pass


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE notes (text)")


def _newer(path: Path) -> None:
    schema.prepare(path, "app")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")


def _text(path: Path) -> None:
    path.write_text("dear diary\n" * 1000, encoding="utf-8")


def _damaged(path: Path) -> None:
    schema.prepare(path, "app")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 4] = b"\xff" * (4096 * 3)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_foreign, "a database of another program"),
        (_newer, "written by a newer version"),
        (_text, "can't be used as the sidecar's database"),
        (_damaged, "damaged|can't be used"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_by_name_and_left_alone(tmp_path: Path, make: Any, sentence: str) -> None:
    path = tmp_path / "other.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(SidecarError, match=sentence) as refused, Sidecar(path):
        pass
    assert "other.db" in str(refused.value)
    assert path.read_bytes() == before


def test_only_the_owner_can_read_the_file(empty: Any) -> None:
    empty.stub.Hello(Empty(), timeout=5)
    modes = {part.name: part.stat().st_mode & 0o777 for part in empty.path.parent.glob("workflows.db*")}
    assert modes == dict.fromkeys(["workflows.db", "workflows.db-wal", "workflows.db-shm", "workflows.db.lock"], 0o600)


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(SidecarError, match="Does the directory exist"), Sidecar(tmp_path / "no" / "w.db"):
        pass


def test_a_taken_port_is_said(empty: Any, tmp_path: Path) -> None:
    port = int(empty.sidecar.address.split(":")[1])
    with pytest.raises(SidecarError, match=f"Can't listen on 127.0.0.1:{port}"), Sidecar(tmp_path / "b.db", port):
        pass


# the program


def test_the_program_says_why_it_can_not_start(empty: Any) -> None:
    command = [sys.executable, "-m", "local.sidecar", "--db", str(empty.path), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Another sidecar already uses" in ended.stderr


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Any]:
    command = [sys.executable, "-m", "local.sidecar", "--db", str(tmp_path / "p.db"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_cleanly_whatever_is_connected(program: Any, name: signal.Signals) -> None:
    line = program.stdout.readline()
    assert "ready on 127.0.0.1:" in line
    with grpc.insecure_channel(line.split(" on ")[1].split(",")[0]) as channel:
        stub = stubs.TaskHubSidecarServiceStub(channel)
        stream = work(stub)
        stream.initial_metadata()
        waiting = stub.WaitForInstanceCompletion.future(pb.GetInstanceRequest(instanceId="never"))
        stub.GetInstance(pb.GetInstanceRequest(instanceId="never"), timeout=5)
        program.send_signal(name)
        assert program.wait(timeout=10) == 0
        assert waiting.exception(timeout=5).code().name in ("UNAVAILABLE", "CANCELLED")
