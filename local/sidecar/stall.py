"""When an instance must wait for another worker instead of going on: pure. A stalled turn consumes nothing.

The runtime stalls rather than fails if a new deployment can mend things: the version that an instance runs on is
not registered, the code has lost a patch that history relied on, or the history no longer fits into a message.
"""

from collections.abc import Iterable
from dataclasses import replace

from local.sidecar import events
from local.sidecar.turn import Outcome, Turn, continues
from local.sidecar.wire import MAX_MESSAGE, STALLED, pb

_LARGEST = MAX_MESSAGE * 95 // 100  # bytes of events in one work item; the rest is for what comes around them
_TOO_LARGE = (
    f"bytes exceeds 95% of max gRPC body size {MAX_MESSAGE} bytes; increase daprd --max-body-size and restart to resume"
)


def by_size(turn: Turn, custom_status: str | None, now: int) -> Outcome | None:
    """Stall a turn that the runtime could not send."""
    size = sum(event.ByteSize() for event in (*turn.past, *turn.new[1:]))
    if size <= _LARGEST:
        return None
    text = f"Workflow payload size {size} {_TOO_LARGE}"
    return _stall(turn, now, pb.PAYLOAD_SIZE_EXCEEDED, text, custom_status)


def by_activity(turn: Turn, outcome: Outcome, now: int) -> Outcome | None:
    """Stall a turn that asks for an activity which the runtime could not send."""
    for event in outcome.activities:
        size = event.ByteSize()
        if size > _LARGEST:
            name = f"{event.taskScheduled.name}::{event.eventId}"
            text = f"activity '{name}' payload {size} {_TOO_LARGE}: activity payload exceeds max gRPC body size"
            return _stall(turn, now, pb.PAYLOAD_SIZE_EXCEEDED, text, outcome.custom_status)
    return None


def by_version(turn: Turn, response: pb.WorkflowResponse, now: int) -> Outcome | None:
    """Stall a turn whose worker lacks the version or the patches that the history was made with."""
    custom = response.customStatus.value if response.HasField("customStatus") else None
    if any(action.HasField("workflowVersionNotAvailable") for action in response.actions):
        name = next((e.workflowStarted.version.name for e in turn.past if e.HasField("workflowStarted")), "")
        text = f"Version not available: {name}"
        return replace(_stall(turn, now, pb.VERSION_NOT_AVAILABLE, text, custom), refused=True)
    known, current = _patches(turn.past), list(response.version.patches)
    if current[: len(known)] != known and not any(map(continues, response.actions)):
        text = f"Patch mismatch. History patches: [{', '.join(known)}], current patches: [{', '.join(current)}]. "
        return replace(_stall(turn, now, pb.PATCH_MISMATCH, text, custom), refused=True)
    return None


def _patches(past: Iterable[pb.HistoryEvent]) -> list[str]:
    return [patch for e in past if e.HasField("workflowStarted") for patch in e.workflowStarted.version.patches]


def _stall(turn: Turn, now: int, reason: pb.StalledReason.ValueType, text: str, custom: str | None) -> Outcome:
    last = turn.past[-1] if turn.past else None
    said = last is not None and last.executionStalled.description == text
    history = [] if said else [events.stalled(now, reason, text)]
    return Outcome(status=STALLED, custom_status=custom, history=history, stalled=True)
