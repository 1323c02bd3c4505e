"""Retention: what ended long ago is forgotten as a purge forgets it, with one entry in the audit for each sweep.

As the laws say of a purge, the engine's history and the personal data go; that something was decided stays, in the row
and in the audit.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from approvals.audit_actions import AuditAction
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.process.periodic import Periodic
from records import audit, instances, reconciling
from records.database import Database
from records.errors import RecordsError, public_message

log = structlog.get_logger(__name__)

FORGOTTEN_PER_ROUND = 25
"""Requests purged in one transaction, for which all writers wait."""

LONGEST_S = 3600.0
SHORTEST_S = 1.0


class Retention:
    """Forgets what ended longer than `keep` ago. A card that lags behind is repaired first, and forgotten later."""

    def __init__(
        self, database: Database, engine: Engine, clock: Callable[[], datetime], keep: timedelta | None
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._keep = keep
        passing = (EngineUnavailableError, EngineRefusedError, RecordsError)
        every = LONGEST_S if keep is None else min(LONGEST_S, max(SHORTEST_S, keep.total_seconds() / 10))
        self.loop = Periodic("retention", self._round, every, passing=passing, public=_public)

    async def _round(self) -> None:
        await self.sweep()

    async def sweep(self) -> int:
        """Forget what is due; returns how many requests. The audit says what will go before it goes."""
        if self._keep is None:
            return 0
        before = self._clock() - self._keep
        async with self._database.read() as connection:
            due = await reconciling.count_over(connection, before)
        if not due:
            return 0
        async with self._database.write() as connection:
            await audit.append(connection, self._summary(before, due))
        gone, after = 0, (datetime.min.replace(tzinfo=before.tzinfo), "")
        while True:
            async with self._database.read() as connection:
                found = await reconciling.over(connection, before, after=after, limit=FORGOTTEN_PER_ROUND)
            if not found:
                break
            gone += await self._forget(tuple(instance_id for _, instance_id in found))
            after = found[-1]
            await asyncio.sleep(0.02)  # others write as well
        log.info("requests that ended long ago are forgotten", requests=gone, due=due, ended_before=before)
        return gone

    async def _forget(self, instance_ids: Sequence[str]) -> int:
        purged = await asyncio.gather(*(self._purge(each) for each in instance_ids))
        gone = 0
        async with self._database.write() as connection:
            for instance_id, done in zip(instance_ids, purged, strict=True):
                gone += done and await instances.forget(connection, instance_id, self._clock())
        return gone

    async def _purge(self, instance_id: str) -> bool:
        """Let the engine forget an instance. False for one that runs again, or that the engine keeps."""
        state = await self._engine.state(instance_id, payloads=False)
        if state is None:
            return True  # by the engine's own retention, or by a hand
        if not state.finished:
            return False
        try:
            await self._engine.purge(instance_id)
        except EngineRefusedError as error:
            log.warning("the engine does not forget an instance", instance_id=instance_id, why=str(error))
            return False
        return True

    def _summary(self, before: datetime, due: int) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor="system",
            action=AuditAction.RETENTION_SWEPT,
            through="retention",
            data={"ended_before": before.isoformat(), "requests": due},
        )


def _public(error: Exception) -> str:
    return public_message(error) if isinstance(error, RecordsError) else "the workflow engine does not answer"
