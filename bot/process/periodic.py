"""Work that a process repeats for as long as it lives, supervised: a failure is logged, counted, retried and shown."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol, Self

import structlog

from approvals.values import Value
from records.errors import LeaseLostError

log = structlog.get_logger(__name__)

DOWN_AFTER: Final = 3
"""Failures in a row after which a loop counts as down."""

FIRST_BACK_OFF_S: Final = 0.5
"""The pause after a first failure: a loop that works once an hour is tried again at once as well."""

LONGEST_BACK_OFF_S: Final = 5.0
"""The longest pause after failures, unless the loop's own interval is longer."""

STUCK_AFTER_S: Final = 600.0
"""A single round that takes longer hangs: no query and no call of ours waits that long."""

STANDBY_S: Final = 0.5
"""Seconds between a standby's checks of its lease; a check costs no query."""

UNEXPECTED: Final = "an unexpected error, whose trace is in the log"


class LoopState(Value):
    """A loop's state. `failures` counts since the start, `in_a_row` since the last success; `why` is for operators."""

    name: str
    failures: int = 0
    in_a_row: int = 0
    why: str = ""
    stuck_s: float = 0.0

    @property
    def down(self) -> bool:
        """Whether it failed so often that operators must act."""
        return self.in_a_row >= DOWN_AFTER or self.stuck_s > 0

    @property
    def message(self) -> str:
        """Describe the problem for /readyz, without details that only operators may know."""
        if self.stuck_s > 0:
            return f"The loop '{self.name}' has been at one round for {self.stuck_s:.0f} s. Restart this process."
        if self.down:
            return f"The loop '{self.name}' has failed {self.in_a_row} times in a row: {self.why}. It is tried again."
        return "ok"


class LoopLease(Protocol):
    """What says whether this process does a job that one process at a time does (bot/process/leadership.py)."""

    @property
    def held(self) -> bool:
        """Whether it does."""

    def fenced(self) -> AbstractContextManager[None]:
        """Let nothing be written in this block once another process has the lease."""

    def worked(self, loop: str, *, down: bool) -> None:
        """Take note of a round."""


class NextRound(Value):
    """What a round returns that says itself when the next one is to come. A count that it returns is no pause."""

    in_s: float


Work = Callable[[], Awaitable[NextRound | int | None]]
"""A round's work. A count is for its other callers."""


class Periodic:
    """One loop. `work` may return a NextRound, else the next round comes after `every_s`.

    Failures of the kinds in `passing` (a part that is away) are logged by their message, all others with their trace.
    A loop that is `gentle` works a quarter of the time at most, however much there is to do.
    """

    def __init__(  # noqa: PLR0913 what a loop needs to know
        self,
        name: str,
        work: Work,
        every_s: float,
        *,
        passing: tuple[type[Exception], ...] = (),
        gentle: bool = False,
        public: Callable[[Exception], str] = str,
    ) -> None:
        self.name = name
        self._work = work
        self._every_s = every_s
        self._passing = passing
        self._gentle = gentle
        self._public = public
        self._failures = self._in_a_row = 0
        self._why = ""
        self._began: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._lease: LoopLease | None = None

    def led_by(self, lease: LoopLease) -> Self:
        """Run only while this process holds a lease: one process at a time does this work."""
        self._lease = lease
        return self

    @property
    def state(self) -> LoopState:
        """The loop's state."""
        at_it = 0.0 if self._began is None else time.monotonic() - self._began
        return LoopState(
            name=self.name,
            failures=self._failures,
            in_a_row=self._in_a_row,
            why=self._why,
            stuck_s=at_it if at_it > STUCK_AFTER_S else 0.0,
        )

    def start(self) -> None:
        """Begin, unless it runs."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """End it, in the middle of a round too."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def cancel(self) -> None:
        """End it without waiting."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        # A cancellation in the middle of a round may come out of it as another error, a query's, and be lost.
        while self._task is asyncio.current_task():
            pause = await self.once()
            if self._task is asyncio.current_task():
                await asyncio.sleep(pause)

    async def once(self) -> float:
        """Do one round, whatever comes of it. Returns the seconds until the next."""
        if self._lease is not None and not self._lease.held:
            self._in_a_row, self._why = 0, ""  # the leader says by now how it goes
            return min(self._every_s, STANDBY_S)
        self._began = began = time.monotonic()
        try:
            found = await self._led()
        except LeaseLostError as error:
            log.info("a loop's round ended early", loop=self.name, why=str(error))
            return min(self._every_s, STANDBY_S)
        except Exception as error:  # noqa: BLE001 the last resort of a loop that must go on
            return self._failed(error)
        finally:
            self._began = None
        self._worked()
        pause = found.in_s if isinstance(found, NextRound) else self._every_s
        return max(pause, 3 * (time.monotonic() - began)) if self._gentle else pause

    async def _led(self) -> NextRound | int | None:
        if self._lease is None:
            return await self._work()
        with self._lease.fenced():
            return await self._work()

    def _worked(self) -> None:
        if self._in_a_row >= DOWN_AFTER:
            log.info("a loop works again", loop=self.name, failures=self._in_a_row)
        self._in_a_row, self._why = 0, ""
        if self._lease is not None:
            self._lease.worked(self.name, down=False)

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self._in_a_row += 1
        longest = max(self._every_s, LONGEST_BACK_OFF_S)
        if self._lease is not None:
            self._lease.worked(self.name, down=self._in_a_row >= DOWN_AFTER)
        pause = min(longest, FIRST_BACK_OFF_S * 2.0 ** min(self._in_a_row - 1, 16))
        facts = {"loop": self.name, "in_a_row": self._in_a_row, "again_in_s": round(pause, 1)}
        if isinstance(error, self._passing):
            self._why = self._public(error).rstrip(".")
            log.warning("a loop's round failed", why=str(error), **facts)
        else:
            self._why = UNEXPECTED
            log.error("a loop's round failed unexpectedly", exc_info=error, **facts)
        return pause


class Loops:
    """All loops of a process."""

    def __init__(self, *loops: Periodic) -> None:
        self._loops = loops

    def start(self) -> None:
        """Begin all that run from the start to the end."""
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """End all."""
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    @property
    def states(self) -> tuple[LoopState, ...]:
        """The state of each loop."""
        return tuple(loop.state for loop in self._loops)

    @property
    def down(self) -> tuple[LoopState, ...]:
        """The loops that need an operator."""
        return tuple(state for state in self.states if state.down)
