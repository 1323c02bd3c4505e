"""The workflows that the sidecar's tests run, and the ways they ask: no assertions here."""

import datetime as dt
import itertools
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import dapr.ext.workflow as wf
import grpc

from local.sidecar.wire import pb, stubs

Name = Callable[[str], str]
Code = Callable[[wf.DaprWorkflowContext], Generator[Any, Any, Any]]


class NonRetryableError(Exception):
    """The SDK stops retrying at an exception of this name."""


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Poll until the condition holds; the deadline is there for what is broken, not for what is slow."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {condition}")
        time.sleep(0.01)
    return found


def _deadline(ctx: wf.DaprWorkflowContext, seconds: float) -> dt.datetime:
    return ctx.current_utc_datetime.replace(tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)


def activities(runs: list[Any]) -> list[Callable[..., Any]]:
    """Make the activities anew: the SDK registers a function once a process."""

    def ask(_ctx: Any, _inp: Any) -> Any:
        return {"ts": "1.2"}

    def boom(_ctx: Any, _inp: Any) -> None:
        raise ValueError("boom")

    def hopeless(_ctx: Any, inp: Any) -> None:
        runs.append(inp["id"])
        raise NonRetryableError("never again")

    def slow(_ctx: Any, inp: Any) -> Any:
        time.sleep(inp["s"])
        runs.append(inp["id"])
        return inp["id"]

    async def gentle(_ctx: Any, inp: Any) -> Any:
        return {"got": inp}

    return [ask, boom, hopeless, slow, gentle]


