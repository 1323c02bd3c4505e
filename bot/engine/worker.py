"""The Dapr worker of this process: all workflows and activities registered once, activities on the app's own loop."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from dapr.ext.workflow import WorkflowActivityContext, WorkflowRuntime

from activities import Activities
from activities.bulk import BulkActivities
from bot.engine.decoding import EventsAsText
from bot.process import logs
from workflows.approval import approval_workflow
from workflows.bulk import bulk_workflow

log = structlog.get_logger(__name__)

WORKFLOWS = (approval_workflow, bulk_workflow)
NAMES = tuple(workflow.__name__ for workflow in WORKFLOWS)
STARTABLE = ("approval_workflow",)
"""Workflows that an operator may start by name. A bulk operation needs its dry run's token, so it is not among them."""

ACTIVITIES = (
    "route_request",
    "request_approval",
    "report_unposted",
    "judge_decision",
    "record",
    "remind",
    "announce",
    "answer",
    "process_order",
    "call_back",
)

STOP_S = 3.0
"""Seconds that the worker may take to end: a supervisor kills what has not ended after ten."""

Activity = Callable[[WorkflowActivityContext, Any], Awaitable[Any]]


class Worker:
    """Connects in a thread of its own (docs/explanation/dapr.md#the-worker-blocks-until-there-is-a-sidecar)."""

    def __init__(
        self, address: str, activities: Activities, bulk: BulkActivities, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._runtime = _runtime(address)
        for workflow in WORKFLOWS:
            # Registered under a wrapper of its own: the SDK marks a function as registered, once for the process.
            self._runtime.register_workflow(_unmarked(workflow), name=workflow.__name__)
        for name in ACTIVITIES:
            self._runtime.register_activity(_on_loop(getattr(activities, name), loop), name=name)
        self._runtime.register_activity(_on_loop(bulk.bulk_batch, loop), name="bulk_batch")
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to connect; comes back at once. The worker reconnects by itself after that."""
        self._thread = threading.Thread(target=self._connect, name="dapr-worker", daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        try:
            self._runtime.start()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            log.info("the worker ended before it was connected", why=str(error))

    @property
    def ready(self) -> bool:
        """Whether the sidecar can hand us work. The runtime's own question waits, so its worker is asked."""
        return bool(getattr(self._runtime, "_WorkflowRuntime__worker").is_worker_ready())  # noqa: B009 a private name

    async def stop(self) -> None:
        """Stop taking work. A turn or an activity that is under way is handed out again by the sidecar.

        With a sidecar that hangs the SDK waits for most of a minute: it is left to its thread, which ends with us.
        """
        if self._thread is None:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def stop() -> None:
            self._runtime.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=stop, name="dapr-worker-stop", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), STOP_S)
        except TimeoutError:
            log.warning("the sidecar does not let the worker go; it is left behind", seconds=STOP_S)


def _runtime(address: str) -> WorkflowRuntime:
    options = logs.of_the_sdk()
    if "://" in address:
        return WorkflowRuntime(
            logger_options=options, interceptors=[EventsAsText()]
        )  # the SDK reads DAPR_GRPC_ENDPOINT, which the engine has set
    host, _, port = address.rpartition(":")
    return WorkflowRuntime(host=host, port=port, logger_options=options, interceptors=[EventsAsText()])


def _unmarked(workflow: Callable[..., Any]) -> Callable[..., Any]:
    def call(ctx: Any, value: Any) -> Any:
        return workflow(ctx, value)

    call.__name__ = workflow.__name__
    call.__annotations__ = {"value": _input_of(workflow)}  # the SDK rebuilds the input from it, by parameter name
    return call


def _on_loop(activity: Activity, loop: asyncio.AbstractEventLoop) -> Activity:
    """Run an activity where the database and Slack's connections live, not on the worker's own loop."""

    async def run(ctx: WorkflowActivityContext, value: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(activity, ctx, value), loop))

    run.__annotations__ = {"value": _input_of(activity)}
    return run


async def _awaited(activity: Activity, ctx: WorkflowActivityContext, value: Any) -> Any:
    return await activity(ctx, value)


def _input_of(function: Callable[..., Any]) -> Any:
    names = [name for name in function.__annotations__ if name not in {"ctx", "return"}]
    return function.__annotations__[names[0]] if names else Any
