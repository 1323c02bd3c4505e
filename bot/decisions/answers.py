"""Waiting for the workflow's answers to decisions: told in this process, by PostgreSQL, or found by one look for all.

However many wait, they cost one read at a time: a burst of clicks must not take the connections from the clicks.
"""

import asyncio
from contextlib import suppress

from approvals.decision import Verdict
from bot.process.periodic import NextRound, Periodic
from records import intake
from records.database import Database
from records.errors import RecordsError, public_message

ANSWERS_LOOK_S = 0.5
"""Seconds between polls for answers of other processes, while a caller waits."""

ANSWERS_PER_LOOK = 500
"""Decisions in one look."""

CHANNEL = "countersign_answers"
"""PostgreSQL's channel: a trigger sends each answered decision's id there."""


class Answers:
    """The answers that this process waits for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, asyncio.Future[Verdict]] = {}
        self._waiters: dict[str, int] = {}
        self._told = asyncio.Event()
        self._loop = Periodic("answers", self._round, ANSWERS_LOOK_S, passing=(RecordsError,), public=public_message)

    def answered(self, decision_id: str, verdict: Verdict) -> None:
        """Take an answer that stands in the database."""
        future = self._waiting.get(decision_id)
        if future is not None and not future.done():
            future.set_result(verdict)

    def on_notification(self, decision_id: str) -> None:
        """Poll now: another process has recorded an answer."""
        if decision_id in self._waiting:
            self._told.set()

    async def of(self, decision_id: str, seconds: float, *, look_first: bool) -> Verdict | None:
        """Return an answer; one to a repeated submission may stand in the database already."""
        if look_first:
            async with self._database.read() as connection:
                row = await intake.get(connection, decision_id)
            if row is not None and row.verdict is not None:
                return Verdict.model_validate(row.verdict)
        return await self.wait(decision_id, seconds)

    async def wait(self, decision_id: str, seconds: float) -> Verdict | None:
        """Wait for an answer; None if there is none yet after `seconds`."""
        future = self._waiting.setdefault(decision_id, asyncio.get_running_loop().create_future())
        self._waiters[decision_id] = self._waiters.get(decision_id, 0) + 1
        self._loop.start()
        try:
            await asyncio.wait({future}, timeout=seconds)
            return future.result() if future.done() else None
        finally:
            self._leave(decision_id)

    def _leave(self, decision_id: str) -> None:
        self._waiters[decision_id] -= 1
        if not self._waiters[decision_id]:
            del self._waiters[decision_id], self._waiting[decision_id]
        if not self._waiting:
            self._loop.cancel()

    @property
    def loop(self) -> Periodic:
        """Polls, while a caller waits."""
        return self._loop

    async def _round(self) -> NextRound:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERS_LOOK_S):
                await self._told.wait()
        self._told.clear()
        await self.look()
        return NextRound(in_s=0.0)  # the round itself waits

    async def look(self) -> None:
        """Read the answers of all who wait. Raises: RecordsError."""
        wanted = [decision_id for decision_id, future in self._waiting.items() if not future.done()]
        for start in range(0, len(wanted), ANSWERS_PER_LOOK):
            async with self._database.read() as connection:
                found = await intake.verdicts(connection, wanted[start : start + ANSWERS_PER_LOOK])
            for decision_id, verdict in found.items():
                self.answered(decision_id, Verdict.model_validate(verdict))
