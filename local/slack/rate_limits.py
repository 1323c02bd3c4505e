"""Slack's rate limits: one posted message a second and channel, and so many calls a minute of each method."""

import math
from collections import defaultdict, deque

from local.slack.errors import RateLimitedError

POSTING = frozenset({"chat.postMessage"})


class RateLimits:
    """Counts calls; only used when the workspace was told to enforce limits."""

    def __init__(self) -> None:
        self._last_post: dict[str, float] = {}
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def count(self, method: str, channel: str, per_minute: int, now: float) -> None:
        """Count one call. Raises RateLimitedError with the seconds to wait."""
        if method in POSTING:
            self._count_post(channel, now)
            return
        calls = self._calls[method]
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= per_minute:
            raise RateLimitedError(max(1, math.ceil(calls[0] + 60 - now)))
        calls.append(now)

    def _count_post(self, channel: str, now: float) -> None:
        free_at = self._last_post.get(channel, -math.inf) + 1
        if now < free_at:
            raise RateLimitedError(max(1, math.ceil(free_at - now)))
        self._last_post[channel] = now
