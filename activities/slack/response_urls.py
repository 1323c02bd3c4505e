"""The response_url of recent clicks, by which their people are answered (docs/explanation/slack.md).

Such an answer waits in no queue: Slack limits it to five in half an hour for each click, not by the minute for all. In
memory only: without one a person is told as before.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

GOOD_FOR_S: Final = 25 * 60.0
"""Slack takes one for 30 minutes."""

USES: Final = 4
"""Slack takes five; one is left for an answer whose first attempt was lost."""

MOST_RESPONSE_URLS: Final = 10_000


class _Kept(NamedTuple):
    url: str
    until: float
    left: int


class ResponseUrls:
    """The newest response_url of each person in each channel. No I/O."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}

    def keep(self, channel: str, user: str, url: str) -> None:
        """Remember a click's."""
        self._kept.pop((channel, user), None)
        self._kept[channel, user] = _Kept(url, self._clock() + GOOD_FOR_S, USES)
        if len(self._kept) > MOST_RESPONSE_URLS:
            del self._kept[next(iter(self._kept))]

    def take(self, channel: str, user: str) -> str | None:
        """Return one for an answer, None if there is none that is good."""
        found = self._kept.pop((channel, user), None)
        if found is None or found.until < self._clock():
            return None
        if found.left > 1:
            self._kept[channel, user] = found._replace(left=found.left - 1)
        return found.url
