"""Leader leases: each job that one process at a time does is held here, renewed, and handed back at the end.

A leader that dies or is cut off loses its jobs when their time is over; one whose loops keep failing (its own sidecar
is away) gives them to any process that is fit. A leader that was frozen writes nothing after it has lost them: its
writes look at the lease in their own transaction (records/fencing.py).
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.process.periodic import Periodic
from records import fencing, leaders
from records.database import Database
from records.errors import LeaseLostError, RecordsError, public_message

log = structlog.get_logger(__name__)

UNFIT_S: Final = 60.0
"""How long a process that failed at a job leaves it to others, if there are any."""

LEASES_HAND_BACK_S: Final = 2.0
"""How long the end waits for a database that does not answer; the lease then ends by itself."""


class Job(StrEnum):
    """The jobs that one process at a time does."""

    RECONCILER = "reconciler"
    CARDS = "cards"
    CHECKPOINTS = "checkpoints"
    PRUNING = "pruning"
    RETENTION = "retention"
    FIGURES = "figures"
    REACH = "reach"


class Lease:
    """One job, as this process knows it."""

    def __init__(self, job: Job, holder: str) -> None:
        self.job = job
        self._holder = holder
        self._term: int | None = None
        self._until = float("-inf")
        self._unfit_until: dict[str, float] = {}

    @property
    def held(self) -> bool:
        """Whether this process leads the job, as far as it can know without asking the database."""
        return self._term is not None and time.monotonic() < self._until

    @property
    def fit(self) -> bool:
        """Whether none of the job's loops has failed here lately."""
        return time.monotonic() >= max(self._unfit_until.values(), default=float("-inf"))

    def fenced(self) -> AbstractContextManager[None]:
        """Let nothing be written in this block once the term is over that stands now."""
        term = self._term

        async def fence(connection: AsyncConnection) -> None:
            if term is None or not await leaders.leads(connection, self.job, self._holder, term):
                self.set(None, 0)
                message = f"Another process leads the job '{self.job}' by now. This one wrote nothing and stands by."
                raise LeaseLostError(message)

        return fencing.fenced(fence)

    def worked(self, loop: str, *, down: bool) -> None:
        """Note how a loop's round went: a process whose loop is down gives the job to others."""
        if down:
            self._unfit_until[loop] = time.monotonic() + UNFIT_S
        else:
            self._unfit_until.pop(loop, None)

    def set(self, term: int | None, until: float) -> None:
        """Note what the database says; `until` by the monotonic clock."""
        if (term is None) != (self._term is None):
            log.info("this process leads a job" if term else "this process leads a job no more", job=self.job)
        self._term, self._until = term, until


class Leadership:
    """All leases of this process. `length_s`: how long a leader that died is waited for."""

    def __init__(self, database: Database, clock: Callable[[], datetime], length_s: float) -> None:
        self._database = database
        self._clock = clock
        self._length = timedelta(seconds=length_s)
        self._holder = secrets.token_hex(8)
        self._other_until = float("-inf")
        self._leases = {job: Lease(job, self._holder) for job in Job}
        self.loop = Periodic("leases", self.round, length_s / 3, passing=(RecordsError,), public=public_message)

    def lease(self, job: Job) -> Lease:
        """Return the lease of a job."""
        return self._leases[job]

    @property
    def held(self) -> Mapping[Job, bool]:
        """Whether this process leads each job."""
        return {job: lease.held for job, lease in self._leases.items()}

    @property
    def another_is_fit(self) -> bool:
        """Whether another process leads a job and does not fail at it, as far as the last round knows."""
        return time.monotonic() < self._other_until

    async def round(self) -> None:
        """Renew what is held, take what is free. Writes nothing if neither is the case."""
        began = time.monotonic()
        async with self._database.read() as connection:
            now = await leaders.moment(connection, self._clock())
            known = {each.job: each for each in await leaders.all_of(connection)}
        others = [each.until for each in known.values() if each.holder not in {"", self._holder} and each.fit]
        self._other_until = began + max(((until - now).total_seconds() for until in others), default=float("-inf"))
        wanted = [each for each in self._leases.values() if self._concerns(known.get(each.job), each, now)]
        terms: dict[Job, int | None] = {}
        if wanted:
            async with self._database.write() as connection:
                now = await leaders.moment(connection, self._clock())
                for each in wanted:
                    terms[each.job] = await leaders.take(
                        connection, each.job, self._holder, now, self._length, fit=each.fit
                    )
        for job, lease in self._leases.items():
            lease.set(terms.get(job), began + self._length.total_seconds())

    def _concerns(self, known: leaders.Leader | None, lease: Lease, now: datetime) -> bool:
        if known is not None and known.holder == self._holder:
            return True
        return leaders.is_free(known, self._holder, now, self._length, fit=lease.fit)

    async def hand_back(self) -> None:
        """Give up all jobs, so that another process has them at once; what is under way writes nothing more."""
        await self.loop.stop()
        held = [job for job, lease in self._leases.items() if lease.held]
        for lease in self._leases.values():
            lease.set(None, 0)
        if not held:
            return
        try:
            async with asyncio.timeout(LEASES_HAND_BACK_S), self._database.write() as connection:
                await leaders.hand_back(connection, held, self._holder)
        except (RecordsError, TimeoutError) as error:
            log.warning("jobs are not handed back; their leases end by themselves", jobs=held, why=str(error))
