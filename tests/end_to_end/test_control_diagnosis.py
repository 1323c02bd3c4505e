"""Every situation of the diagnosis, built for real: a worker of the test's own, a sidecar, the app's database.

No test here may need the app: on a real runtime its worker and the one here are one app-id, and each is handed work
that only the other knows. What needs it stands in test_control_diagnosis_of_orders.py.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import dapr.ext.workflow as wf
import pytest

from bot.control.diagnosis.gathering import FactFinder
from bot.control.diagnosis.rules import diagnose
from bot.control.subjects import Subject
from bot.engine.client import Engine
from cards.values import Diagnosis
from local.sidecar import Sidecar
from records import instances
from records.database import Database
from tests.end_to_end.conftest import Systems
from tests.end_to_end.system import REAL_SIDECAR, eventually

EVENT = "payment_confirmed"


def workflows() -> list[Callable[..., Any]]:
    """Make them anew: the SDK registers a function once a process."""

    def waits(ctx: wf.DaprWorkflowContext, seconds: float) -> Generator[Any, Any, Any]:
        until = ctx.current_utc_datetime.replace(tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
        result = yield ctx.wait_for_external_event(EVENT, timeout=until)
        yield ctx.wait_for_external_event("shipped")
        return result

    def waits_twice(ctx: wf.DaprWorkflowContext, _: Any) -> Generator[Any, Any, Any]:
        yield ctx.wait_for_external_event("begin")
        yield ctx.wait_for_external_event(EVENT)
        yield ctx.wait_for_external_event(EVENT)

    def ends(ctx: wf.DaprWorkflowContext, _: Any) -> Generator[Any, Any, Any]:
        yield from ()
        return {"status": "completed"}

    def retries(ctx: wf.DaprWorkflowContext, _: Any) -> Generator[Any, Any, Any]:
        policy = wf.RetryPolicy(first_retry_interval=dt.timedelta(milliseconds=300), max_number_of_attempts=100)
        yield ctx.call_activity("book", retry_policy=policy)

    return [waits, waits_twice, ends, retries]


def activity() -> Callable[..., Any]:
    def book(_ctx: wf.WorkflowActivityContext, _: Any) -> None:
        raise ConnectionError("the ledger is down")

    return book


class Bench:
    """A sidecar with a worker that the test can stop, and diagnoses of what runs there."""

    def __init__(self, address: str, folder: Path) -> None:
        host, _, port = address.rpartition(":")
        self.address = address
        self.runtime = wf.WorkflowRuntime(host=host, port=port)
        for each in workflows():
            self.runtime.register_workflow(each)
        self.runtime.register_activity(activity())
        self.runtime.start()
        self.client = wf.DaprWorkflowClient(host=host, port=port)
        self.url = f"sqlite:///{folder / 'countersign.db'}"
        self.suffix = secrets.token_hex(3)
        asyncio.run(self._migrate())

    async def _migrate(self) -> None:
        database = Database.open(self.url)
        await database.migrate()
        await database.close()

    def connected(self) -> bool:
        worker = getattr(self.runtime, "_WorkflowRuntime__worker")  # noqa: B009 a private name
        return bool(worker.is_worker_ready())

    def start(self, name: str, instance_id: str, value: Any = 600, **more: Any) -> str:
        """Start one, with a row as the reconciler would write it."""
        instance_id = f"{instance_id}-{self.suffix}"
        self.client.schedule_new_workflow(name, input=value, instance_id=instance_id, **more)
        asyncio.run(self._row(instances.Known(instance_id=instance_id, name=name, phase="unknown")))
        return instance_id

    async def _row(self, known: instances.Known) -> None:
        database = Database.open(self.url)
        async with database.write() as connection:
            await instances.insert(connection, known, dt.datetime.now(dt.UTC))
        await database.close()

    def why(self, instance_id: str) -> tuple[Diagnosis, ...]:
        return asyncio.run(self._why(instance_id))

    async def _why(self, instance_id: str) -> tuple[Diagnosis, ...]:
        database, engine = Database.open(self.url), Engine(self.address)
        names = ("waits", "waits_twice", "ends", "retries")
        finder = FactFinder(database, engine, names, self.connected, lambda: dt.datetime.now(dt.UTC))
        state = await engine.state(instance_id)
        async with database.read() as connection:
            row = await instances.get(connection, instance_id)
        if state is None and row is None:
            found = await finder.unknown(instance_id)
        else:
            found = await finder.find(Subject(instance_id=instance_id, engine=state, row=row))
        await engine.close()
        await database.close()
        return diagnose(found)

    async def purge_by_force(self, instance_id: str) -> None:
        engine = Engine(self.address)
        await engine.purge(instance_id, force=True)
        await engine.close()

    def told(self, instance_id: str, sentence: str) -> Diagnosis:
        """Wait until an answer says this; return it."""
        return eventually(lambda: [each for each in self.why(instance_id) if sentence in each.sentence], 20)[0]


@pytest.fixture(scope="module")
def bench(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("diagnosis")
    if REAL_SIDECAR:
        systems.stop()  # one app-id has one set of workflows
        found = Bench(REAL_SIDECAR, folder)
        yield found
        found.runtime.shutdown()
        return
    with Sidecar(folder / "sidecar.db") as sidecar:
        found = Bench(sidecar.address, folder)
        yield found
        found.runtime.shutdown()


def test_never_started(bench: Bench) -> None:
    there = bench.start("waits", "order-42")
    answer = bench.told(there.replace("order-42", "order-43"), "never started")
    assert there in answer.next_step


def test_still_scheduled(bench: Bench) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert (
        "another program has set"
        in bench.told(bench.start("waits", "later", start_at=later), "scheduled for later").evidence
    )


def test_finished_before_the_event(bench: Bench) -> None:
    instance_id = bench.start("ends", "over")
    bench.told(instance_id, "is over: Completed")
    bench.client.raise_workflow_event(instance_id, EVENT, data={"n": 1})
    assert "drops it" in bench.told(instance_id, "is over: Completed").sentence


def test_suspended_since(bench: Bench) -> None:
    instance_id = bench.start("waits", "paused")
    bench.client.pause_workflow(instance_id)
    assert "Resume it" in bench.told(instance_id, "is paused since 20").next_step


def test_no_worker_knows_this_name(bench: Bench) -> None:
    answer = bench.told(bench.start("wait", "nameless"), "no worker knows a workflow named wait")
    assert "Did you mean waits?" in answer.next_step


def test_the_event_has_almost_the_awaited_name(bench: Bench) -> None:
    instance_id = bench.start("waits", "misspelt")
    bench.client.raise_workflow_event(instance_id, "payment_confirmd", data={"n": 1})
    assert EVENT in bench.told(instance_id, "but payment_confirmd was raised").next_step


def test_the_event_was_raised_at_another_id(bench: Bench) -> None:
    instance_id = bench.start("waits", "payment-77")
    other = bench.start("waits", "payment-78")
    bench.client.raise_workflow_event(other, EVENT, data={"n": 1})
    bench.client.raise_workflow_event(other, EVENT, data={"n": 2})
    assert other in bench.told(instance_id, "which was raised at").sentence


def test_the_event_came_before_the_wait_and_another_wait_took_it(bench: Bench) -> None:
    instance_id = bench.start("waits_twice", "early")
    bench.client.raise_workflow_event(instance_id, EVENT, data={"n": 1})
    bench.client.raise_workflow_event(instance_id, "begin", data={"n": 1})
    assert "Each event answers one wait" in bench.told(instance_id, "went to an earlier wait").evidence


def test_the_payload_was_empty(bench: Bench) -> None:
    instance_id = bench.start("waits", "empty")
    bench.client.raise_workflow_event(instance_id, EVENT, data=False)
    assert EVENT in bench.told(instance_id, "arrive as nothing").sentence


def test_an_activity_is_tried_again_with_its_last_error(bench: Bench) -> None:
    answer = bench.told(bench.start("retries", "retrying"), "book of retrying")
    assert "the ledger is down" in answer.evidence


def test_two_pauses_wedge_it(bench: Bench) -> None:
    instance_id = bench.start("waits", "wedged")
    bench.client.pause_workflow(instance_id)
    bench.client.pause_workflow(instance_id)
    assert "Purge it with force" in bench.told(instance_id, "was paused 2 times").next_step
    asyncio.run(bench.purge_by_force(instance_id))  # on a real runtime nothing wedged may outlive its test
    bench.told(instance_id, "purged")


def test_its_deadline_was_in_the_past(bench: Bench) -> None:
    answer = bench.told(bench.start("waits", "past", -60), "a deadline that had passed already")
    assert "in UTC" in answer.next_step


def test_it_waits_without_a_deadline(bench: Bench) -> None:
    instance_id = bench.start("waits", "for-ever")
    bench.client.raise_workflow_event(instance_id, EVENT, data={"n": 1})
    assert "negative timeout" in bench.told(instance_id, "without a deadline").evidence


def test_nothing_is_wrong_with_one_that_waits(bench: Bench) -> None:
    bench.told(bench.start("waits", "in order"), "nothing is wrong")


def test_no_worker_is_connected_and_the_deadline_passes(bench: Bench) -> None:
    """The last one: it stops the worker of the others."""
    instance_id = bench.start("waits", "left alone", 0.5)
    bench.runtime.shutdown()
    bench.told(instance_id, "No worker of this process is connected")
    assert "ago by this machine's clock" in bench.told(instance_id, "should have gone on at its deadline").evidence
