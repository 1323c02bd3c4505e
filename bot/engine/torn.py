"""Instances whose history the engine has torn and cannot read any more (docs/explanation/dapr.md#a-torn-turn)."""

import time
from collections.abc import Callable

TORN_FOR_GOOD_S = 30.0
"""A hole that is there for so long stays: what the engine still has in memory is written within seconds."""


class Torn:
    """Since when reads of an instance have failed, without one that worked in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def for_good(self, instance_id: str) -> bool:
        """Note a failed read, and return whether the instance is lost."""
        now = self._clock()
        return now - self._since.setdefault(instance_id, now) >= TORN_FOR_GOOD_S

    def read(self, instance_id: str) -> None:
        """Note a read that worked."""
        self._since.pop(instance_id, None)


def is_torn(text: str) -> bool:
    """Return whether an engine's error says that a part of an instance's history is missing."""
    return "declared in metadata" in text and "missing from state store" in text
