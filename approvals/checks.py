"""The machine's own checks of a judged decision, in order, each with its reason. Pure; the state is only read."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from approvals.decision import Approval, Decision, Judgement, Reason, Submitted, Undo, Verdict, Withdrawal
from approvals.request import Binding
from approvals.seats import fills_one, seats_of
from approvals.state import State, binding_of, deadline_of, yeses_of
from approvals.values import Moment

MOST_TAKEN_BACK = 5
"""Yeses that may be taken back in one stage: each is an event in the evidence, which is bounded."""


class Case(NamedTuple):
    """A judged decision, the state it meets, and the moment by the workflow's clock."""

    state: State
    judgement: Judgement
    decision: Submitted
    at: Moment
    ours: Binding
    """The binding of the state's current card."""


Check = Callable[[Case], bool]


def refusal_of(
    state: State, judgement: Judgement, decision: Submitted, at: Moment, ours: Binding | None = None
) -> Verdict | None:
    """Return why the submission does not count, or None when it does. `at` is the workflow's clock.

    `ours` is the state's binding, for a caller that has hashed it before.
    """
    if not judgement.verdict.allowed:
        return judgement.verdict
    case = Case(state, judgement, decision, at, ours or binding_of(state))
    for reason, applies in _checks_of(decision):
        if applies(case):
            return Verdict(allowed=False, reason=reason, rule=state.route.rule)
    return None


def _of_another_instance(case: Case) -> bool:
    return case.decision.binding.instance_id != case.state.instance_id


def _after_the_end(case: Case) -> bool:
    return case.state.phase == "over"


def _before_it_takes_effect(case: Case) -> bool:
    return case.state.effective_at is not None


def _outside_the_window(case: Case) -> bool:
    """Whether no yes can be taken back now. `at` is before the moment, or the timer would have come first."""
    until = case.state.effective_at
    return until is None or case.at >= until or case.state.taken_back >= MOST_TAKEN_BACK


def _of_anothers_yes(case: Case) -> bool:
    """Whether it is no yes of this person in the stage that was decided last."""
    undo = case.decision
    return not isinstance(undo, Undo) or not any(
        each.decision_id == undo.decision and each.stage == case.state.stage and _is_of(each, undo)
        for each in case.state.approvals
    )


def _is_of(approval: Approval, undo: Undo) -> bool:
    # The user id alone: on Enterprise Grid the same person comes with a team's id or with the enterprise's.
    return approval.person.user == undo.person.user


def _of_another_run(case: Case) -> bool:
    return case.decision.binding.run != case.state.run


def _of_another_content(case: Case) -> bool:
    return case.decision.binding.digest != case.ours.digest


def _of_an_earlier_stage(case: Case) -> bool:
    return case.decision.binding.stage < case.state.stage


def _of_an_earlier_round(case: Case) -> bool:
    return case.decision.binding.stage == case.state.stage and case.decision.binding.round < case.ours.round


def _of_no_card_of_ours(case: Case) -> bool:
    return case.state.phase == "new" or case.decision.binding != case.ours


def _after_the_deadline(case: Case) -> bool:
    return case.at >= deadline_of(case.state)


def _by_the_requester(case: Case) -> bool:
    return not _asked_as(case.state).isdisjoint(_identities(case))


def _by_somebody_counted(case: Case) -> bool:
    return not _counted_now(case.state).isdisjoint(_identities(case))


def _without_a_reason(case: Case) -> bool:
    no = isinstance(case.decision, Decision) and not case.decision.approved
    return no and not case.decision.reason.strip()


def _for_seats_that_are_filled(case: Case) -> bool:
    """Whether it is a yes of a person for whom no seat is left. Their no still counts."""
    stage = case.state.route.stages[case.state.stage]
    if not stage.seats or not isinstance(case.decision, Decision) or not case.decision.approved:
        return False
    yeses = [each.matches for each in yeses_of(case.state)]
    return not fills_one(seats_of(stage, case.state.round), yeses, case.judgement.matches)


def _by_another_than_the_requester(case: Case) -> bool:
    return not _by_the_requester(case)


def _whatever_it_is(_: Case) -> bool:
    return True


