"""Notices that the database was restored to an earlier moment, and holds effects until an operator has looked.

The newest signed checkpoint in COUNTERSIGN_CHECKPOINT_DIR says how far the audit once was. If the database is not that
far, or holds another entry there, it forgot decisions and effects: doing the rest of them may be doing them twice.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import structlog

from activities.slack.alarming import alarm
from approvals.audit_actions import AuditAction
from approvals.values import Value
from bot.process.correlation import correlation_id
from bot.process.periodic import NextRound, Periodic
from records import audit, checkpoints, notifications
from records.chain import Checkpoint
from records.database import Database
from records.errors import RecordsError, public_message

log = structlog.get_logger(__name__)

RESTORE_LOOK_S = 60.0
LOOK_WHILE_HELD_S = 1.0
RESTORE_PATIENCE_S = 600.0
"""Seconds that one attempt of an effect waits. The workflow's retries add up to days."""

HELD = (
    "The database is older than its signed checkpoints, so it was restored from a backup. Effects are held: nothing "
    "that was approved is processed or called back until an operator acknowledges it: countersign doctor "
    "--after-restore."
)
UNREADABLE = (
    "The folder of checkpoints cannot be read ({why}), so whether the database was restored is not known. Effects are "
    "held until it can be read again."
)


class EffectsHeldError(Exception):
    """An effect waits for an operator's acknowledgement of a restore. Trying again later is right."""


class Lost(Value):
    """What the database has lost: it ends at `seq`, and the checkpoint was signed for a later entry, or another one."""

    seq: int
    checkpoint: Checkpoint

    @property
    def sentence(self) -> str:
        """The finding for operators."""
        signed = self.checkpoint
        at = f"{signed.at:%Y-%m-%d %H:%M} UTC"
        if self.seq < signed.seq:
            what = f"ends at entry {self.seq}, and a checkpoint was signed for entry {signed.seq} on {at}"
        else:
            what = f"holds another entry {signed.seq} than the one that a checkpoint was signed for on {at}"
        return f"The database was restored from a backup, or is another one: its audit {what}. Effects are held."


