"""The Dapr worker of this process: all workflows and activities registered once, activities on the app's own loop."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from dapr.ext.workflow import WorkflowActivityContext, WorkflowRuntime
from dapr.ext.workflow._durabletask.worker import VersionNotRegisteredException

from activities import Activities
from activities.bulk import BulkActivities
from activities.turns import Turns
from bot.engine.client import Metadata
from bot.engine.decoding import EventsAsText
from bot.engine.extensions import NONE, Extensions, fresh
from bot.engine.tokens import ShowsToken, no_token_of_the_sdk
from bot.engine.traces import ActivityTraces
from bot.process import logs
from workflows.bulk import bulk_workflow
from workflows.versions import APPROVALS, REQUESTS, Code, UnknownVersionError, Versions

log = structlog.get_logger(__name__)

WORKFLOWS = (bulk_workflow,)
"""Workflows without versions. Those of workflows/versions.py have them."""

NAMES = (APPROVALS.workflow, REQUESTS.workflow, *(workflow.__name__ for workflow in WORKFLOWS))
STARTABLE = (APPROVALS.workflow, REQUESTS.workflow)
"""Workflows that an operator may start by name. A bulk operation needs its dry run's token, so it is not among them."""

ACTIVITIES = (
    "route_request",
    "request_approval",
    "report_unposted",
    "judge_decision",
    "record",
    "process_order",
    "call_back",
)
OURS = (*NAMES, *ACTIVITIES, "bulk_batch")
"""Names that no other package may take."""

WORKER_DRAIN_S = 8.0
"""Seconds that activities under way have to end: a call to Slack takes no longer."""

ANSWERED_S = 0.1
"""Seconds from an activity's end until its answer is on its way: the SDK waits for those that are, and no others."""

WORKER_STOP_S = 3.0
"""Seconds that the worker may take to end when the sidecar hangs."""

ACTIVITIES_AT_ONCE = 5_000
"""Activities that may be under way. Most wait for Slack: cards that stand in its queue must not keep judgements out."""

Activity = Callable[[WorkflowActivityContext, Any], Awaitable[Any]]


class Worker:
    """Connects in a thread of its own (docs/explanation/dapr.md#the-worker-blocks-until-there-is-a-sidecar)."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        address: str,
        activities: Activities,
        bulk: BulkActivities,
        loop: asyncio.AbstractEventLoop,
        approvals: Versions = APPROVALS,
        extensions: Extensions = NONE,
        traces: ActivityTraces | None = None,
        shown: Callable[[], Metadata] = tuple,
    ) -> None:
        self._traces = traces
        self._runtime = _runtime(address, approvals, shown)
        register(self._runtime, approvals, extensions)
        for name in ACTIVITIES:
            self._runtime.register_activity(self._on_loop(getattr(activities, name), loop), name=name)
        self._runtime.register_activity(self._on_loop(bulk.bulk_batch, loop), name="bulk_batch")
        for name, activity in extensions.activities.items():
            self._runtime.register_activity(fresh(activity), name=name)  # on the SDK's threads: it may block
        self._activities = activities
        self._turns = Turns()
        self._running: set[asyncio.Task[Any]] = set()
        self._leaving = False
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

    async def drain(self) -> None:
        """Start no more activities, and wait for those under way: an interrupted one runs again.

        Work that has not begun gets no answer, so the sidecar hands it out again and no attempt is spent.
        """
        self._leaving = True
        self._activities.stop()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=WORKER_DRAIN_S)
            if late:
                log.warning("activities are cut off and run again elsewhere", count=len(late))
            await asyncio.sleep(ANSWERED_S)

    async def stop(self) -> None:
        """Stop taking work. A turn or an activity that is under way is handed out again by the sidecar.

        With a sidecar that hangs the SDK waits for most of a minute: it is left to its thread, which ends with us.
        """
        if self._thread is None:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def stop() -> None:
            self._runtime.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # the loop is closed: no caller waits
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=stop, name="dapr-worker-stop", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), WORKER_STOP_S)
        except TimeoutError:
            log.warning("the sidecar does not let the worker go; it is left behind", seconds=WORKER_STOP_S)

    def _on_loop(self, activity: Activity, loop: asyncio.AbstractEventLoop) -> Activity:
        """Run an activity where the database and Slack's connections live, not on the worker's own loop."""

        async def run(ctx: WorkflowActivityContext, value: Any) -> Any:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._run(activity, ctx, value), loop))

        run.__annotations__ = {"value": _input_of(activity)}
        return run

    async def _run(self, activity: Activity, ctx: WorkflowActivityContext, value: Any) -> Any:
        task = asyncio.current_task()
        if self._leaving or task is None:
            raise asyncio.CancelledError  # without an answer the sidecar hands it out again
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        async with self._turns.one():
            if self._leaving:
                raise asyncio.CancelledError  # it has not begun
            if self._traces is None:
                return await activity(ctx, value)
            async with self._traces.around(activity.__name__, ctx.workflow_id):
                return await activity(ctx, value)


def register(runtime: WorkflowRuntime, approvals: Versions, extensions: Extensions = NONE) -> None:
    """Register the workflows. A versioned one's plain name stays free: the SDK would prefer it to every version."""
    for versions in (approvals, REQUESTS):
        for version in versions.each:
            code, latest = _stalling(versions.code_of(version)), version.name == versions.latest
            runtime.register_versioned_workflow(
                code, name=versions.workflow, version_name=version.name, is_latest=latest
            )
    for workflow in WORKFLOWS:
        # Registered under a wrapper of its own: the SDK marks a function as registered, once for the process.
        runtime.register_workflow(_unmarked(workflow), name=workflow.__name__)
    for name, function in extensions.workflows.items():
        runtime.register_workflow(fresh(function), name=name)


def _runtime(address: str, approvals: Versions, shown: Callable[[], Metadata]) -> WorkflowRuntime:
    at: dict[str, Any] = {}  # without host and port the SDK reads DAPR_GRPC_ENDPOINT, which the engine has set
    if "://" not in address:
        at["host"], _, at["port"] = address.rpartition(":")
    with no_token_of_the_sdk():
        return WorkflowRuntime(
            **at,
            logger_options=logs.of_the_sdk(),
            interceptors=[EventsAsText(unnamed(approvals)), ShowsToken(shown)],
            maximum_concurrent_activity_work_items=ACTIVITIES_AT_ONCE,
        )


def _stalling(code: Code) -> Code:
    """Let a run whose version is not deployed wait for a worker that has it, rather than fail."""

    def run(ctx: Any, given: Any) -> Any:
        try:
            return code(ctx, given)
        except UnknownVersionError as error:
            raise VersionNotRegisteredException from error

    run.__name__ = code.__name__
    return run


def unnamed(approvals: Versions) -> dict[str, str]:
    """Return the version with which a history without a named one began."""
    return {approvals.workflow: approvals.each[0].name}


def _unmarked(workflow: Callable[..., Any]) -> Callable[..., Any]:
    def call(ctx: Any, value: Any) -> Any:
        return workflow(ctx, value)

    call.__name__ = workflow.__name__
    call.__annotations__ = {"value": _input_of(workflow)}  # the SDK rebuilds the input from it, by parameter name
    return call


def _input_of(function: Callable[..., Any]) -> Any:
    names = [name for name in function.__annotations__ if name not in {"ctx", "return"}]
    return function.__annotations__[names[0]] if names else Any
