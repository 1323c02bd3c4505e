"""Hands turns and activities to the connected workers, and again when a worker drops. Runs on the event loop alone.

It remembers only what is ready or in flight; everything else stays in the database.
"""

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from local.sidecar.engine import Activity
from local.sidecar.store import Instance, Reader
from local.sidecar.turn import Turn, open_turn
from local.sidecar.wire import ENDED, pb
from local.sidecar.worker import Worker

MOST_TURNS = 128  # in flight at one worker: bounds the histories held in memory

Clock = Callable[[], int]


@dataclass(slots=True)
class InFlight:
    """A turn that a worker has."""

    instance: Instance
    turn: Turn
    last: int  # the last inbox row that the turn contains
    worker: Worker
    token: str
    committing: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Dispatcher:
    """At most one turn of an instance is out at any time; an activity is out with at most one worker."""

    def __init__(self, reader: Reader, now: Clock, stalls: Callable[[InFlight], bool]) -> None:
        self._reader = reader
        self._now = now
        self._stalls = stalls
        self._workers: list[Worker] = []
        self._ready: dict[int, None] = {}
        self._again: set[int] = set()
        self._busy: dict[int, InFlight] = {}
        self._activities: deque[Activity] = deque()
        self._running: dict[Activity, Worker] = {}
        self._refused: dict[int, set[Worker]] = {}  # by instance: the workers without its version or its patches
        self._epoch = uuid.uuid4().hex[:8]
        self._tokens = itertools.count(1)
        self.connected = asyncio.Event()

    def join(self, *, caches: bool = False) -> Worker:
        """Note that a worker has connected."""
        worker = Worker(caches)
        self._workers.append(worker)
        self.connected.set()
        self.ready(self._refused)
        self.pump()
        return worker

    def leave(self, worker: Worker) -> None:
        """Note that a worker is gone: what it had in hand is handed out again."""
        self._workers.remove(worker)
        if not self._workers:
            self.connected.clear()
        for refused in self._refused.values():
            refused.discard(worker)
        for key in worker.turns:
            flight = self._busy[key]
            if not flight.committing:
                del self._busy[key]
                flight.over.set()
                self._ready[key] = None
        for activity in worker.activities:
            del self._running[activity]
            self._activities.append(activity)
        self.pump()

    def dismiss(self) -> None:
        """End every stream, for a shutdown."""
        for worker in self._workers:
            worker.outbox.put_nowait(None)

    def ready(self, keys: Iterable[int]) -> None:
        """Note that these instances have events."""
        for key in keys:
            if key in self._busy:
                self._again.add(key)
            else:
                self._ready[key] = None

    def run(self, activities: Iterable[Activity]) -> None:
        """Note that these activities are to be run."""
        self._activities.extend(activities)

    def forget(self, keys: Iterable[int]) -> None:
        """Note that these instances were purged."""
        for key in keys:
            self._ready.pop(key, None)
            self._again.discard(key)
            self._refused.pop(key, None)
            flight = self._busy.pop(key, None)
            if flight is not None:
                flight.over.set()
                flight.worker.turns.discard(key)
            for worker in self._workers:
                worker.forget(key)

    def pump(self) -> None:
        """Hands out what is ready, as far as workers have room."""
        while self._activities and self._workers:
            self._send_activity(self._activities.popleft())
        while self._ready and any(len(worker.turns) < MOST_TURNS for worker in self._workers):
            key = next(iter(self._ready))
            del self._ready[key]
            self._send_turn(key)

    def _choose(self, instance: Instance) -> Worker | None:
        """Give the worker that is sent the least of the history, and among equals the one with the least to do."""
        willing = self._willing(instance.key)
        with_room = [worker for worker in willing if len(worker.turns) < MOST_TURNS]
        return max(with_room or willing, key=lambda one: (one.holds(instance), -len(one.turns)), default=None)

    def _willing(self, key: int) -> list[Worker]:
        refused = self._refused.get(key, ())
        return [worker for worker in self._workers if worker not in refused]

    def _send_activity(self, activity: Activity) -> None:
        event = self._reader.activity(*activity)
        instance = self._reader.get(activity[0])
        if event is None or instance is None or activity in self._running:
            return
        worker = min(self._workers, key=lambda one: len(one.activities))
        worker.activities.add(activity)
        self._running[activity] = worker
        task = event.taskScheduled
        request = pb.ActivityRequest(
            name=task.name,
            version=task.version if task.HasField("version") else None,
            input=task.input if task.HasField("input") else None,
            workflowInstance=pb.WorkflowInstance(instanceId=instance.id),
            taskId=event.eventId,
            taskExecutionId=task.taskExecutionId,
        )
        token = ":".join(map(str, activity))
        worker.outbox.put_nowait(pb.WorkItem(activityRequest=request, completionToken=token))

    def _send_turn(self, key: int) -> None:
        instance = self._reader.get(key)
        worker = self._choose(instance) if instance else None
        if instance is None or worker is None or instance.status in ENDED:
            return
        inbox = self._reader.inbox(key)
        batch = first_batch(inbox)
        if not batch:
            return
        if len(batch) < len(inbox):
            self._again.add(key)
        turn = open_turn(instance.id, self._reader.history(key), [event for _, event in batch], self._now())
        flight = InFlight(instance, turn, batch[-1][0], worker, "")
        if not self._stalls(flight):
            self._hand_out(flight)

    def _hand_out(self, flight: InFlight) -> None:
        flight.token = f"{self._epoch}.{next(self._tokens)}"
        flight.committing = False
        self._busy[flight.instance.key] = flight
        flight.worker.turns.add(flight.instance.key)
        work = pb.WorkItem(workflowRequest=_request(flight), completionToken=flight.token)
        flight.worker.outbox.put_nowait(work)

    def claim(self, key: int, token: str) -> InFlight | None:
        """Give the turn that an answer belongs to; None for an answer that comes late or twice."""
        flight = self._busy.get(key)
        if flight is None or flight.committing or (token and token != flight.token):
            return None
        flight.committing = True
        return flight

    def go_on(self, flight: InFlight, turn: Turn) -> None:
        """Hand out the next generation of what continued as new, to the same worker if it is still there."""
        flight.turn = turn
        if flight.worker in self._workers:
            self._hand_out(flight)
        else:
            self.release(flight, again=True)

    def refuse(self, flight: InFlight) -> bool:
        """Note that the worker can't go on with the instance; say whether another one is there to try."""
        self._refused.setdefault(flight.instance.key, set()).add(flight.worker)
        return bool(self._willing(flight.instance.key))

    def attempt(self, key: int) -> asyncio.Event | None:
        """Give what is set when the turn that a worker has of an instance is over; None if no worker has one."""
        flight = self._busy.get(key)
        return flight.over if flight is not None else None

    def stall(self, flight: InFlight) -> None:
        """Note that an instance waits for another worker, unless one has connected while that was stored."""
        self.release(flight, again=bool(self._willing(flight.instance.key)))

    def finish(self, flight: InFlight, *, ended: bool) -> None:
        """Note that a turn is stored; a worker keeps nothing of what has ended."""
        self._refused.pop(flight.instance.key, None)
        if ended:
            flight.worker.forget(flight.instance.key)
        self.release(flight)

    def release(self, flight: InFlight, *, again: bool = False) -> None:
        """Note that a turn is over; what came in meanwhile makes the next."""
        key = flight.instance.key
        flight.over.set()
        flight.worker.turns.discard(key)
        if self._busy.get(key) is flight:
            del self._busy[key]
            if again or key in self._again:
                self._ready[key] = None
        self._again.discard(key)
        self.pump()

    def ended(self, activity: Activity) -> None:
        """Note that an activity's result is stored."""
        worker = self._running.pop(activity, None)
        if worker is not None:
            worker.activities.discard(activity)

    def retry(self, activity: Activity) -> None:
        """Note that an activity's result could not be stored: it is run again."""
        self.ended(activity)
        self._activities.append(activity)
        self.pump()


def _request(flight: InFlight) -> pb.WorkflowRequest:
    """Make the request for a turn, without the events that the worker has from an earlier one."""
    turn, worker = flight.turn, flight.worker
    if turn.continued:
        worker.forget(flight.instance.key)
        return pb.WorkflowRequest(instanceId=turn.instance_id, newEvents=turn.new)
    held = worker.holds(flight.instance)
    worker.has_replayed(flight.instance, len(turn.past))
    cached = pb.CachedHistory(eventCount=held) if held else None
    past = turn.past[held:]
    return pb.WorkflowRequest(instanceId=turn.instance_id, pastEvents=past, newEvents=turn.new, cachedHistory=cached)


def first_batch(inbox: list[tuple[int, pb.HistoryEvent]]) -> list[tuple[int, pb.HistoryEvent]]:
    """Give the events of one turn: everything there is, but one fired timer at most, like the runtime's reminders."""
    timers = [place for place, (_, event) in enumerate(inbox) if event.HasField("timerFired")]
    return inbox[: timers[1]] if len(timers) > 1 else inbox
