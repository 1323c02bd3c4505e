"""The facts on which a diagnosis rests, and how they are read from an engine's history. Pure."""

from collections.abc import Sequence

from dapr.ext.workflow._durabletask.internal import protos

from approvals.statuses import Status
from approvals.values import Moment, Value, in_utc
from records.instances import Phase

FAR = 9000
"""A timer of this year or later is the engine's way to say "for ever"."""

NOTHING = frozenset({"", "null", "false", "0", "0.0", '""', "[]", "{}"})
"""Payloads that a workflow receives as None (docs/explanation/dapr.md#an-empty-payload-arrives-as-nothing)."""


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


class Elsewhere(Value):
    """The awaited event, raised at another instance's id. `unknown` if there is no such instance."""

    instance_id: str
    name: str
    at: Moment
    unknown: bool = False


class Refusal(Value):
    """A decision that did not count, with the sentence its sender was told."""

    at: Moment
    who: str
    sentence: str


class Unposted(Value):
    """The card that Slack does not take: in which channel, and since when."""

    channel: str
    since: Moment


class History(Value):
    """The content of an engine's history."""

    waits: tuple[Wait, ...] = ()
    raised: tuple[Raised, ...] = ()
    timers: tuple[Timer, ...] = ()
    retrying: Attempts | None = None
    running: Attempts | None = None
    suspension: Suspension | None = None
    stalled: str = ""


class Facts(Value):
    """The facts about an instance. `status` is None if the engine knows none; `phase` if no row is kept."""

    instance_id: str
    now: Moment
    status: Status | None = None
    phase: Phase | None = None
    name: str = ""
    names: tuple[str, ...] = ()
    worker_connected: bool = True
    asked_to_start_at: Moment | None = None
    starts: str = ""
    ended_at: Moment | None = None
    failure: str = ""
    history: History = History()
    deadline: Moment | None = None
    waiting_on: tuple[str, ...] = ()
    refused: Refusal | None = None
    unposted: Unposted | None = None
    undelivered_since: Moment | None = None
    late: tuple[Raised, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    near: tuple[str, ...] = ()

    @property
    def open_waits(self) -> tuple[Wait, ...]:
        """The waits that are open."""
        return tuple(wait for wait in self.history.waits if wait.open)


def read(events: Sequence[protos.HistoryEvent]) -> History:
    """Return what a history says, its events in their order."""
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

    def take(self, event: protos.HistoryEvent) -> None:
        """Read one event."""
        kind, at = event.WhichOneof("eventType"), in_utc(event.timestamp.ToDatetime())
        match kind:
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
        wanted = raised.name.casefold()
        key = next((key for key, wait in self._waits.items() if wait.open and wait.name.casefold() == wanted), None)
        if key is not None:
            self._waits[key] = self._waits[key].model_copy(update={"answered_at": at})
        self._raised.append(Raised(name=raised.name, at=at, empty=empty, taken=key is not None))

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

    def history(self) -> History:
        """Return what was read."""
        running = list(self._tasks.values())
        failed = list(self._failed.values())
        return History(
            stalled=self._stalled,
            waits=tuple(self._waits.values()),
            raised=tuple(self._raised),
            timers=tuple(self._timers.values()),
            retrying=failed[-1] if failed else None,
            running=running[-1] if running else None,
            suspension=self._suspension,
        )


FAR_SECONDS = (FAR - 1970) * 31_556_952
