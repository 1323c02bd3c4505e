"""Write one step of the machine in one transaction: read model, audit, the intake's answers, notifications."""

from collections.abc import Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.inputs import Recorded
from activities.recording import OURS, entry, entry_key, projection
from activities.telling import notifications_of
from approvals.audit_actions import AuditAction
from approvals.decision import Decision
from approvals.evidence import Stepped
from approvals.judgement import NOBODY_KNOWN
from approvals.machine import Announce, Answer, Record, Remind, State
from approvals.values import Moment
from records import audit, instances, intake, notifications, sent

log = structlog.get_logger(__name__)


class Steps(NamedTuple):
    """The result of new events: the state before them, each step with its moment, and the state after them."""

    before: State
    each: tuple[tuple[Stepped, Moment], ...]
    after: State

    @property
    def records(self) -> tuple[Recorded, ...]:
        """The records of the steps, in order."""
        return tuple(
            Recorded(state=stepped.state, effect=effect, at=at)
            for stepped, at in self.each
            for effect in stepped.effects
            if isinstance(effect, Record)
        )

    @property
    def answered(self) -> tuple[str, ...]:
        """The ids of the decisions that are answered."""
        return tuple(each.effect.decision.id for each in self.records if each.effect.decision is not None)

    @property
    def tellings(self) -> tuple[tuple[State, Announce | Remind | Answer], ...]:
        """The notifications of the steps, each with the state that it is about."""
        return tuple(
            (stepped.state, effect)
            for stepped, _ in self.each
            for effect in stepped.effects
            if isinstance(effect, Announce | Remind | Answer)
        )


async def write_step(connection: AsyncConnection, steps: Steps, at: Moment) -> Sequence[notifications.Row]:
    """Write all that the steps mean; returns the new notifications. Writing it again changes nothing."""
    records, after = steps.records, steps.after
    if not records or not await sent.note(connection, f"step/{after.instance_id}/{entry_key(records[0])}", at):
        return ()
    for what in records:
        await audit.append(connection, entry(what, at))
    if after != steps.before:
        changes = instances.Changes(**projection(after))
        await instances.project(connection, after.instance_id, changes, at, while_in=OURS)
    for what in records:
        record = what.effect
        if record.decision is not None and record.verdict is not None:
            verdict = record.verdict.model_dump(mode="json")
            known = await intake.answer(connection, record.decision.id, verdict, at)
            if not known and record.action == "accepted":
                await _alarm_if_unsubmitted(connection, after, record.decision, at)
    if after.outcome is not None and steps.before.outcome is None:
        await intake.hurry(connection, after.instance_id, at)  # the workflow will take no further decision
    return await _tell(connection, steps, at)


NOT_SUBMITTED = (
    "The workflow counted a decision with our signature that is not in the intake: it was taken in before this "
    "database was restored, or the signing key is in other hands. Look at who decided; if they did not, rotate the key."
)


async def _alarm_if_unsubmitted(connection: AsyncConnection, state: State, decision: Decision, at: Moment) -> None:
    """Raise the alarm for a decision that counted and was never taken in. It stays counted: it may be a true one."""
    if decision.person == NOBODY_KNOWN or await intake.get(connection, decision.id) is not None:
        return  # the first is accept_unsigned_decisions, which says so itself
    log.error("a decision counted that no door took in", instance_id=state.instance_id, person=decision.person.key)
    alarm = audit.Entry(
        at=at,
        actor=decision.person.key,
        action=AuditAction.EVIDENCE_MISSING,
        instance_id=state.instance_id,
        through=decision.through,
        reason=NOT_SUBMITTED,
        data={"decision_id": decision.id},
    )
    await audit.append(connection, alarm)


async def _tell(connection: AsyncConnection, steps: Steps, at: Moment) -> Sequence[notifications.Row]:
    """Write the notifications: the notifier sends them, and no workflow waits for Slack."""
    wanted = [row for state, effect in steps.tellings for row in notifications_of(state, effect)]
    return await notifications.enqueue(connection, wanted, at)
