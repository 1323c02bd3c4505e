"""What a history says about its instance: status, start, end. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from local.sidecar.wire import PENDING, RUNNING, STALLED, SUSPENDED, Timestamp, pb


@dataclass(slots=True)
class Fold:
    """What a history says about its instance."""

    start: pb.HistoryEvent | None = None
    end: pb.HistoryEvent | None = None
    first: Timestamp | None = None
    last: Timestamp | None = None
    suspended: bool = False
    stalled: bool = False

    def add(self, event: pb.HistoryEvent) -> None:
        """Take the next event into account."""
        kind = event.WhichOneof("eventType")
        if kind == "executionStarted":
            self.start = event
        elif kind == "executionCompleted":
            self.end = event
        elif kind == "executionSuspended":
            self.suspended = True
        elif kind == "executionResumed":
            self.suspended = False
        self.stalled = kind == "executionStalled"
        self.first = self.first or event.timestamp
        self.last = event.timestamp

    @property
    def status(self) -> int:
        """The instance's status as the SDK reads it."""
        if self.start is None:
            return STALLED if self.stalled else PENDING
        if self.end is not None:
            return int(self.end.executionCompleted.workflowStatus)
        if self.stalled:
            return STALLED
        return SUSPENDED if self.suspended else RUNNING


def fold(history: Iterable[pb.HistoryEvent]) -> Fold:
    """Read a history from its beginning."""
    seen = Fold()
    for event in history:
        seen.add(event)
    return seen
