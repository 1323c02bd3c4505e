"""Deriving again what the engine claims, from sealed evidence and our own record; and the alarm if it does not follow.

Nothing is recorded as accepted, announced or done before it went through here (law: effects prove themselves).
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import structlog

from activities.inputs import RecordInput
from activities.recording import append_once
from activities.slack.failures import NonRetryableError
from activities.stepping import Steps
from approvals.audit_actions import AuditAction
from approvals.evidence import EARLY, Evidence, NotProvenError, TooEarlyError, demand_seal, derived, stepped
from approvals.signing import KeyRing
from approvals.state import State
from records import audit, instances
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)

REFUSED = (
    "What the workflow engine asked for does not follow from sealed evidence: {why}. Nothing was done. If nobody "
    "restored a database, a stranger has reached the sidecar's port."
)


class NotOnRecordError(Exception):
    """The request is not on record: it may be restored, so the activity is tried again."""


class Proven(NamedTuple):
    """A request's state by its evidence, with what is on record of it."""

    state: State
    row: instances.Instance


WAITS_S = 600.0
"""Seconds that one attempt waits for this machine's clock. The workflow's attempts add up to a week."""

EVIDENCE_LOOK_S = 0.5


class Prover:
    """Derives states. Raises: NonRetryableError after an alarm; NotOnRecordError and TooEarlyError, to try again."""

    def __init__(self, database: Database, keys: KeyRing, clock: Callable[[], datetime]) -> None:
        self._database = database
        self.keys = keys
        self._clock = clock
        self._stopping = False

    async def reached(self, early: TooEarlyError) -> None:
        """Wait until this machine's clock has nearly reached a moment, or has been set right; ten minutes at most.

        An attempt that failed at once would spend the workflow's retries within hours.
        """
        until = time.monotonic() + WAITS_S
        log.warning("this machine's clock is behind the engine's", moment=early.at.isoformat(), why=str(early))
        while early.at > self._clock() + EARLY and time.monotonic() < until:
            if self._stopping:
                raise asyncio.CancelledError  # without an answer the sidecar hands it out again
            await asyncio.sleep(EVIDENCE_LOOK_S)

    def stop(self) -> None:
        """Let nothing wait for the clock any longer in this process."""
        self._stopping = True

    def state(self, transaction: Transaction, evidence: Evidence, *, locked: bool = False) -> Proven:
        """Return where the request stands by its evidence. `locked`: to be written. Raises: NotProvenError as well."""
        demand_seal(self.keys, evidence)
        row = (instances.locked if locked else instances.get).on(transaction, evidence.instance_id)
        if row is None or row.state is None:
            raise NotOnRecordError(f"{evidence.instance_id} is not on record")
        state = derived(self.keys, evidence, row.state, self._clock())
        return Proven(_with_cards(state, row), row)

    def current(self, transaction: Transaction, evidence: Evidence) -> Proven:
        """Return where the request stands, if our record does not say otherwise. Raises: NotProvenError as well."""
        proven = self.state(transaction, evidence)
        _refuse_contradiction(proven.state, proven.row)
        return proven

    def steps(self, transaction: Transaction, what: RecordInput) -> Steps:
        """Return what follows from the new events. Raises: NotProvenError as well."""
        proven, now = self.state(transaction, what.evidence, locked=True), self._clock()
        found, state = [], proven.state
        for event in what.events:
            following = stepped(self.keys, state, event, now)
            found.append((following, event.at))
            state = following.state
        _refuse_contradiction(state, proven.row)
        return Steps(proven.state, tuple(found), state, proven.row.waiting_on, proven.row.callback is not None)

    async def refuse(self, evidence: Evidence, error: NotProvenError, where: str) -> NonRetryableError:
        """Raise the alarm for what does not follow: log, audit. Returns the error to raise."""
        log.error(
            "the engine asked for what is not proven", instance_id=evidence.instance_id, where=where, why=str(error)
        )
        now = self._clock()
        entry = audit.Entry(
            at=now,
            actor="sidecar",
            action=AuditAction.EVIDENCE_REFUSED,
            instance_id=evidence.instance_id,
            through="sidecar",
            reason=REFUSED.format(why=error),
            data={"step": where},
        )
        key = f"{where}/{evidence.opening[:16]}/{len(evidence.events)}/{error}"
        await self._database.transact(append_once, key, entry)
        return NonRetryableError(REFUSED.format(why=error))


def _with_cards(state: State, row: instances.Instance) -> State:
    return state.model_copy(update={"cards": row.cards}) if row.cards else state


def _refuse_contradiction(state: State, row: instances.Instance) -> None:
    """Our record is believed: what ended does not end differently, and nothing goes back."""
    if row.outcome is not None and row.outcome != state.outcome:
        raise NotProvenError(f"it has ended as {row.phase}, and this would end it otherwise")
    if row.state is not None and _progress(row.state) > _progress(state):
        raise NotProvenError("the record is further than this")


def _progress(state: State) -> tuple[int, ...]:
    return state.stage, state.taken_back, len(state.approvals), state.round, state.reminded
