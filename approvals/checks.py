"""What the machine itself checks of a judged decision, in order, each with its own reason. Pure; state is only read."""

from collections.abc import Callable, Iterable

from approvals.decision import Approval, Decision, Judgement, Reason, Verdict
from approvals.state import State, binding_of, deadline_of
from approvals.values import Moment

Check = Callable[[State, Judgement, Decision, Moment], bool]


def refusal_of(state: State, judgement: Judgement, decision: Decision, at: Moment) -> Verdict | None:
    """Return why the decision does not count, or None when it does. `at` is the workflow's clock."""
    if not judgement.verdict.allowed:
        return judgement.verdict
    for reason, applies in CHECKS:
        if applies(state, judgement, decision, at):
            return Verdict(allowed=False, reason=reason, rule=state.route.rule)
    return None


def _of_another_instance(state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return decision.binding.instance_id != state.instance_id


def _after_the_end(state: State, _judgement: Judgement, _decision: Decision, _at: Moment) -> bool:
    return state.phase == "over"


def _of_another_run(state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return decision.binding.run != state.run


def _of_another_content(state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return decision.binding.digest != binding_of(state).digest


def _of_an_earlier_stage(state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return decision.binding.stage < state.stage


def _of_an_earlier_round(state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return decision.binding.stage == state.stage and decision.binding.round < state.round


def _of_no_card_of_ours(state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return state.phase == "new" or decision.binding != binding_of(state)


def _after_the_deadline(state: State, _judgement: Judgement, _decision: Decision, at: Moment) -> bool:
    return at >= deadline_of(state)


def _by_the_requester(state: State, judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    # Whoever submits for somebody else has asked, too.
    requester = folded((*state.requester_emails, state.request.requester, state.request.submitted_by))
    if state.requester is not None:
        requester |= {state.requester.key.casefold(), state.requester.user.casefold()}
    return not requester.isdisjoint(_identities(judgement, decision))


def _by_somebody_counted(state: State, judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    mine = _identities(judgement, decision)
    return any(
        not mine.isdisjoint(_counted_as(approval))
        for approval in state.approvals
        if approval.stage == state.stage or not state.route.same_person_may_repeat
    )


def _without_a_reason(_state: State, _judgement: Judgement, decision: Decision, _at: Moment) -> bool:
    return not decision.approved and not decision.reason.strip()


CHECKS: tuple[tuple[Reason, Check], ...] = (
    (Reason.WRONG_INSTANCE, _of_another_instance),
    (Reason.REQUEST_OVER, _after_the_end),
    (Reason.REUSED_ID, _of_another_run),
    (Reason.CHANGED_REQUEST, _of_another_content),
    (Reason.OLD_CARD, _of_an_earlier_stage),
    (Reason.REROUTED_CARD, _of_an_earlier_round),
    (Reason.FORGED_CARD, _of_no_card_of_ours),
    (Reason.TOO_LATE, _after_the_deadline),
    (Reason.OWN_REQUEST, _by_the_requester),
    (Reason.ALREADY_COUNTED, _by_somebody_counted),
    (Reason.REASON_MISSING, _without_a_reason),
)


def folded(texts: Iterable[str]) -> set[str]:
    """Return the texts as they are compared: without case and without the space around them."""
    return {text.strip().casefold() for text in texts if text.strip()}


def _identities(judgement: Judgement, decision: Decision) -> set[str]:
    # The user id alone too: on Enterprise Grid the same person comes with a team's id or with the enterprise's.
    person = decision.person
    return folded((person.key, person.user, *judgement.emails, *judgement.acting_for))


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
    )
