"""Histories that were recorded before run through today's code: whoever waits in production must be able to go on."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import WorkflowRuntime
from dapr.ext.workflow._durabletask import worker
from dapr.ext.workflow._durabletask.internal import protos
from google.protobuf.json_format import ParseDict

from bot.engine.decoding import wrap
from bot.engine.worker import _unmarked
from workflows.approval import approval_workflow

FILES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def registry() -> Any:
    """Return the SDK's registry as a worker of ours has it; nothing connects."""
    runtime = WorkflowRuntime(host="127.0.0.1", port="1")
    runtime.register_workflow(_unmarked(approval_workflow), name="approval_workflow")
    return runtime._WorkflowRuntime__worker._registry


def turns(events: list[Any]) -> list[int]:
    """Return where each turn begins."""
    return [number for number, event in enumerate(events) if event.HasField("workflowStarted")]


def events_of(told: dict[str, Any]) -> list[Any]:
    """Return a recorded history as a worker of ours receives it."""
    events = [ParseDict(each, protos.HistoryEvent()) for each in told["events"]]
    wrap(events)
    return events


def executed(instance_id: str, past: list[Any], new: list[Any]) -> Any:
    executor = worker._OrchestrationExecutor(registry(), logging.getLogger("replay"))
    return executor.execute(instance_id, past, new)


def test_there_are_recorded_histories() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_recorded_history_ends_as_it_ended(path: Path) -> None:
    told = json.loads(path.read_text())
    events = events_of(told)
    done = [event for event in events if not event.HasField("executionCompleted")]
    last = turns(done)[-1]
    result = executed(told["instance_id"], done[:last], done[last:])
    ended = [action.completeWorkflow for action in result.actions if action.HasField("completeWorkflow")]
    assert [each.failureDetails.errorMessage for each in ended] == [""]
    # A later release adds fields to an output; it changes none.
    assert told["output"].items() <= json.loads(ended[0].result.value).items()


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_turn_asks_for_what_it_asked_for(path: Path) -> None:
    told = json.loads(path.read_text())
    events = events_of(told)
    starts = turns(events)
    for begin, end in zip(starts, [*starts[1:], len(events)], strict=True):
        turn = [event for event in events[begin:end] if not _is_asked(event)]
        result = executed(told["instance_id"], events[:begin], turn)
        asked = {(action.id, action.scheduleTask.name) for action in result.actions}
        assert {found for event in events[begin:end] if (found := _asked(event))} <= asked, (path.stem, begin)


def _asked(event: Any) -> tuple[int, str] | None:
    if event.HasField("taskScheduled"):
        return event.eventId, event.taskScheduled.name
    return (event.eventId, "") if event.HasField("timerCreated") else None


def _is_asked(event: Any) -> bool:
    """Return whether an event stands for an action of the workflow's, not for something that happened to it."""
    return any(event.HasField(name) for name in ("taskScheduled", "timerCreated", "executionCompleted"))
