"""A connected worker: what it has in hand, and how much of each history it keeps. No I/O."""

import asyncio
from dataclasses import dataclass, field

from local.sidecar.engine import Activity
from local.sidecar.store import Instance
from local.sidecar.wire import pb

MOST_WARM = 10_000  # instances whose cached history is remembered for a worker; any other gets its history in full


@dataclass(eq=False, slots=True)
class Worker:
    """One stream of work items."""

    caches: bool = False  # it keeps the histories it has replayed, and needs only what came since
    outbox: "asyncio.Queue[pb.WorkItem | None]" = field(default_factory=asyncio.Queue)
    turns: set[int] = field(default_factory=set)
    activities: set[Activity] = field(default_factory=set)
    _warm: dict[int, tuple[int, int]] = field(default_factory=dict)  # by instance: its run, and events of its history

    def holds(self, instance: Instance) -> int:
        """Give how many events of an instance's history the worker has from an earlier turn."""
        run, count = self._warm.get(instance.key, (0, 0))
        return count if run == instance.run else 0

    def has_replayed(self, instance: Instance, count: int) -> None:
        """Note how many events of an instance's history the worker has now; the longest unused entry goes first."""
        if not self.caches:
            return
        self._warm.pop(instance.key, None)
        self._warm[instance.key] = (instance.run, count)
        if len(self._warm) > MOST_WARM:
            del self._warm[next(iter(self._warm))]

    def forget(self, key: int) -> None:
        """Note that the worker keeps nothing of an instance."""
        self._warm.pop(key, None)
