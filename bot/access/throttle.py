"""Slows the guessing of credentials down. In memory: nothing here is worth a row."""

from collections import OrderedDict


class Throttle:
    """Slows failures down: after `allowed` of them a source waits, twice as long with each further one.

    In memory and per process, on purpose: 256 random bits are out of reach of guessing anyway, so this spares the
    database and the log, and a restart or a second process may forgive. The number of sources kept is bounded.
    """

    def __init__(
        self, *, allowed: int = 5, first_s: float = 1.0, longest_s: float = 300.0, sources: int = 10_000
    ) -> None:
        self._allowed, self._first_s, self._longest_s, self._sources = allowed, first_s, longest_s, sources
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, source: str, now_s: float) -> float:
        """Return for how many seconds a source is still refused (0: not at all). `now_s` is a monotonic clock's."""
        count, until = self._failures.get(source, (0, 0.0))
        return max(0.0, until - now_s) if count > self._allowed else 0.0

    def failed(self, source: str, now_s: float) -> None:
        """Count a failure. One that comes long after the last counts as the first."""
        count, until = self._failures.pop(source, (0, 0.0))
        count = 1 if until and now_s - until > self._longest_s else count + 1
        pause = min(self._longest_s, self._first_s * 2.0 ** min(count - self._allowed - 1, 32))
        self._failures[source] = (count, now_s + (pause if count > self._allowed else 0.0))
        if len(self._failures) > self._sources:
            self._failures.popitem(last=False)
