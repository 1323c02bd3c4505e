"""Joins the parts on one event loop: calls become operations of the writer, commits become work and wake-ups."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.sidecar import errors, schema, stall
from local.sidecar.clock import Clock
from local.sidecar.dispatcher import Dispatcher, InFlight
from local.sidecar.engine import GONE, Activity, Effects, Engine
from local.sidecar.errors import StoreUnavailable
from local.sidecar.identifiers import actor_type
from local.sidecar.store import Reader, Store
from local.sidecar.turn import Outcome, Turn, close_turn
from local.sidecar.wire import ENDED, PENDING, STALLED, pb
from local.sidecar.worker import Worker
from local.sidecar.writer import Operation, Writer

WAIT_FOR_WORKER = 5.0  # seconds; what the runtime's router allows for finding an actor
RETRY_AFTER = 1.0  # seconds until a turn or timer that could not be stored is tried again
LONGEST_SLEEP = 30.0  # seconds; a changed system clock is noticed after at most so long

Condition = Callable[[int], bool]


class Runtime:
    """One database, one writer, any number of workers and callers."""

    def __init__(self, path: Path, app_id: str) -> None:
        self.app_id = app_id
        self._clock = Clock()
        self.reader = Reader(schema.connect(path))
        database = schema.connect(path)
        engine = Engine(Store(database), self._clock, app_id)
        self._writer = Writer(path, database, engine, self._committed)
        self._dispatcher = Dispatcher(self.reader, self._clock.now, self._stall)
        self._waiters: dict[str, list[tuple[Condition, asyncio.Future[None]]]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._retries: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Take up what an earlier process left."""
        self._dispatcher.ready(self.reader.waiting_turns())
        self._dispatcher.run(self.reader.waiting_activities())
        self._set_alarm()

    def stop(self) -> None:
        """End the streams and tell the callers that wait."""
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        self._dispatcher.dismiss()
        for waiters in self._waiters.values():
            for _, future in waiters:
                if not future.done():
                    future.set_exception(errors.stopping())

    def close(self) -> None:
        """Write what is queued and close the file. Blocks."""
        self._writer.close()
        self.reader.close()

    def now(self) -> int:
        """Nanoseconds after 1970 UTC, strictly increasing."""
        return self._clock.now()

    async def change(self, operation: Operation) -> Any:
        """Carries out an operation durably."""
        if self._stopping:
            raise errors.stopping()
        return await asyncio.shield(self._writer.submit(operation))

    async def need_worker(self, instance_id: str) -> None:
        """Wait a while for a worker, and refuse without one: what the runtime does for a caller that only waits."""
        if self._dispatcher.connected.is_set():
            return
        try:
            await asyncio.wait_for(self._dispatcher.connected.wait(), WAIT_FOR_WORKER)
        except TimeoutError:
            raise errors.no_worker(f"{actor_type(self.app_id)}/{instance_id}") from None

    async def need_worker_to_change(self, instance_id: str) -> None:
        """Wait a while for a worker, and refuse without one, in the words for a change."""
        try:
            await self.need_worker(instance_id)
        except errors.Refused as refusal:
            raise errors.Refused(refusal.code, errors.LOOKUP + refusal.text) from None

    async def await_worker(self) -> None:
        """Wait for a worker as long as the caller does."""
        await self._dispatcher.connected.wait()

    async def settle(self, instance_id: str, call: str = "method") -> None:
        """Wait while a worker tries to go on with what was stalled, and refuse if it stays so."""
        while (row := self.reader.find(instance_id)) is not None and row.status == STALLED:
            attempt = self._dispatcher.attempt(row.key)
            if attempt is None:
                raise errors.stalled(instance_id, call)
            await attempt.wait()

    async def wait_for(self, instance_id: str, condition: Condition) -> None:
        """Return when an instance's status meets a condition, or the instance is purged."""
        row = self.reader.find(instance_id)
        if row is not None and condition(row.status):
            return
        if self._stopping:
            raise errors.stopping()
        waiter = (condition, self._loop.create_future())
        self._waiters.setdefault(instance_id, []).append(waiter)
        try:
            await waiter[1]
        finally:
            waiting = self._waiters[instance_id]
            waiting.remove(waiter)
            if not waiting:
                del self._waiters[instance_id]

    def join(self, *, caches: bool = False) -> Worker:
        """Note that a worker has connected; it may be the one that stalled instances wait for."""
        self._dispatcher.ready(self.reader.with_status(STALLED))
        return self._dispatcher.join(caches=caches)

    def leave(self, worker: Worker) -> None:
        """Note that a worker is gone."""
        self._dispatcher.leave(worker)

    async def complete_turn(self, response: pb.WorkflowResponse) -> None:
        """Apply and store a worker's answer; one that comes late or twice is dropped."""
        row = self.reader.find(response.instanceId)
        flight = self._dispatcher.claim(row.key, response.completionToken) if row else None
        if flight is None:
            return
        try:
            outcome = self._outcome(flight, response)
            if isinstance(outcome, Turn):
                self._dispatcher.go_on(flight, outcome)
            elif outcome.refused and self._dispatcher.refuse(flight):
                self._dispatcher.release(flight, again=True)
            else:
                await self.change(lambda engine: engine.commit_turn(flight.instance, flight.last, outcome))
                self._after(flight, outcome)
        except BaseException:
            self._later(self._release_again(flight))
            raise

    def _outcome(self, flight: InFlight, response: pb.WorkflowResponse) -> Outcome | Turn:
        refused = stall.by_version(flight.turn, response, self.now())
        if refused is not None:
            return refused
        outcome = close_turn(flight.turn, response, self.now(), self.app_id)
        if isinstance(outcome, Turn):
            return outcome
        return stall.by_activity(flight.turn, outcome, self.now()) or outcome

    def _after(self, flight: InFlight, outcome: Outcome) -> None:
        if outcome.stalled:
            self._dispatcher.stall(flight)
        else:
            self._dispatcher.finish(flight, ended=outcome.status in ENDED)

    def _stall(self, flight: InFlight) -> bool:
        outcome = stall.by_size(flight.turn, flight.instance.custom_status, self.now())
        if outcome is not None:
            self._later(self._commit_stall(flight, outcome))
        return outcome is not None

    async def _commit_stall(self, flight: InFlight, outcome: Outcome) -> None:
        with contextlib.suppress(StoreUnavailable, errors.Refused):  # the next worker or event brings it up again
            await self.change(lambda engine: engine.commit_turn(flight.instance, flight.last, outcome))

    async def _release_again(self, flight: InFlight) -> None:
        await asyncio.sleep(RETRY_AFTER)
        self._dispatcher.release(flight, again=True)

    async def complete_activity(self, response: pb.ActivityResponse) -> None:
        """Store an activity's end; one that comes late or twice is dropped."""
        activity = self._activity(response)
        if activity is None:
            return
        try:
            await self.change(lambda engine: engine.end_activity(activity, response))
        except StoreUnavailable:
            self._later(self._retry_activity(activity))
            raise
        self._dispatcher.ended(activity)

    async def _retry_activity(self, activity: Activity) -> None:
        await asyncio.sleep(RETRY_AFTER)
        self._dispatcher.retry(activity)

    def _activity(self, response: pb.ActivityResponse) -> Activity | None:
        parts = response.completionToken.split(":")
        if len(parts) == 3 and all(part.isdigit() for part in parts):  # noqa: PLR2004 - key, run and task
            return int(parts[0]), int(parts[1]), int(parts[2])
        row = self.reader.find(response.instanceId)
        return (row.key, row.run, response.taskId) if row else None

    def _later(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    def _committed(self, effects: Effects) -> None:
        self._dispatcher.forget(effects.gone)
        self._dispatcher.ready(effects.ready)
        self._dispatcher.run(effects.activities)
        self._dispatcher.pump()
        for instance_id, status in effects.changed.items():
            for condition, future in self._waiters.get(instance_id, ()):
                if not future.done() and (status == GONE or condition(status)):
                    future.set_result(None)
        if effects.timers:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        due = None if self._stopping else self.reader.next_timer()
        if due is not None:
            delay = due[0] + due[1] / 1e9 - time.time()
            self._alarm = self._loop.call_later(min(max(delay, 0), LONGEST_SLEEP), self._ring)

    def _ring(self) -> None:
        due = self.reader.next_timer()
        if due is None or due[0] * 1_000_000_000 + due[1] > time.time_ns():
            self._set_alarm()
        elif not self._stopping:
            self._later(self._fire())

    async def _fire(self) -> None:
        try:
            await self.change(lambda engine: engine.fire_timers())
        except (StoreUnavailable, errors.Refused):
            self._alarm = self._loop.call_later(RETRY_AFTER, self._ring)


def has_started(status: int) -> bool:
    """No longer waiting for its first turn."""
    return status != PENDING
