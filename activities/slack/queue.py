"""Slack's rate limits, kept: one queue for each method and channel, served in turn by urgency and then by arrival.

Slack lets short bursts pass, so a queue sends at once until Slack answers 429. Then it stops for as long as Slack's
Retry-After says, and keeps to the documented pace (api.slack.com/apis/rate-limits) until there is nothing to hurry for.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum

from activities.slack.failures import SlackUnavailableError

POST = "chat.postMessage"
MINUTE_S = 60.0

PER_MINUTE = {"usergroups.list": 20, "usergroups.users.list": 20} | {
    "users.info": 100, "chat.postEphemeral": 100, "views.open": 100, "views.update": 100, "views.publish": 100
}  # fmt: skip
"""Calls a minute that Slack promises a workspace for each method; the rest are of tier 3."""

TIER_3 = 50

MARGIN_S = 0.02
"""Seconds above a limit: two calls may be on their way for different times."""

TRANSIT_S = 0.1
"""Seconds that Slack's own clock for a post may be behind its start. A slower answer holds the next one no longer."""

LEAD_S = 0.5
"""Seconds before its moment that a post gets its turn, so that what comes before the call costs the queue no time."""

CALM_S = 120.0
"""Seconds with an empty queue after which it sends at once again."""

MOST_QUEUES = 1_000
MOST_QUEUED = 1_000
"""Beginnings that are remembered for each method: more than any tier allows in a minute."""

SLACK_CALLS_AT_ONCE = 8
"""Calls of one method that are under way at the same time. Posts in a channel go one by one."""


class Urgency(IntEnum):
    """The priority in a queue: the smallest goes first."""

    CARD_UPDATE = 0
    ANSWER = 1
    TELLING = 2
    NEW_CARD = 3
    LOOK = 4


class MovedError(Exception):
    """The queue is part of another one now, where the waiter has to wait on."""


class Pace:
    """Until when calls of one method keep to the documented rate: from a 429 on, as long as there is a queue."""

    def __init__(self, *, spacing: float, per_minute: int) -> None:
        self.spacing = spacing
        self.per_minute = per_minute
        self.until = float("-inf")

    def keep(self, until: float) -> None:
        """Keep to it until then at least."""
        self.until = max(self.until, until)


class Queue:
    """The waiters of one method and channel."""

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock
        self._at_once = 1 if pace.spacing else SLACK_CALLS_AT_ONCE
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._under_way = 0
        self._begun: deque[float] = deque()
        self.not_before = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def stop(self, seconds: float) -> None:
        """Hold all calls for this many seconds after a 429 of Slack, then go on at the documented rate."""
        self.not_before = max(self.not_before, self._clock() + seconds)
        self._pace.keep(self.not_before + CALM_S)
        self._serve()

    def move(self) -> None:
        """Send all who wait to the queue that this one has become part of."""
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(MovedError())

    @property
    def spacing(self) -> float:
        """Seconds between two posts, 0 for a method whose calls are counted by the minute."""
        return self._pace.spacing

    @property
    def until_free(self) -> float:
        """Seconds until the next call may begin."""
        return max(0.0, self.not_before - self._clock())

    @property
    def waiting(self) -> int:
        """The number of calls that wait."""
        return sum(not future.done() for _, _, future in self._waiting)

    @property
    def idle(self) -> bool:
        """Whether the queue knows nothing that a new one would not."""
        return not self._waiting and not self._under_way and self.until_free == 0

    async def admit(self, place: tuple[Urgency, int], patience: float) -> None:
        """Wait for a turn, which ends with `let_go`. Raises SlackUnavailableError, MovedError."""
        if not self._waiting and self._pause() <= 0:
            self._begin()
            return
        if self.until_free > patience:
            raise SlackUnavailableError(f"Slack asked us to wait {self.until_free:.0f} s more.")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (*place, future))
        self._serve()
        try:
            async with asyncio.timeout(None if patience == float("inf") else patience):
                await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.let_go(float("-inf"))  # the turn came in the same moment, and nobody uses it
            self._waiting = [each for each in self._waiting if each[2] is not future]
            heapq.heapify(self._waiting)
            if isinstance(error, TimeoutError):
                raise SlackUnavailableError(f"There was no turn in Slack's queue within {patience:.0f} s.") from error
            raise

    def _serve(self) -> None:
        """Give the turn to the calls that may begin now, and schedule the next check."""
        while self._waiting:
            if self._waiting[0][2].done():
                heapq.heappop(self._waiting)
                continue
            pause = self._pause()
            if pause == float("inf"):
                return  # looked at again when one of those under way is done
            if pause > 0:
                self._look_again_in(pause)
                return
            future = heapq.heappop(self._waiting)[2]
            self._begin()
            future.set_result(None)

    def _look_again_in(self, pause: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause, self._serve)

    def _pause(self) -> float:
        """Return the seconds until the next call may begin; infinite while too many are under way."""
        if self._under_way >= self._at_once:
            return float("inf")
        now = self._clock()
        lead = LEAD_S if self.spacing else 0.0
        return max(self.not_before - lead, self._by_count(now)) - now

    def _by_count(self, now: float) -> float:
        if self.spacing or now > self._pace.until:
            return now
        while self._begun and self._begun[0] <= now - MINUTE_S - MARGIN_S:
            self._begun.popleft()
        if len(self._begun) < self._pace.per_minute:
            return now
        return self._begun[-self._pace.per_minute] + MINUTE_S + MARGIN_S

    def _begin(self) -> None:
        now = self._clock()
        self._under_way += 1
        if not self.spacing:
            self._begun.append(now)
            if len(self._begun) > MOST_QUEUED:
                self._begun.popleft()
        if self._waiting and now < self._pace.until:
            self._pace.keep(now + CALM_S)

    def let_go(self, began: float) -> None:
        """End a turn that began then. Slack counts a post from its arrival, which is before its answer."""
        now = self._clock()
        self._under_way -= 1
        if self.spacing and now < self._pace.until:
            pause = self.spacing + MARGIN_S + min(TRANSIT_S, now - began)
            self.not_before = max(self.not_before, began + pause)
        self._serve()


