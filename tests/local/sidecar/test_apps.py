"""Calls from one app-id to another: as on the real runtime, if its second sidecar is named as well.

COUNTERSIGN_TEST_SIDECAR=HOST:PORT COUNTERSIGN_TEST_SECOND_SIDECAR=APP@HOST:PORT python -m pytest tests/local/sidecar
"""

import datetime as dt
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dapr.ext.workflow as wf
import grpc
import pytest

from local.sidecar import Sidecar
from local.sidecar.__main__ import main
from local.sidecar.wire import pb, stubs

REAL = os.environ.get("COUNTERSIGN_TEST_SIDECAR", "")
SECOND = os.environ.get("COUNTERSIGN_TEST_SECOND_SIDECAR", "")


def here(shop: str, mark: str) -> list[Callable[..., Any]]:
    """Make the workflows of the app that calls."""
    quickly = wf.RetryPolicy(first_retry_interval=dt.timedelta(milliseconds=50), max_number_of_attempts=2)

    def asks(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        """Call what the input names, a workflow or an activity, in the app that it names."""
        app, retry = o.get("app", shop), quickly if o.get("retry") else None
        try:
            if "activity" in o:
                return (yield ctx.call_activity(o["activity"] + mark, input=o, app_id=app, retry_policy=retry))
            child = ctx.call_child_workflow(
                o["child"] + mark, input=o, instance_id=o.get("id"), app_id=app, retry_policy=retry
            )
            return (yield child)
        except wf.TaskFailedError as error:
            return {"failed": error.details.error_type}

    return [asks]


def there(runs: list[Any], mark: str) -> list[Callable[..., Any]]:
    """Make the workflows and activities of the app that is called."""

    def sells(ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        price = yield ctx.call_activity("price" + mark)
        return f"sold for {price}"

    def waits(ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        return (yield ctx.wait_for_external_event("go"))

    def breaks(_ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        runs.append(o["note"])
        yield from ()
        raise ValueError("broken")

    return [sells, waits, breaks]


def activities(app: str, runs: list[Any]) -> list[Callable[..., Any]]:
    """Make the activities that both apps have under one name."""

    def price(_ctx: Any, _o: Any) -> str:
        return f"7 in {app}"

    def fails(_ctx: Any, o: Any) -> None:
        runs.append(o["note"])
        raise ValueError("broken")

    return [price, fails]


class Desk:
    """One app: its worker, client and stub."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.runtime = wf.WorkflowRuntime(host=host, port=port)
        self.client = wf.DaprWorkflowClient(host=host, port=port)
        self.channel = grpc.insecure_channel(address)
        self.stub = stubs.TaskHubSidecarServiceStub(self.channel)

    def close(self) -> None:
        self.runtime.shutdown()
        self.client.close()
        self.channel.close()

    def status(self, instance: str) -> str:
        state = self.client.get_workflow_state(instance)
        return state.runtime_status.name if state else "NONE"

    def result(self, instance: str) -> Any:
        state = self.client.wait_for_workflow_completion(instance, timeout_in_seconds=20)
        return json.loads(state.serialized_output)


class Pair:
    """The app that calls, here, and the app that is called, there."""

    def __init__(self, addresses: tuple[str, str], shop: str) -> None:
        self.mark, self.shop, self.runs = f"_{uuid.uuid4().hex[:6]}", shop, list[Any]()
        self.here, self.there = map(Desk, addresses)
        for desk, app in ((self.here, "here"), (self.there, "there")):
            for activity in activities(app, self.runs):
                desk.runtime.register_activity(activity, name=activity.__name__ + self.mark)
        for workflow in here(shop, self.mark):
            self.here.runtime.register_workflow(workflow, name=workflow.__name__ + self.mark)
        for workflow in there(self.runs, self.mark):
            self.there.runtime.register_workflow(workflow, name=workflow.__name__ + self.mark)

    def ask(self, **what: Any) -> str:
        """Schedule the workflow that calls; give its id."""
        instance = f"asks-{uuid.uuid4().hex[:10]}"
        scheduled = self.here.client.schedule_new_workflow(f"asks{self.mark}", input=what, instance_id=instance)
        return str(scheduled)


@contextmanager
def working(pair: Pair) -> Iterator[Pair]:
    pair.here.runtime.start()
    pair.there.runtime.start()
    try:
        yield pair
    finally:
        pair.here.close()
        pair.there.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if REAL:
        if not SECOND:
            pytest.skip("needs COUNTERSIGN_TEST_SECOND_SIDECAR=APP@HOST:PORT beside COUNTERSIGN_TEST_SIDECAR")
        shop, address = SECOND.split("@")
        with working(Pair((REAL, address), shop)) as pair:
            yield pair
        return
    with Sidecar(tmp_path_factory.mktemp("apps") / "workflows.db", apps={"shop": 0}) as sidecar:
        addresses = sidecar.address, sidecar.addresses["shop"]
        with working(Pair(addresses, "shop")) as pair:
            yield pair


def test_a_child_runs_in_the_app_that_is_named(pair: Pair) -> None:
    instance = pair.ask(child="sells")
    assert pair.here.result(instance) == "sold for 7 in there"


def test_an_activity_runs_in_the_app_that_is_named(pair: Pair) -> None:
    instance = pair.ask(activity="price")
    assert pair.here.result(instance) == "7 in there"


def test_each_app_has_instances_of_its_own(pair: Pair, poll: Any) -> None:
    instance = pair.ask(child="waits")
    child = f"{instance}:0001"
    poll(lambda: pair.there.status(child) == "RUNNING")
    assert (pair.here.status(child), pair.there.status(instance)) == ("NONE", "NONE")
    assert child in pair.there.client.iter_workflow_instance_ids()
    assert child not in pair.here.client.iter_workflow_instance_ids()
    own = pair.ask(child="waits", id=instance)  # the id of an instance of the other app
    poll(lambda: pair.there.status(instance) == "RUNNING")
    pair.there.client.raise_workflow_event(child, "go", data="first")
    pair.there.client.raise_workflow_event(instance, "go", data="second")
    assert (pair.here.result(instance), pair.here.result(own)) == ("first", "second")


def test_the_history_says_which_app_is_called(pair: Pair, poll: Any) -> None:
    instance = pair.ask(child="sells")
    pair.here.result(instance)
    request = pb.GetInstanceHistoryRequest(instanceId=instance)
    created = [
        e for e in pair.here.stub.GetInstanceHistory(request).events if e.HasField("childWorkflowInstanceCreated")
    ]
    request.instanceId = f"{instance}:0001"
    started = [e for e in pair.there.stub.GetInstanceHistory(request).events if e.HasField("executionStarted")]
    assert [event.router.targetAppID for event in (*created, *started)] == [pair.shop, pair.shop]
    assert started[0].executionStarted.parentInstance.appID == created[0].router.sourceAppID


@pytest.mark.parametrize(
    ("call", "error"),
    [("child", "OrchestratorNotRegisteredError"), ("activity", "ActivityNotRegisteredError")],
)
def test_an_unknown_name_in_another_app_is_an_error_of_the_call(pair: Pair, call: str, error: str) -> None:
    instance = pair.ask(**{call: "stranger"})
    assert pair.here.result(instance) == {"failed": error}


@pytest.mark.parametrize("call", [{"child": "breaks"}, {"activity": "fails"}])
def test_a_failure_in_another_app_is_retried_as_the_policy_says(pair: Pair, call: Any) -> None:
    note = uuid.uuid4().hex
    instance = pair.ask(**call, note=note, retry=True)
    assert pair.here.result(instance) == {"failed": "ValueError"}
    assert pair.runs.count(note) == 2


def test_terminate_and_purge_reach_the_child_in_another_app(pair: Pair, poll: Any) -> None:
    instance = pair.ask(child="waits")
    child = f"{instance}:0001"
    poll(lambda: pair.there.status(child) == "RUNNING")
    pair.here.client.terminate_workflow(instance)
    poll(lambda: pair.there.status(child) == "TERMINATED")
    answer = pair.here.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance, recursive=True))
    assert answer.deletedInstanceCount == 2
    assert (pair.here.status(instance), pair.there.status(child)) == ("NONE", "NONE")


@pytest.mark.parametrize("call", [{"child": "sells"}, {"activity": "price"}])
def test_what_calls_an_unknown_app_runs_and_waits(pair: Pair, call: Any, poll: Any) -> None:
    instance = pair.ask(**call, app="nonexistent")
    assert pair.here.status(instance) == "RUNNING"
    pair.here.client.terminate_workflow(instance)
    poll(lambda: pair.here.status(instance) == "TERMINATED")


@pytest.mark.local_only
def test_an_app_that_comes_late_finds_what_was_asked_of_it_even_after_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "workflows.db"
    with Sidecar(database, apps={"shop": 0}) as sidecar:
        pair = Pair((sidecar.address, sidecar.addresses["shop"]), "shop")
        pair.here.runtime.start()
        child, activity = pair.ask(child="sells"), pair.ask(activity="price")
        pair.here.close()
        pair.there.close()
    with Sidecar(database, apps={"shop": 0}) as sidecar:
        again = Pair((sidecar.address, sidecar.addresses["shop"]), "shop")
        for workflow in here("shop", pair.mark):
            again.here.runtime.register_workflow(workflow, name=workflow.__name__ + pair.mark)
        for workflow in there([], pair.mark):
            again.there.runtime.register_workflow(workflow, name=workflow.__name__ + pair.mark)
        for made in activities("there", []):
            again.there.runtime.register_activity(made, name=made.__name__ + pair.mark)
        with working(again):
            assert again.here.result(child) == "sold for 7 in there"
            assert again.here.result(activity) == "7 in there"


# the program


@pytest.mark.local_only
def test_the_program_serves_each_app_on_its_port(tmp_path: Path) -> None:
    options = ["--db", str(tmp_path / "p.db"), "--port", "0", "--app", "shop=0"]
    command = [sys.executable, "-m", "local.sidecar", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        process.terminate()
    first, second = line.split(", ")[:2]
    assert first.startswith("Workflow sidecar ready on 127.0.0.1:")
    assert second.startswith("shop on 127.0.0.1:")


@pytest.mark.local_only
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("shop", "'shop' is not ID=PORT"),
        ("shop=http", "'shop=http' is not ID=PORT"),
        ("countersign=1", "an app-id is named twice"),
    ],
)
def test_the_program_says_what_is_wrong_with_an_app(
    tmp_path: Path, option: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--db", str(tmp_path / "p.db"), "--app", option])
    assert (ended.value.code, message in capsys.readouterr().err) == (2, True)
