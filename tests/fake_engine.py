"""A workflow engine in a dictionary: what the services ask of Dapr, without Dapr, a port or a second process.

An instance that is `put` has a status and no code. One that is scheduled under a name of WORKFLOWS is played: the
generator runs against the activities that the test gives, step by step, and leaves a history.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from dapr.ext.workflow import TaskFailedError
from dapr.ext.workflow._durabletask.internal import protos

from approvals.evidence import Evidence
from approvals.values import Value, in_utc
from bot.engine.client import AlreadyExistsError, EngineInstance, EngineRefusedError, UnknownInstanceError
from bot.engine.history import RecordedHistory
from bot.engine.worker import WORKFLOWS
from workflows.versions import APPROVALS

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
ATTEMPTS = 3
LATEST = next(version for version in APPROVALS.each if version.name == APPROVALS.latest)
CODE = {workflow.__name__: workflow for workflow in WORKFLOWS} | {APPROVALS.workflow: APPROVALS.code_of(LATEST)}
PAGE = 3


class FakeEngine:
    """Instances by id. `failing` is raised by the next call that changes something, `away` by every call."""

    def __init__(self, clock: Callable[[], datetime] = lambda: AT) -> None:
        self.clock = clock
        self.instances: dict[str, EngineInstance] = {}
        self.raised: list[tuple[str, str, Any]] = []
        self.histories: dict[str, list[Any]] = {}
        self.activities: dict[str, Callable[..., Any]] = {}
        self.failing: Exception | None = None
        self.away: Exception | None = None
        self.unlistable: Exception | None = None
        self.ill: dict[str, Exception] = {}
        """What is raised for single instances."""
        self.hanging = asyncio.Event()
        """Cleared: a raise waits until it is set."""
        self.hanging.set()
        self.swallow = 0
        """So many raises are taken and lost, as by an engine that dies before it has stored them."""
        self._plays: dict[str, _Play] = {}

    def put(self, instance_id: str, status: str, name: str = "approval_workflow", **fields: Any) -> None:
        now = self.clock()
        known = self.instances.get(instance_id)
        made = known.created_at if known else now
        self.instances[instance_id] = EngineInstance(
            instance_id=instance_id, name=name, status=status, **{"created_at": made, "updated_at": now, **fields}
        )

    def tick(self) -> None:
        """Let what waits look at the clock again."""
        for play in self._plays.values():
            play.news.set()

    async def close(self) -> None:
        """End what is played."""
        for play in self._plays.values():
            play.task.cancel()
        await asyncio.gather(*(play.task for play in self._plays.values()), return_exceptions=True)

    @asynccontextmanager
    async def alone(self, instance_id: str) -> AsyncIterator[None]:
        yield

    async def ping(self) -> None:
        self._answer()

    async def state(self, instance_id: str, *, payloads: bool = True) -> EngineInstance | None:
        self._answer()
        if instance_id in self.ill:
            raise self.ill[instance_id]
        return self.instances.get(instance_id)

    async def history(self, instance_id: str) -> RecordedHistory:
        self._answer()
        self._found(instance_id)
        return RecordedHistory(self.histories.get(instance_id, []))

    async def recorded(self, instance_id: str) -> list[Any]:
        self._answer()
        return self.histories[instance_id]

    async def instance_ids(self, token: str | None = None) -> tuple[list[str], str | None]:
        self._answer()
        if self.unlistable is not None:
            raise self.unlistable
        after, ids = int(token or 0), list(self.instances)
        return ids[after : after + PAGE], str(after + PAGE) if after + PAGE < len(ids) else None

    async def schedule(self, name: str, instance_id: str, value: Any, start_at: datetime | None = None) -> None:
        self._may_fail()
        if instance_id in self.instances and not self.instances[instance_id].finished:
            raise AlreadyExistsError(instance_id)
        self.put(instance_id, "RUNNING" if start_at is None else "PENDING", name, input=json.dumps(value))
        self.histories[instance_id] = []
        if start_at is None and self.activities:
            self._plays[instance_id] = _Play(self, instance_id, name, value)

    async def raise_event(self, instance_id: str, name: str, payload: dict[str, Any]) -> None:
        await self.hanging.wait()
        self._may_fail()
        self._found(instance_id)
        self.raised.append((instance_id, name, payload))
        if self.swallow > 0:
            self.swallow -= 1
            return
        self.note(instance_id, eventRaised={"name": name, "input": json.dumps(payload)})
        if instance_id in self._plays:
            self._plays[instance_id].events.append(json.dumps(payload))
            self._plays[instance_id].news.set()

    async def pause(self, instance_id: str) -> None:
        self._move(instance_id, "SUSPENDED")
        self.note(instance_id, executionSuspended={})
        if instance_id in self._plays:
            self._plays[instance_id].running.clear()

    async def resume(self, instance_id: str) -> None:
        self._move(instance_id, "RUNNING")
        self.note(instance_id, executionResumed={})
        if instance_id in self._plays:
            self._plays[instance_id].running.set()

    async def terminate(self, instance_id: str, output: dict[str, Any]) -> None:
        self._move(instance_id, "TERMINATED", output=json.dumps(output))
        if instance_id in self._plays:
            self._plays.pop(instance_id).task.cancel()

    async def purge(self, instance_id: str, *, force: bool = False) -> int:
        self._may_fail()
        if not self._found(instance_id).finished and not force:
            raise EngineRefusedError(f"{instance_id} is not over")
        del self.instances[instance_id]
        return 1

    async def rerun(self, instance_id: str, event_id: int, new_id: str | None = None) -> str:
        self._may_fail()
        made = new_id or f"{instance_id}-again"
        if made in self.instances:
            raise AlreadyExistsError(made)
        self.put(made, "RUNNING", self._found(instance_id).name)
        return made

    def evidence_of(self, instance_id: str) -> Evidence:
        """Return the newest evidence in an instance's history."""
        values = self.histories[instance_id]
        found = [each for each in RecordedHistory(values).payloads() if isinstance(each, dict) and each.get("evidence")]
        return Evidence.model_validate(found[-1]["evidence"])

    def given(self, instance_id: str) -> Any:
        """Return an instance's input."""
        return json.loads(self.instances[instance_id].input or "null")

    def note(self, instance_id: str, **event: dict[str, Any]) -> int:
        """Add an event to a history and return its number; texts are wrapped as the protocol wants them."""
        events = self.histories.setdefault(instance_id, [])
        made = protos.HistoryEvent(eventId=len(events))
        made.timestamp.FromDatetime(self.clock())
        for kind, fields in event.items():
            body = getattr(made, kind)
            body.SetInParent()
            for field, value in fields.items():
                if field in {"input", "result"}:
                    getattr(body, field).value = value
                elif field == "fireAt":
                    body.fireAt.FromDatetime(value)
                elif field == "externalEvent":
                    body.externalEvent.name = value
                else:
                    setattr(body, field, value)
        events.append(made)
        return int(made.eventId)

    def _move(self, instance_id: str, status: str, **fields: Any) -> None:
        self._may_fail()
        self.become(instance_id, status, **fields)

    def become(self, instance_id: str, status: str, **fields: Any) -> None:
        """Change the status of an instance, as its worker or another tool does."""
        known = self._found(instance_id)
        changed = {"status": status, "updated_at": self.clock(), **fields}
        self.instances[instance_id] = known.model_copy(update=changed)

    def _found(self, instance_id: str) -> EngineInstance:
        if instance_id not in self.instances:
            raise UnknownInstanceError(instance_id)
        return self.instances[instance_id]

    def _may_fail(self) -> None:
        self._answer()
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away