class Restoration:
    """Compares folder and database. Without a folder nothing can be compared, and nothing is held."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        folder: Path | None,
        trusted: Collection[bytes],
        clock: Callable[[], datetime],
        look_s: float = RESTORE_LOOK_S,
        patience_s: float = RESTORE_PATIENCE_S,
    ) -> None:
        self._database = database
        self._folder = folder
        self._trusted = trusted
        self._clock = clock
        self._look_s = look_s
        self._patience_s = patience_s
        self._stopping = False
        self._unreadable = ""
        self._compared_once = False
        self._newest_file = 0
        self.lost: Lost | None = None
        self.loop = Periodic("restores", self._round, look_s, passing=(RecordsError,), public=public_message)

    # ---- looking ----------------------------------------------------------------------------------------------------

    @property
    def held(self) -> bool:
        """Whether effects wait."""
        return self.lost is not None or bool(self._unreadable)

    @property
    def message(self) -> str:
        """The public message: "ok", or that effects are held."""
        return HELD if self.lost is not None else self._unreadable or "ok"

    async def look(self) -> Lost | None:
        """Compare; log a new finding and notify the operators. Raises: RecordsError."""
        if self._folder is None:
            return None
        try:
            newest = await asyncio.to_thread(checkpoints.newest_in, self._folder, self._trusted)
        except OSError as error:
            if not self._compared_once:
                self._found(None, UNREADABLE.format(why=error.strerror))
            return self.lost  # what was true stays true while a disk is away
        self._compared_once = True
        self._newest_file = newest.seq if newest is not None else 0
        lost = None if newest is None else await self._compared(newest)
        if newest is None:
            await self._warn_if_emptied()
        # An older checkpoint than before is of the same restore: an operator sets them aside, the newest first.
        is_new = lost is not None and (self.lost is None or lost.checkpoint.seq > self.lost.checkpoint.seq)
        self._found(lost, "", is_new=is_new)
        if lost is not None and is_new:
            await self._tell(lost)
        return lost

    async def signed(self) -> int:
        """Return the newest entry with a checkpoint of a trusted key, in the database or the folder as last seen.

        0 if there is none. Raises: RecordsError.
        """
        async with self._database.read() as connection:
            kept = await checkpoints.kept(connection)
        trusted = tuple(self._trusted)
        newest = next((each.seq for each in kept if checkpoints.is_signed(each, trusted)), 0)
        return max(newest, self._newest_file)

    async def _round(self) -> NextRound:
        await self.look()
        return NextRound(in_s=LOOK_WHILE_HELD_S if self.held else self._look_s)

    async def _compared(self, newest: Checkpoint) -> Lost | None:
        async with self._database.read() as connection:
            head = await audit.head(connection)
            there = await audit.show(connection, newest.seq)
        if there is not None and there.hash == newest.hash:
            return None
        return Lost(seq=head.seq if head else 0, checkpoint=newest)

    async def _warn_if_emptied(self) -> None:
        async with self._database.read() as connection:
            kept = await checkpoints.kept(connection, limit=1)
        if kept:
            log.warning(
                "the folder of checkpoints holds none, and the database holds some: if the folder is not new, its "
                "files were taken away",
                newest_in_the_database=kept[0].seq,
            )

    def _found(self, lost: Lost | None, unreadable: str, *, is_new: bool = False) -> None:
        if lost is not None and is_new:
            log.error(lost.sentence, what_to_do="countersign doctor --after-restore")
        if unreadable and unreadable != self._unreadable:
            log.error(unreadable)
        if self.held and lost is None and not unreadable:
            log.info("effects are held no longer")
        self.lost, self._unreadable = lost, unreadable

    async def _tell(self, lost: Lost) -> None:
        text = (
            f"{lost.sentence} An operator reads docs/how-to/production.md and runs: countersign doctor --after-restore"
        )
        async with self._database.write() as connection:
            wanted = alarm(f"restored/{lost.checkpoint.hash}", text)
            await notifications.enqueue(connection, [wanted], self._clock())

    # ---- holding ----------------------------------------------------------------------------------------------------

    async def passed(self) -> None:
        """Wait until no effect is held. Raises: EffectsHeldError after `patience_s`, CancelledError at a stop."""
        until = time.monotonic() + self._patience_s
        while self.held:
            if self._stopping:
                raise asyncio.CancelledError  # without an answer the sidecar hands it out again
            if time.monotonic() > until:
                raise EffectsHeldError(self.message)
            await asyncio.sleep(0.2)

    def stop(self) -> None:
        """Let no effect wait any longer in this process."""
        self._stopping = True

    # ---- acknowledging ----------------------------------------------------------------------------------------------

    async def acknowledge(self, actor: str) -> tuple[Path, ...]:
        """Set aside the files of what is lost, audited, so that effects go on. Returns where they are now.

        Raises: RecordsError; OSError if the folder cannot be written: then they are still held.
        """
        lost = await self.look()
        if lost is None or self._folder is None:
            return ()
        aside = self._folder / f"lost-{self._clock():%Y%m%dT%H%M%SZ}"
        entry = audit.Entry(
            at=self._clock(),
            actor=actor,
            action=AuditAction.DOCTOR_RESTORE_ACKNOWLEDGED,
            through="cli",
            reason=lost.sentence,
            correlation_id=correlation_id(),
            data={
                "ended_at": lost.seq,
                "checkpoint": lost.checkpoint.seq,
                "hash": lost.checkpoint.hash,
                "folder": aside.name,
            },
        )
        async with self._database.write() as connection:
            await audit.append(connection, entry)
        moved = []
        while (lost := await self.look()) is not None:
            path = checkpoints.path_of(lost.checkpoint, self._folder)
            moved.append(await asyncio.to_thread(checkpoints.set_aside, path, aside))
        return tuple(moved)
