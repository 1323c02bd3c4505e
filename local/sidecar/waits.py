"""Which event answers which wait: pure, from the history alone."""

from collections.abc import Sequence

from local.sidecar.wire import pb


def cancelled_timers(past: Sequence[pb.HistoryEvent], new: Sequence[pb.HistoryEvent]) -> Sequence[int]:
    """Give the timers of the waits that new events have answered: each takes the oldest open one of its name."""
    if not any(event.HasField("eventRaised") for event in new):
        return ()
    waits: dict[str, list[int]] = {}
    for event in past:
        _pair(waits, event)
    return tuple(timer for event in new if (timer := _pair(waits, event)) is not None)


def _pair(waits: dict[str, list[int]], event: pb.HistoryEvent) -> int | None:
    kind = event.WhichOneof("eventType")
    if kind == "timerCreated" and event.timerCreated.HasField("externalEvent"):
        waits.setdefault(event.timerCreated.externalEvent.name.upper(), []).append(event.eventId)
    elif kind == "timerFired":
        for open_waits in waits.values():
            if event.timerFired.timerId in open_waits:
                open_waits.remove(event.timerFired.timerId)
    elif kind == "eventRaised":
        open_waits = waits.get(event.eventRaised.name.upper(), [])
        return open_waits.pop(0) if open_waits else None
    return None