class _Play:
    """One instance's generator, driven as a worker drives it. It is the SDK's context for it, too."""

    def __init__(self, engine: FakeEngine, instance_id: str, name: str, value: Any) -> None:
        self._engine = engine
        self.instance_id = instance_id
        self._workflow: Any = CODE[name]
        self._continued: Any = None
        self.events: list[str] = []
        self.news, self.running = asyncio.Event(), asyncio.Event()
        self.running.set()
        self.task = asyncio.create_task(self._run(value))

    async def _run(self, value: Any) -> None:
        try:
            output = await self._driven(self._workflow(self, _typed(self._workflow, value)))
            while self._continued is not None:
                value, self._continued = self._continued, None
                output = await self._driven(self._workflow(self, _typed(self._workflow, value)))
        except TaskFailedError as error:
            self._engine.become(self.instance_id, "FAILED", failure=str(error.details.message))
        else:
            self._engine.become(self.instance_id, "COMPLETED", output=json.dumps(output))

    async def _driven(self, generator: Any) -> Any:
        send, given = generator.send, None
        while True:
            try:
                asked = send(given)
            except StopIteration as end:
                return end.value
            try:
                given = await asked
                send = generator.send
                await self.running.wait()
            except (TaskFailedError, TimeoutError) as error:
                given, send = error, generator.throw

    # ---- the SDK's context ------------------------------------------------------------------------------------------

    @property
    def current_utc_datetime(self) -> datetime:
        return self._engine.clock().astimezone(UTC).replace(tzinfo=None)

    def set_custom_status(self, status: str) -> None:
        known = self._engine.instances[self.instance_id]
        self._engine.become(self.instance_id, known.status, custom_status=json.dumps(status))

    def continue_as_new(self, value: Any, *, save_events: bool = False) -> None:
        self._continued = value

    async def call_activity(self, activity: Callable[..., Any], *, input: Value, retry_policy: Any) -> Any:  # noqa: A002 the SDK's name
        name, note = activity.__name__, self._engine.note
        for attempt in range(ATTEMPTS):
            number = note(self.instance_id, taskScheduled={"name": name, "input": input.model_dump_json()})
            try:
                found = await self._engine.activities[name](None, _typed(activity, input.model_dump(mode="json")))
            except Exception as error:
                failed = protos.TaskFailureDetails(errorType=type(error).__name__, errorMessage=str(error))
                self._engine.note(self.instance_id, taskFailed={"taskScheduledId": number})
                if attempt + 1 == ATTEMPTS or "NonRetryable" in type(error).__name__:
                    raise TaskFailedError(str(error), failed) from error
            else:
                result = found.model_dump(mode="json") if isinstance(found, Value) else found
                note(self.instance_id, taskCompleted={"taskScheduledId": number, "result": json.dumps(result)})
                return result
        raise AssertionError("unreachable")

    async def wait_for_external_event(self, name: str, timeout: datetime | timedelta) -> Any:  # noqa: ASYNC109 the SDK's name
        if isinstance(timeout, datetime):
            timer = {"fireAt": timeout.astimezone(UTC), "externalEvent": name}
            self._engine.note(self.instance_id, timerCreated=timer)
        while not self.events:
            if not isinstance(timeout, datetime) or self._engine.clock() >= in_utc(timeout):
                raise TimeoutError
            self.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):  # the clock goes on by itself; wait_for may swallow a cancellation
                    await self.news.wait()
        return self.events.pop(0)


def _typed(function: Callable[..., Any], value: Any) -> Any:
    """Return the value as the function's annotation has it, as the SDK rebuilds it."""
    given = [kind for name, kind in function.__annotations__.items() if name not in {"ctx", "return"}]
    return given[0].model_validate(value) if given and hasattr(given[0], "model_validate") else value