CHECKS: tuple[tuple[Reason, Check], ...] = (
    (Reason.WRONG_INSTANCE, _of_another_instance),
    (Reason.REQUEST_OVER, _after_the_end),
    (Reason.REUSED_ID, _of_another_run),
    (Reason.ALREADY_DECIDED, _before_it_takes_effect),
    (Reason.CHANGED_REQUEST, _of_another_content),
    (Reason.OLD_CARD, _of_an_earlier_stage),
    (Reason.REROUTED_CARD, _of_an_earlier_round),
    (Reason.FORGED_CARD, _of_no_card_of_ours),
    (Reason.TOO_LATE, _after_the_deadline),
    (Reason.OWN_REQUEST, _by_the_requester),
    (Reason.ALREADY_COUNTED, _by_somebody_counted),
    (Reason.SEATS_FILLED, _for_seats_that_are_filled),
    (Reason.REASON_MISSING, _without_a_reason),
)


WITHDRAWAL_CHECKS: tuple[tuple[Reason, Check], ...] = (
    (Reason.WRONG_INSTANCE, _of_another_instance),
    (Reason.REQUEST_OVER, _after_the_end),
    (Reason.REUSED_ID, _of_another_run),
    (Reason.CHANGED_REQUEST, _of_another_content),
    (Reason.NOT_THE_REQUESTER, _by_another_than_the_requester),
)
"""A withdrawal is bound to the request, not to a card: it counts in every stage."""

UNDO_CHECKS: tuple[tuple[Reason, Check], ...] = (
    (Reason.WRONG_INSTANCE, _of_another_instance),
    (Reason.REQUEST_OVER, _after_the_end),
    (Reason.REUSED_ID, _of_another_run),
    (Reason.CHANGED_REQUEST, _of_another_content),
    (Reason.NOT_OFFERED, lambda case: case.state.route.undo is None),
    (Reason.UNDO_CLOSED, _outside_the_window),
    (Reason.NOT_THEIR_YES, _of_anothers_yes),
)
"""A yes is taken back by who gave it, between the last yes and the moment when the approval takes effect."""

UNOFFERED: tuple[tuple[Reason, Check], ...] = ((Reason.NOT_OFFERED, _whatever_it_is),)


def _checks_of(submitted: Submitted) -> tuple[tuple[Reason, Check], ...]:
    if isinstance(submitted, Decision):
        return CHECKS
    if isinstance(submitted, Undo):
        return UNDO_CHECKS
    return WITHDRAWAL_CHECKS if isinstance(submitted, Withdrawal) else UNOFFERED


def folded(texts: Iterable[str]) -> set[str]:
    """Return the texts as they are compared: without case and without the space around them."""
    return {text.strip().casefold() for text in texts if text.strip()}


def _identities(case: Case) -> set[str]:
    # The user id alone too: on Enterprise Grid the same person comes with a team's id or with the enterprise's.
    person, judgement = case.decision.person, case.judgement
    return folded((person.key, person.user, *judgement.emails, *judgement.acting_for))


def _asked_as(state: State) -> set[str]:
    # A person who submits for another one has asked, too.
    requester = folded((*state.requester_emails, state.request.requester, state.request.submitted_by))
    if state.requester is not None:
        requester |= {state.requester.key.casefold(), state.requester.user.casefold()}
    return requester


def _counted_now(state: State) -> set[str]:
    """Return who cannot answer once more in the current stage."""
    found: set[str] = set()
    for approval in state.approvals:
        if approval.stage == state.stage or not state.route.same_person_may_repeat:
            found |= _counted_as(approval)
    return found


def barred(state: State) -> tuple[str, ...]:
    """Return the identities whose decision would be refused now though they are asked, in lower case.

    The requester's, and those of people whose answer counts already. The checks above refuse by the same sets.
    """
    return tuple(sorted(_asked_as(state) | _counted_now(state)))


def _counted_as(approval: Approval) -> set[str]:
    return folded((approval.person.key, approval.person.user, *approval.emails, *approval.acting_for))


def approval_of(judgement: Judgement, decision: Decision, *, stage: int, at: Moment) -> Approval:
    """Return the accepted decision as it counts from now on."""
    return Approval(
        decision_id=decision.id,
        person=decision.person,
        name=judgement.name,
        emails=judgement.emails,
        acting_for=judgement.acting_for,
        stage=stage,
        approved=decision.approved,
        reason=decision.reason,
        at=at,
        through=decision.through,
        matches=judgement.matches,
    )