class Turn:
    """One call's turn. It ends once."""

    def __init__(self, queue: Queue, clock: Callable[[], float], key: str) -> None:
        self.key = key
        self._queue = queue
        self._clock = clock
        self._began = clock()
        self._over = False
        self._late: asyncio.TimerHandle | None = None

    @property
    def until_free(self) -> float:
        """Seconds until the call may be made, as this process knows it."""
        return self._queue.until_free

    @property
    def spacing(self) -> float:
        """Seconds between two posts; 0 for a method whose calls are counted by the minute."""
        return self._queue.spacing

    async def begins(self) -> None:
        """Wait for the very moment: the call is made now. From now on the next one waits its time."""
        while self._queue.spacing and (pause := self._queue.until_free) > 0:  # noqa: ASYNC110 a 429 may move the moment
            await asyncio.sleep(pause)
        self._began = self._clock()
        if self._queue.spacing:
            # A post that Slack is slow to answer does not hold the next one for longer than the pace asks.
            wait = self._queue.spacing + TRANSIT_S
            self._late = asyncio.get_running_loop().call_later(wait, self.end)

    def stop(self, seconds: float) -> None:
        """Let no call of this queue begin for this long."""
        self._queue.stop(seconds)

    def end(self) -> None:
        """Let the next one begin, if this turn has not ended before."""
        if self._late is not None:
            self._late.cancel()
        if not self._over:
            self._over = True
            self._queue.let_go(self._began)


class Queues:
    """All queues of one workspace. Only posts are limited by channel."""

    def __init__(self, posts_per_second: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spacing = 1 / posts_per_second
        self._arrivals = 0
        self._paces: dict[str, Pace] = {}
        self._queues: dict[tuple[str, str], Queue] = {}
        self._ids: dict[str, str] = {}

    def place(self, urgency: Urgency) -> tuple[Urgency, int]:
        """Return a new place behind all of the same urgency. A call that is made again keeps its own."""
        self._arrivals += 1
        return urgency, self._arrivals

    def of(self, method: str, channel: str) -> Queue:
        """Return the queue of a call."""
        key = method, self._place(method, channel)
        if key not in self._queues:
            self._forget_idle()
            self._queues[key] = Queue(self._pace(method), self._clock)
        return self._queues[key]

    @asynccontextmanager
    async def turn(self, method: str, channel: str, place: tuple[Urgency, int], patience: float) -> AsyncIterator[Turn]:
        """Wait at most `patience` seconds for a turn. Raises SlackUnavailableError when they are over."""
        queue = await self._admitted(method, channel, place, patience)
        turn = Turn(queue, self._clock, " ".join((method, self._place(method, channel))).strip())
        try:
            yield turn
        finally:
            turn.end()

    async def _admitted(self, method: str, channel: str, place: tuple[Urgency, int], patience: float) -> Queue:
        end = self._clock() + patience
        while True:
            queue = self.of(method, channel)
            try:
                await queue.admit(place, end - self._clock())
            except MovedError:
                continue
            return queue

    def learn(self, channel: str, found: str) -> None:
        """Keep a channel's id: it has one limit, by whichever name it is called."""
        if self._ids.get(channel, channel) == found:
            return
        named = self._queues.pop((POST, channel), None)
        self._ids[channel] = found
        if named is not None:
            own = self.of(POST, found)
            own.not_before = max(own.not_before, named.not_before)
            named.move()

    def _place(self, method: str, channel: str) -> str:
        return self._ids.get(channel, channel) if method == POST else ""

    def waiting(self) -> dict[str, int]:
        """Return how many wait, by method and channel."""
        return {" ".join(key).strip(): queue.waiting for key, queue in self._queues.items() if queue.waiting}

    def _pace(self, method: str) -> Pace:
        spacing = self._spacing if method == POST else 0.0
        return self._paces.setdefault(method, Pace(spacing=spacing, per_minute=PER_MINUTE.get(method, TIER_3)))

    def _forget_idle(self) -> None:
        """Each person's direct messages are a channel of their own, so there may be as many queues as people."""
        if len(self._queues) >= MOST_QUEUES:
            self._queues = {key: queue for key, queue in self._queues.items() if not queue.idle}
