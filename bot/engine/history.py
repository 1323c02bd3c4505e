"""An instance's history as values of ours: the SDK's types end here.

A history is read as events for people, as the payloads of its activities, or as the waits and attempts in it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dapr.ext.workflow._durabletask.internal import protos

from approvals.decision import APPROVAL_DECISION
from approvals.values import Moment, Value, in_utc
from bot.engine.decoding import ONE_MAILBOX

FAR = 9000
"""A timer of this year or later is the engine's way to say "for ever"."""

NOTHING = frozenset({"", "null", "false", "0", "0.0", '""', "[]", "{}"})
"""Payloads that a workflow receives as None (docs/explanation/dapr.md#an-empty-payload-arrives-as-nothing)."""


class EngineEvent(Value):
    """One event. A timer's text says which event it waits for; `payload` is the input or the result, as text."""

    at: Moment
    type: str
    name: str
    event_id: int | None
    text: str
    payload: str | None


class Wait(Value):
    """A wait for an event. `until` is None if it has no deadline, `answered_at` None while it is open."""

    name: str
    since: Moment
    until: Moment | None = None
    answered_at: Moment | None = None
    timed_out: bool = False

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return self.answered_at is None and not self.timed_out


class Raised(Value):
    """An event that reached the instance. `taken` says whether a wait in the history has had it."""

    name: str
    at: Moment
    empty: bool = False
    taken: bool = False


class Attempts(Value):
    """An activity that failed and is tried again, or that runs (`attempts` 0)."""

    activity: str
    since: Moment
    attempts: int = 0
    error: str = ""


class Timer(Value):
    """A plain timer that has not fired."""

    fires_at: Moment


class Suspension(Value):
    """A pause: by whom (from the audit) and since when. `times` counts pauses without a resume between them."""

    since: Moment
    by: str = ""
    why: str = ""
    times: int = 1


class HistoryFacts(Value):
    """The content of an engine's history."""

    waits: tuple[Wait, ...] = ()
    raised: tuple[Raised, ...] = ()
    timers: tuple[Timer, ...] = ()
    retrying: Attempts | None = None
    running: Attempts | None = None
    suspension: Suspension | None = None
    stalled: str = ""


class RecordedHistory:
    """The engine's records of one instance, oldest first."""

    def __init__(self, events: Sequence[protos.HistoryEvent] = ()) -> None:
        self._events = events

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each event, in Dapr's words."""
        return tuple(event.WhichOneof("eventType") or "" for event in self._events)

    def events(self) -> tuple[EngineEvent, ...]:
        """Return the events for people."""
        return tuple(_event(event) for event in self._events)

    def payloads(self) -> Iterator[Any]:
        """Give what went into the steps and came out of them; what is no JSON is left out."""
        for event in self._events:
            text = _payload(getattr(event, event.WhichOneof("eventType") or "", None))
            try:
                yield json.loads(text or "")
            except (ValueError, RecursionError):
                continue

    def gathered(self) -> HistoryFacts:
        """Return the waits, timers and attempts in it."""
        return gathered(self._events)


def _event(event: protos.HistoryEvent) -> EngineEvent:
    kind = event.WhichOneof("eventType") or "unknown"
    body = getattr(event, kind, None)
    text = ""
    if kind == "timerCreated":
        fires = in_utc(event.timerCreated.fireAt.ToDatetime())
        waits = event.timerCreated.externalEvent.name if event.timerCreated.HasField("externalEvent") else ""
        text = f"fires at {fires:%Y-%m-%d %H:%M:%S} UTC" + (f", waits for the event {waits}" if waits else "")
    failure = getattr(body, "failureDetails", None)
    if failure is not None and failure.errorMessage:
        text = f"{failure.errorType}: {failure.errorMessage}"
    return EngineEvent(
        at=in_utc(event.timestamp.ToDatetime()),
        type=kind[:1].upper() + kind[1:],
        name=str(getattr(body, "name", "") or ""),
        event_id=event.eventId if event.eventId >= 0 else None,
        text=text[:2000],
        payload=_payload(body),
    )


def _payload(body: object) -> str | None:
    for field in ("input", "result"):
        value = getattr(getattr(body, field, None), "value", "")
        if value:
            return str(value)
    return None


