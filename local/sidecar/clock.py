"""The sidecar's clock: nanoseconds after 1970 UTC, each reading later than the one before. Holds no other state."""

import threading
import time


class Clock:
    """Strictly increasing, so that two events never carry the same moment."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def now(self) -> int:
        """Nanoseconds after 1970 UTC."""
        with self._lock:
            self._last = max(time.time_ns(), self._last + 1)
            return self._last