def approvals(name: Name) -> list[Callable[..., Any]]:
    """Make the workflows of the recorded scenarios that wait for a decision."""

    def order(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        yield ctx.call_activity(name("ask"), input=o)
        decision = yield ctx.wait_for_external_event("approval_decision", timeout=_deadline(ctx, o["t"]))
        ctx.set_custom_status("decided")
        yield ctx.call_activity(name("ask"), input=decision)
        return {"status": "completed", "d": decision}

    def loop(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        deadline, seen = _deadline(ctx, o["t"]), 0
        while True:
            try:
                decision = yield ctx.wait_for_external_event("approval_decision", timeout=deadline)
            except TimeoutError:
                return {"status": "timeout", "seen": seen}
            seen += 1
            if decision["ok"]:
                return {"status": "ok", "seen": seen}

    def seed(ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        event = ctx.wait_for_external_event("approval_decision")
        winner = yield wf.when_any([event, ctx.create_timer(dt.timedelta(days=3))])
        return event.get_result() if winner is event else "late"

    return [order, loop, seed]


def relatives(name: Name) -> list[Callable[..., Any]]:
    """Make the workflows that start others, fail, or start over."""

    def parent(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        result = yield ctx.call_child_workflow(name("loop"), input=o, instance_id=f"{ctx.instance_id}-child")
        return result

    def family(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        yield ctx.call_child_workflow(name("parent"), input=o)

    def failing(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        pause = dt.timedelta(milliseconds=300)
        policy = wf.RetryPolicy(first_retry_interval=pause, max_number_of_attempts=o.get("attempts", 2))
        yield ctx.call_activity(name(o.get("what", "boom")), input=o, retry_policy=policy)

    def again(ctx: wf.DaprWorkflowContext, n: int) -> Any:
        yield ctx.create_timer(dt.timedelta(milliseconds=200))
        if n < 2:
            ctx.continue_as_new(n + 1)
            return None
        return n

    def badcode(_ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        yield from ()
        raise KeyError("oops")

    return [parent, family, failing, again, badcode]


def small_ones(name: Name) -> list[Callable[..., Any]]:
    """Make the workflows of single rows of the table."""

    def echo(ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        got = yield ctx.wait_for_external_event("say")
        return {"got": got}

    def two(ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        first = yield ctx.wait_for_external_event("say")
        second = yield ctx.wait_for_external_event("say")
        return [first, second]

    def hoarder(ctx: wf.DaprWorkflowContext, n: int) -> Any:
        first = yield ctx.wait_for_external_event("more")
        if n < 2:
            ctx.continue_as_new(n + 1, save_events=True)
            return None
        return first

    def busy(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        result = yield ctx.call_activity(name("slow"), input=o)
        return result

    def fan(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        results = yield wf.when_all([ctx.call_activity(name("gentle"), input=n) for n in range(o["n"])])
        return [result["got"] for result in results]

    def nothing(ctx: wf.DaprWorkflowContext, _o: Any) -> Any:
        return str(ctx.current_utc_datetime.tzinfo)

    return [echo, two, hoarder, busy, fan, nothing]


def changing_ones(codes: dict[str, Code]) -> list[Callable[..., Any]]:
    """Make the workflow that runs other code from one turn to the next, as after a deployment."""

    def changing(ctx: wf.DaprWorkflowContext, o: Any) -> Any:
        result = yield from codes[o["code"]](ctx)
        return result

    return [changing]


class Cast:
    """All of them, under names that carry a mark of this run."""

    def __init__(self, mark: str = "") -> None:
        self.mark = mark or uuid.uuid4().hex[:6]
        self.runs: list[Any] = []
        self.codes: dict[str, Code] = {}

    def name(self, what: str) -> str:
        return f"{what}_{self.mark}"

    def register(self, runtime: wf.WorkflowRuntime) -> None:
        for activity in activities(self.runs):
            runtime.register_activity(activity, name=self.name(activity.__name__))
        families = approvals(self.name), relatives(self.name), small_ones(self.name), changing_ones(self.codes)
        for workflow in itertools.chain(*families):
            runtime.register_workflow(workflow, name=self.name(workflow.__name__))


class House:
    """An address, a worker with the cast, and ways to ask."""

    def __init__(self, address: str, mark: str = "", **options: Any) -> None:
        self.cast = Cast(mark)
        host, port = address.rsplit(":", 1)
        self.runtime = wf.WorkflowRuntime(host=host, port=port, **options)
        self.cast.register(self.runtime)
        self.client = wf.DaprWorkflowClient(host=host, port=port)
        self.channel = grpc.insecure_channel(address)
        self.stub = stubs.TaskHubSidecarServiceStub(self.channel)

    def close(self) -> None:
        self.runtime.shutdown()
        self.client.close()
        self.channel.close()

    def new_id(self, what: str = "i") -> str:
        return f"{what}-{uuid.uuid4().hex[:10]}"

    def schedule(self, what: str, data: Any = None, instance_id: str | None = None, **more: Any) -> str:
        scheduled: str = self.client.schedule_new_workflow(
            self.cast.name(what), input=data, instance_id=instance_id or self.new_id(what), **more
        )
        return scheduled

    def state(self, instance_id: str) -> Any:
        return self.client.get_workflow_state(instance_id)

    def status(self, instance_id: str) -> str:
        state = self.state(instance_id)
        return state.runtime_status.name if state else "NONE"

    def finish(self, instance_id: str) -> Any:
        return self.client.wait_for_workflow_completion(instance_id, timeout_in_seconds=20)

    def history(self, instance_id: str) -> list[Any]:
        answer = self.stub.GetInstanceHistory(pb.GetInstanceHistoryRequest(instanceId=instance_id), timeout=10)
        return list(answer.events)

    def kinds(self, instance_id: str) -> list[str]:
        return [event.WhichOneof("eventType") for event in self.history(instance_id)]

    def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        self.client.raise_workflow_event(instance_id, name, data=data)


@contextmanager
def staffed(address: str, mark: str = "", **options: Any) -> Iterator[House]:
    """Run a worker against a sidecar; the options are those of the SDK's runtime."""
    house = House(address, mark, **options)
    house.runtime.start()
    try:
        yield house
    finally:
        house.close()