def gathered(events: Iterable[protos.HistoryEvent]) -> HistoryFacts:
    """Return the waits, timers and attempts of a history, its events in their order."""
    reader = _Reader()
    for event in events:
        reader.take(event)
    return reader.history()


class _Reader:
    """Pairs waits with events as the engine does: first in, first out for each name, without case."""

    def __init__(self) -> None:
        self._waits: dict[int, Wait] = {}
        self._raised: list[Raised] = []
        self._timers: dict[int, Timer] = {}
        self._tasks: dict[int, Attempts] = {}
        self._failed: dict[str, Attempts] = {}
        self._suspension: Suspension | None = None
        self._stalled = ""
        self._one_mailbox = False

    def take(self, event: protos.HistoryEvent) -> None:
        """Read one event."""
        kind, at = event.WhichOneof("eventType"), in_utc(event.timestamp.ToDatetime())
        match kind:
            case "executionStarted":
                self._one_mailbox = event.executionStarted.name in ONE_MAILBOX
            case "timerCreated":
                self._timer(event, at)
            case "timerFired":
                self._fired(event.timerFired.timerId)
            case "eventRaised":
                self._event(event.eventRaised, at)
            case "taskScheduled" | "taskCompleted" | "taskFailed":
                self._task(event, kind, at)
            case "executionSuspended":
                before = self._suspension
                times = before.times + 1 if before else 1
                self._suspension = Suspension(since=before.since if before else at, times=times)
            case "executionResumed":
                self._suspension = None
            case "executionStalled":
                self._stalled = event.executionStalled.description[:500]
            case _:
                pass

    def _timer(self, event: protos.HistoryEvent, at: Moment) -> None:
        timer = event.timerCreated
        far = timer.fireAt.seconds >= FAR_SECONDS
        fires = None if far else in_utc(timer.fireAt.ToDatetime())
        if timer.HasField("externalEvent"):
            self._waits[event.eventId] = Wait(name=timer.externalEvent.name, since=at, until=fires)
        elif fires is not None and not timer.HasField("activityRetry"):
            self._timers[event.eventId] = Timer(fires_at=fires)

    def _fired(self, timer_id: int) -> None:
        self._timers.pop(timer_id, None)
        wait = self._waits.get(timer_id)
        if wait is not None and wait.open:
            self._waits[timer_id] = wait.model_copy(update={"timed_out": True})

    def _event(self, raised: protos.EventRaisedEvent, at: Moment) -> None:
        empty = raised.input.value.strip() in NOTHING
        own = raised.name.casefold()
        wanted = APPROVAL_DECISION if self._one_mailbox else own  # it is handed all events as this one
        key = next((key for key, wait in self._waits.items() if wait.open and wait.name.casefold() == wanted), None)
        if key is not None:
            self._waits[key] = self._waits[key].model_copy(update={"answered_at": at})
        self._raised.append(Raised(name=raised.name, at=at, empty=empty, taken=key is not None and own == wanted))

    def _task(self, event: protos.HistoryEvent, kind: str, at: Moment) -> None:
        if kind == "taskScheduled":
            self._tasks[event.eventId] = Attempts(activity=event.taskScheduled.name, since=at)
        elif kind == "taskCompleted":
            done = self._tasks.pop(event.taskCompleted.taskScheduledId, None)
            if done is not None:
                self._failed.pop(done.activity, None)
        else:
            failed = self._tasks.pop(event.taskFailed.taskScheduledId, None)
            if failed is not None:
                before = self._failed.get(failed.activity, failed)
                details = event.taskFailed.failureDetails
                self._failed[failed.activity] = before.model_copy(
                    update={
                        "attempts": before.attempts + 1,
                        "error": f"{details.errorType}: {details.errorMessage}"[:500],
                    }
                )

    def history(self) -> HistoryFacts:
        """Return what was read."""
        running = list(self._tasks.values())
        failed = list(self._failed.values())
        return HistoryFacts(
            stalled=self._stalled,
            waits=tuple(self._waits.values()),
            raised=tuple(self._raised),
            timers=tuple(self._timers.values()),
            retrying=failed[-1] if failed else None,
            running=running[-1] if running else None,
            suspension=self._suspension,
        )


FAR_SECONDS = (FAR - 1970) * 31_556_952
