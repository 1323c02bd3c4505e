"""One app-id: its workers, its callers that wait, and what its workers answer. Runs on the event loop alone.

An app's instances are its own, as in the runtime: another app's port doesn't find them.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from local.sidecar import errors, stall
from local.sidecar.dispatcher import Dispatcher, InFlight
from local.sidecar.engine import GONE, Activity
from local.sidecar.errors import StoreUnavailable
from local.sidecar.identifiers import actor_type
from local.sidecar.store import Instance, Reader
from local.sidecar.turn import Outcome, Turn, close_turn
from local.sidecar.wire import ENDED, PENDING, STALLED, pb
from local.sidecar.worker import Worker
from local.sidecar.writer import Operation

WAIT_FOR_WORKER = 5.0  # seconds; what the runtime's router allows for finding an actor
RETRY_AFTER = 1.0  # seconds until a turn or timer that could not be stored is tried again

Condition = Callable[[int], bool]


@dataclass(frozen=True)
class Core:
    """What all apps of a sidecar share."""

    reader: Reader
    now: Callable[[], int]  # nanoseconds after 1970 UTC, strictly increasing
    change: Callable[[Operation], Awaitable[Any]]  # carries out an operation durably


class App:
    """Any number of workers and callers of one app-id."""

    def __init__(self, app_id: str, core: Core) -> None:
        self.id = app_id
        self.reader = core.reader
        self.now = core.now
        self.change = core.change
        self.dispatcher = Dispatcher(core.reader, core.now, self._stall)
        self._waiters: dict[str, list[tuple[Condition, asyncio.Future[None]]]] = {}
        self._stopping = False
        self._retries: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End the streams and tell the callers that wait."""
        self._stopping = True
        self.dispatcher.dismiss()
        for waiters in self._waiters.values():
            for _, future in waiters:
                if not future.done():
                    future.set_exception(errors.stopping())

    def find(self, instance_id: str) -> Instance | None:
        """Give the app's instance of that id."""
        return self.reader.find(self.id, instance_id)

    async def need_worker(self, instance_id: str) -> None:
        """Wait a while for a worker, and refuse without one: what the runtime does for a caller that only waits."""
        if self.dispatcher.connected.is_set():
            return
        try:
            await asyncio.wait_for(self.dispatcher.connected.wait(), WAIT_FOR_WORKER)
        except TimeoutError:
            raise errors.no_worker(f"{actor_type(self.id)}/{instance_id}") from None

    async def need_worker_to_change(self, instance_id: str) -> None:
        """Wait a while for a worker, and refuse without one, in the words for a change."""
        try:
            await self.need_worker(instance_id)
        except errors.Refused as refusal:
            raise errors.Refused(refusal.code, errors.LOOKUP + refusal.text) from None

    async def await_worker(self) -> None:
        """Wait for a worker as long as the caller does."""
        await self.dispatcher.connected.wait()

    async def settle(self, instance_id: str, call: str = "method") -> None:
        """Wait while a worker tries to go on with what was stalled, and refuse if it stays so."""
        while (row := self.find(instance_id)) is not None and row.status == STALLED:
            attempt = self.dispatcher.attempt(row.key)
            if attempt is None:
                raise errors.stalled(instance_id, call)
            await attempt.wait()

    async def wait_for(self, instance_id: str, condition: Condition) -> None:
        """Return when an instance's status meets a condition, or the instance is purged."""
        row = self.find(instance_id)
        if row is not None and condition(row.status):
            return
        if self._stopping:
            raise errors.stopping()
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(instance_id, []).append(waiter)
        try:
            await waiter[1]
        finally:
            waiting = self._waiters[instance_id]
            waiting.remove(waiter)
            if not waiting:
                del self._waiters[instance_id]

    def notify(self, instance_id: str, status: int) -> None:
        """Wake the callers that wait for this status; every caller once the instance is purged."""
        for condition, future in self._waiters.get(instance_id, ()):
            if not future.done() and (status == GONE or condition(status)):
                future.set_result(None)

    def join(self, *, caches: bool = False) -> Worker:
        """Note that a worker has connected; it may be the one that stalled instances wait for."""
        self.dispatcher.ready(self.reader.with_status(self.id, STALLED))
        return self.dispatcher.join(caches=caches)

    def leave(self, worker: Worker) -> None:
        """Note that a worker is gone."""
        self.dispatcher.leave(worker)

    async def complete_turn(self, response: pb.WorkflowResponse) -> None:
        """Apply and store a worker's answer; one that comes late or twice is dropped."""
        row = self.find(response.instanceId)
        flight = self.dispatcher.claim(row.key, response.completionToken) if row else None
        if flight is None:
            return
        try:
            outcome = self._outcome(flight, response)
            if isinstance(outcome, Turn):
                self.dispatcher.go_on(flight, outcome)
            elif outcome.refused and self.dispatcher.refuse(flight):
                self.dispatcher.release(flight, again=True)
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
        outcome = close_turn(flight.turn, response, self.now(), self.id)
        if isinstance(outcome, Turn):
            return outcome
        return stall.by_activity(flight.turn, outcome, self.now()) or outcome

    def _after(self, flight: InFlight, outcome: Outcome) -> None:
        if outcome.stalled:
            self.dispatcher.stall(flight)
        else:
            self.dispatcher.finish(flight, ended=outcome.status in ENDED)

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
        self.dispatcher.release(flight, again=True)

    async def complete_activity(self, response: pb.ActivityResponse) -> None:
        """Store an activity's end; one that comes late or twice is dropped."""
        activity = self._activity(response)
        if activity is None:
            return
        try:
            await self.change(lambda engine: engine.end_activity(self.id, activity, response))
        except StoreUnavailable:
            self._later(self._retry_activity(activity))
            raise
        self.dispatcher.ended(activity)

    async def _retry_activity(self, activity: Activity) -> None:
        await asyncio.sleep(RETRY_AFTER)
        self.dispatcher.retry(activity)

    def _activity(self, response: pb.ActivityResponse) -> Activity | None:
        parts = response.completionToken.split(":")
        if len(parts) == 3 and all(part.isdigit() for part in parts):  # noqa: PLR2004 - key, run and task
            return int(parts[0]), int(parts[1]), int(parts[2])
        row = self.find(response.instanceId)
        return (row.key, row.run, response.taskId) if row else None

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)


def has_started(status: int) -> bool:
    """No longer waiting for its first turn."""
    return status != PENDING
