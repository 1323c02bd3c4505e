"""Signed checkpoints of the audit: at an interval and on demand, in the database and as files outside of it.

The key is derived from COUNTERSIGN_SECRET_KEY for this one purpose: the public key checks every
checkpoint and signs none.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from activities.slack.alarming import alarm
from approvals.audit_actions import AuditAction
from approvals.signing import KeyRing
from bot.control.reconciling.restoring import Restoration
from bot.process.periodic import Periodic
from records import audit, checkpoints, notifications
from records.chain import Checkpoint
from records.checkpoints import Signer
from records.database import Database
from records.errors import RecordsError, public_message

log = structlog.get_logger(__name__)


def signers_of(keys: KeyRing) -> list[Signer]:
    """Return the signers of all keys, the current one first."""
    return [Signer.from_seed(seed) for seed in keys.checkpoint_seeds()]


class TrustedKeys(Collection[bytes]):
    """The public keys whose checkpoints count: those of the ring as it is now."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def _now(self) -> list[bytes]:
        return [each.public_key for each in signers_of(self._keys)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._now())

    def __contains__(self, key: object) -> bool:
        return key in self._now()

    def __len__(self) -> int:
        return len(self._now())


class Checkpointing:
    """Takes checkpoints. Database administrators should not be able to write `folder`: else a file proves less."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        database: Database,
        signer: Callable[[], Signer],
        folder: Path | None,
        clock: Callable[[], datetime],
        every: float,
        *,
        restoration: Restoration,
    ) -> None:
        self._database = database
        self._signer = signer
        self._folder = folder
        self._clock = clock
        self._every = timedelta(seconds=every)
        self._restoration = restoration
        self._loop = Periodic("checkpoints", self._round, every, passing=(RecordsError, OSError), public=_why)

    @property
    def loop(self) -> Periodic:
        """Takes one now and then one each interval. A failure is logged and tried again sooner than that."""
        return self._loop

    async def _round(self) -> None:
        if await self._restoration.look() is None:  # else its files would mix two histories
            await self._tell_missing()
            await self.take()

    async def _tell_missing(self) -> None:
        """Tell operators and audit, once a day, of missing checkpoints: the next one would cover what was done."""
        signed, now = await self._restoration.signed(), self._clock()
        async with self._database.read() as connection:
            text = await checkpoints.missing(connection, signed, self._every)
        if not text:
            return
        log.error(text, what_to_do="docs/how-to/verify-the-audit.md")
        told = alarm(
            f"unsigned/{now:%Y-%m-%d}", f"{text} Compare the audit with the checkpoints that you keep elsewhere."
        )
        entry = audit.Entry(
            at=now, actor="system", action=AuditAction.AUDIT_UNSIGNED, reason=text, data={"signed": signed}
        )
        async with self._database.write() as connection:
            if await notifications.enqueue(connection, [told], now):
                await audit.append(connection, entry)

    async def take(self) -> Checkpoint | None:
        """Sign the chain's end unless that was done; write its file. None while the audit is empty.

        Raises: RecordsError; OSError if the folder cannot be written, and then the database has it nevertheless.
        """
        async with self._database.write() as connection:
            last = await checkpoints.take(connection, self._signer(), self._clock())
        if last is None or self._folder is None:
            return last
        async with self._database.read() as connection:
            kept = await checkpoints.kept(connection, limit=1)  # if one of this entry stood, that one counts
        await asyncio.to_thread(checkpoints.write, kept[0] if kept else last, self._folder)
        return last


def _why(error: Exception) -> str:
    """Return a failure's public message: no path."""
    if isinstance(error, OSError):
        return f"the folder of checkpoints cannot be written ({error.strerror})"
    return public_message(error)
