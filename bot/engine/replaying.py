"""Replaying recorded histories on this program's workflows, before it is deployed. Reads only, and connects to nothing.

A waiting instance fails at its next turn if the code asks for another step than its history has, and no later code
mends it (docs/how-to/change-a-waiting-workflow.md). The replay finds that out while the old code still runs.
"""

import copy
import logging
from collections.abc import Sequence
from typing import Any

from dapr.ext.workflow import WorkflowRuntime
from dapr.ext.workflow._durabletask import worker
from dapr.ext.workflow._durabletask.internal import protos

from bot.engine.decoding import ONE_MAILBOX, begun_as, receive
from bot.engine.extensions import load
from bot.engine.worker import OURS, register, unnamed
from workflows.versions import APPROVALS, Versions

log = logging.getLogger("replay")


class HistoryReplay:
    """The SDK's own executor with the workflows that a worker of this program would register."""

    def __init__(self, approvals: Versions = APPROVALS) -> None:
        self._approvals = approvals
        self._runtime = WorkflowRuntime(host="127.0.0.1", port="1")
        register(self._runtime, approvals, load(OURS))

    def executed(
        self, instance_id: str, past: Sequence[protos.HistoryEvent], new: Sequence[protos.HistoryEvent]
    ) -> worker.ExecutionResults:
        """Return what this code asks for in the turn of `new`, after `past`, as a worker of ours would."""
        before, turn = _received(past, new, self._approvals)
        registry = getattr(self._runtime, "_WorkflowRuntime__worker")._registry  # noqa: B009, SLF001 private names
        return worker._OrchestrationExecutor(registry, log).execute(instance_id, before, turn)  # noqa: SLF001

    def problem(self, instance_id: str, history: Sequence[protos.HistoryEvent]) -> str:
        """Return why a waiting instance could not go on with this code, empty if it can."""
        turn = protos.HistoryEvent(workflowStarted=protos.WorkflowStartedEvent())
        turn.timestamp.GetCurrentTime()
        asked = self.executed(instance_id, history, [turn]).actions
        return "; ".join(_said(action) for action in asked)


def version_of(history: Sequence[protos.HistoryEvent], approvals: Versions = APPROVALS) -> str:
    """Return the version with which an instance began."""
    past, _ = _received(history, (), approvals)
    started = (event.workflowStarted for event in past if event.HasField("workflowStarted"))
    return next((turn.version.name for turn in started), "")


def _received(
    past: Sequence[protos.HistoryEvent], new: Sequence[protos.HistoryEvent], approvals: Versions
) -> tuple[list[protos.HistoryEvent], list[protos.HistoryEvent]]:
    before, turn = [[copy.deepcopy(event) for event in events] for events in (past, new)]
    receive(before, turn, unnamed(approvals), begun_as((*before, *turn)) in ONE_MAILBOX)
    return before, turn


def _said(action: Any) -> str:
    """Say what is wrong with an action: a replay of a history that waits asks for nothing."""
    if action.HasField("workflowVersionNotAvailable"):
        return "its version is not in this program"
    if action.HasField("completeWorkflow"):
        failure = action.completeWorkflow.failureDetails.errorMessage
        return f"it would fail: {failure[:300]}" if failure else "it would end"
    if action.HasField("scheduleTask"):
        return f"it would ask for {action.scheduleTask.name}, which its history does not have"
    return f"it would ask for {(action.WhichOneof('workflowActionType') or 'a step')}, which its history does not have"
