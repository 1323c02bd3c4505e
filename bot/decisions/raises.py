"""Whether decisions reach their workflows now, for operators and the loop that delivers them."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import structlog

from bot.engine.client import EngineRefusedError, EngineUnavailableError

log = structlog.get_logger(__name__)

SLOW_RAISE_S = 3.0
"""A raise takes milliseconds. One that takes longer is shown before its own deadline ends it."""

ALONE_S = 120.0
"""An instance that takes no raise for this long has a problem of its own."""


class Raises:
    """Whether decisions reach workflows now: raises in flight, and failures since the last success."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._said = False

    @contextmanager
    def slot(self, instance_id: str) -> Iterator[None]:
        """Watch one raise. Only an engine that is away counts: a refusal is about one instance."""
        now = self._clock()
        self._under_way.setdefault(instance_id, now)
        slow = asyncio.get_running_loop().call_later(SLOW_RAISE_S, self._say)
        try:
            yield
        except EngineUnavailableError:
            self._say()
            self._failed.setdefault(instance_id, now)
            raise
        except EngineRefusedError:
            self._failed.pop(instance_id, None)
            raise
        else:
            self._failed.clear()
            self._said = False
        finally:
            slow.cancel()
            self._under_way.pop(instance_id, None)

    @property
    def failing(self) -> frozenset[str]:
        """The instances whose last raise failed since one arrived."""
        return frozenset(self._failed)

    def settled(self, instance_ids: Collection[str]) -> None:
        """Forget their failures: another process delivered, or the raise that timed out was kept and counted."""
        for each in instance_ids:
            self._failed.pop(each, None)
        self._said = self._said and bool(self._failed or self._under_way)

    def _say(self) -> None:
        """Log it once, until a raise arrives: a raise that hangs fails only at its deadline."""
        if not self._said:
            log.error("decisions do not reach their workflows")
        self._said = True

    @property
    def trouble_s(self) -> float:
        """For how many seconds no raise has arrived while some should have; 0 while all is well."""
        now = self._clock()
        slow = [began for began in self._under_way.values() if now - began > SLOW_RAISE_S]
        return max((now - began for began in (*slow, *self._failed.values())), default=0.0)

    @property
    def everywhere(self) -> bool:
        """Whether that concerns more than one instance that is ill by itself."""
        return self.trouble_s > 0 and (len({*self._failed, *self._under_way}) > 1 or self.trouble_s < ALONE_S)

    @property
    def message(self) -> str:
        """Say it to operators."""
        if self.trouble_s == 0:
            return "ok"
        return (
            f"No decision has reached its workflow for {self.trouble_s:.0f} s. They are kept and tried again: look "
            "whether the sidecar, its placement and its scheduler run."
        )
