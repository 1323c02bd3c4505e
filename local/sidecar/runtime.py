"""Joins the parts on one event loop: calls become operations of the writer, commits become work and wake-ups."""

import asyncio
import time
from pathlib import Path
from typing import Any

from local.sidecar import errors, schema
from local.sidecar.app import RETRY_AFTER, App, Core
from local.sidecar.clock import Clock
from local.sidecar.engine import Effects, Engine
from local.sidecar.errors import StoreUnavailable
from local.sidecar.store import Reader, Store
from local.sidecar.writer import Operation, Writer

LONGEST_SLEEP = 30.0  # seconds; a changed system clock is noticed after at most so long


class Runtime:
    """One database, one writer, any number of apps."""

    def __init__(self, path: Path) -> None:
        self.reader = Reader(schema.connect(path))
        clock, database = Clock(), schema.connect(path)
        self._writer = Writer(path, database, Engine(Store(database), clock), self._committed)
        self._core = Core(self.reader, clock.now, self.change)
        self._apps: dict[str, App] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._firing: asyncio.Task[None] | None = None

    def app(self, app_id: str) -> App:
        """Give an app by its id; one without workers keeps what it is to do until they come."""
        app = self._apps.get(app_id)
        if app is None:
            app = self._apps[app_id] = App(app_id, self._core)
        return app

    def resume(self) -> None:
        """Take up what an earlier process left."""
        for app_id, key in self.reader.waiting_turns():
            self.app(app_id).dispatcher.ready([key])
        for app_id, activity in self.reader.waiting_activities():
            self.app(app_id).dispatcher.run([activity])
        self._set_alarm()

    def stop(self) -> None:
        """End the streams and tell the callers that wait."""
        self._stopping = True
        if self._alarm is not None:
            self._alarm.cancel()
        for app in self._apps.values():
            app.stop()

    def close(self) -> None:
        """Write what is queued and close the file. Blocks."""
        self._writer.close()
        self.reader.close()

    async def change(self, operation: Operation) -> Any:
        """Carries out an operation durably."""
        if self._stopping:
            raise errors.stopping()
        return await asyncio.shield(self._writer.submit(operation))

    def _committed(self, effects: Effects) -> None:
        for app in self._apps.values():
            app.dispatcher.forget(effects.gone)
        for app_id, key in effects.ready:
            self.app(app_id).dispatcher.ready((key,))
        for app_id, activity in effects.activities:
            self.app(app_id).dispatcher.run((activity,))
        for app in self._apps.values():
            app.dispatcher.pump()
        for (app_id, instance_id), status in effects.changed.items():
            self.app(app_id).notify(instance_id, status)
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
            self._firing = self._loop.create_task(self._fire())

    async def _fire(self) -> None:
        try:
            await self.change(lambda engine: engine.fire_timers())
        except (StoreUnavailable, errors.Refused):
            self._alarm = self._loop.call_later(RETRY_AFTER, self._ring)
