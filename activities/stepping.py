"""Write one step of the machine in one transaction: read model, audit, the intake's answers, notifications."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import structlog

from activities.inputs import Recorded
from activities.recording import OURS, entry, entry_key, projection
from activities.telling import notifications_of
from approvals.audit_actions import AuditAction
from approvals.decision import Submitted, Verdict
from approvals.evidence import Stepped
from approvals.judgement import NOBODY_KNOWN
from approvals.machine import Announce, Answer, Record, Remind, State
from approvals.values import Moment
from approvals.webhooks import Event
from records import audit, instances, intake, notifications, sent
from records.plain import Transaction

log = structlog.get_logger(__name__)


class Steps(NamedTuple):
    """The result of new events: the state before them, each step with its moment, and the state after them.

    `listed` is whom the record says that the request waits for, `tells_systems` whether it has a callback.
    """

    before: State
    each: tuple[tuple[Stepped, Moment], ...]
    after: State
    listed: tuple[str, ...] = ()
    tells_systems: bool = False

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
    def answers(self) -> dict[str, Verdict]:
        """The answers to decisions, by their ids."""
        found = [(each.effect.decision, each.effect.verdict) for each in self.records]
        return {one.id: verdict for one, verdict in found if one is not None and verdict is not None}

    @property
    def tellings(self) -> tuple[tuple[State, Announce | Remind | Answer], ...]:
        """The notifications of the steps, each with the state that it is about."""
        return tuple(
            (stepped.state, effect)
            for stepped, _ in self.each
            for effect in stepped.effects
            if isinstance(effect, Announce | Remind | Answer)
        )


def write_step(
    transaction: Transaction, steps: Steps, at: Moment, also: Mapping[str, Any] = MappingProxyType({})
) -> Sequence[notifications.NotificationRow]:
    """Write all that the steps mean; returns the new notifications. Writing it again changes nothing.

    `also` are further columns of the read model.
    """
    records, after = steps.records, steps.after
    if not records or not sent.note.on(transaction, f"step/{after.instance_id}/{entry_key(records[0])}", at):
        return ()
    for what in records:
        audit.append.on(transaction, entry(what, at))
    if after != steps.before:
        changes = instances.Changes(**{**projection(after), **also})
        instances.project.on(transaction, after.instance_id, changes, at, while_in=OURS, listed=steps.listed)
    _tell_systems(transaction, steps, at)
    _answer(transaction, steps, at)
    return _tell(transaction, steps, at)


EVENTS: Final[dict[str, Event]] = {"accepted": "counted", "advanced": "changed", "escalated": "changed"}


def _tell_systems(transaction: Transaction, steps: Steps, at: Moment) -> None:
    """Write what callbacks asked to be told of before the end. The end has a message of its own, with all of it."""
    if steps.after.outcome is not None or not steps.tells_systems:
        return
    records = steps.records
    for event in dict.fromkeys(EVENTS[each.effect.action] for each in records if each.effect.action in EVENTS):
        instances.tell_event.on(transaction, steps.after.instance_id, event, entry_key(records[0]), at)


def _answer(transaction: Transaction, steps: Steps, at: Moment) -> None:
    """Keep the verdicts. After an end the other decisions are due: the workflow will take none of them any more."""
    ended = steps.after.outcome is not None and steps.before.outcome is None
    answered = [each for each in steps.records if each.effect.decision is not None and each.effect.verdict is not None]
    for what in answered:
        last = ended and what is answered[-1]
        _answer_one(transaction, steps.after, what.effect, at, last=last)
    if ended and not answered:
        intake.make_due.on(transaction, steps.after.instance_id, at)


def _answer_one(transaction: Transaction, state: State, record: Record, at: Moment, *, last: bool) -> None:
    decision, verdict = record.decision, record.verdict
    if decision is None or verdict is None:
        return
    said = verdict.model_dump(mode="json")
    if last:
        known = intake.answer_last.on(transaction, decision.id, said, state.instance_id, at)
    else:
        known = intake.answer.on(transaction, decision.id, said, at)
    if not known and record.action in {"accepted", "withdrawn"}:
        _alarm_if_unsubmitted(transaction, state, decision, at)


NOT_SUBMITTED = (
    "The workflow counted a decision with our signature that is not in the intake: it was taken in before this "
    "database was restored, or the signing key is in other hands. Look at who decided; if they did not, rotate the key."
)


def _alarm_if_unsubmitted(transaction: Transaction, state: State, decision: Submitted, at: Moment) -> None:
    """Raise the alarm for a decision that counted and was never taken in. It stays counted: it may be a true one."""
    if decision.person == NOBODY_KNOWN or intake.get.on(transaction, decision.id) is not None:
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
    audit.append.on(transaction, alarm)


def _tell(transaction: Transaction, steps: Steps, at: Moment) -> Sequence[notifications.NotificationRow]:
    """Write the notifications: the notifier sends them, and no workflow waits for Slack."""
    wanted = [row for state, effect in steps.tellings for row in notifications_of(state, effect)]
    return notifications.enqueue.on(transaction, wanted, at)
