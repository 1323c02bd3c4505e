"""The approval state machine: `step(state, event) -> (state, effects)`. No I/O, no clock: time comes in with events.

The order of effects is a law (law: decide, then audit, then announce): records come before messages.
"""

from typing import Any, Literal

from approvals.checks import approval_of, refusal_of
from approvals.decision import Decision, Judgement, Outcome, Reason, Submitted, Undo, Verdict
from approvals.digest import digest_of
from approvals.people import Person
from approvals.request import ApprovalRequest, CardRef, Route
from approvals.seats import filled, places, seats_of
from approvals.state import (
    Announce,
    Answer,
    Ask,
    CardPosted,
    DecisionJudged,
    Effect,
    Event,
    Origin,
    Record,
    Remind,
    Started,
    State,
    TimeReached,
    approvers_now,
    approvers_of,
    binding_of,
    current_stage,
    deadline_of,
    is_escalated,
    yeses_of,
)
from approvals.values import Moment

__all__ = [
    "APPROVAL_TIMEOUT",
    "Announce",
    "Answer",
    "Ask",
    "CardPosted",
    "DecisionJudged",
    "Effect",
    "Event",
    "Record",
    "Remind",
    "Started",
    "State",
    "TimeReached",
    "approvers_now",
    "approvers_of",
    "binding_of",
    "current_stage",
    "deadline_of",
    "is_escalated",
    "next_due",
    "start",
    "step",
]

APPROVAL_TIMEOUT = "approval_timeout"
UNTRUSTED = frozenset({Reason.UNSIGNED, Reason.BAD_SIGNATURE, Reason.MALFORMED})
"""With these reasons even the decision's id is untrusted: it must not use up the id of the true decision."""

NO_CARD = CardRef(channel="", ts="")
"""Stands in `cards` for a stage whose card Slack never took."""

Step = tuple[State, tuple[Effect, ...]]


def start(  # noqa: PLR0913  # the state's own fields: one more value between them would only be named twice
    instance_id: str,
    request: ApprovalRequest,
    route: Route,
    run: Moment,
    *,
    requester: Person | None = None,
    requester_emails: tuple[str, ...] = (),
    origin: Origin = "workflow",
    nonce: str = "",
) -> State:
    """Return the state before anything has happened. `run` is the workflow's clock at its first turn."""
    return State(
        instance_id=instance_id,
        request=request,
        route=route,
        run=run,
        requester=requester,
        requester_emails=requester_emails,
        origin=origin,
        nonce=nonce,
    )


def next_due(state: State) -> Moment | None:
    """Return when something happens by itself: the earliest of reminder, escalation and deadline. None when over."""
    if state.effective_at is not None:
        return state.effective_at
    if state.phase != "waiting" or state.asked_at is None:
        return None
    stage = current_stage(state)
    waits = [stage.within, *sorted(stage.remind)[state.reminded :]]
    if stage.escalate is not None and not is_escalated(state):
        waits.append(stage.escalate.after)
    return state.asked_at + min(waits)


def step(state: State, event: Event) -> Step:
    """Return the next state and what should happen, in order. The same input always gives the same answer."""
    match event:
        case Started():
            return _started(state, event.at)
        case CardPosted():
            return _card_posted(state, event)
        case TimeReached():
            return _time_reached(state, event.at)
        case _:
            return _judged(state, event.judgement, event.at)


def _started(state: State, at: Moment) -> Step:
    if state.phase != "new":
        return state, ()
    if state.route.automatic:
        over = _over(state, approved=True, reason="", at=at)
        return over, (Record(action="approved"), Announce(what="approved"))
    if not state.route.stages or not all(stage.approvers for stage in state.route.stages):
        # Nobody to ask is never a yes (law: fail closed).
        nobody = Verdict(allowed=False, reason=Reason.NO_APPROVERS, rule=state.route.rule)
        over = _over(state, approved=False, reason=Reason.NO_APPROVERS.value, at=at)
        return over, (Record(action="rejected", verdict=nobody), Announce(what="rejected"))
    asked = state.model_copy(update={"phase": "waiting", "asked_at": at})
    return asked, (Record(action="asked"), _ask(asked))


def _ask(state: State) -> Ask:
    return Ask(binding=binding_of(state), deadline=deadline_of(state))


def _card_posted(state: State, event: CardPosted) -> Step:
    if state.asked_at is None or event.card in state.cards:
        return state, ()
    # A card of this stage that was posted again takes the place of the one before; a stage that was decided through
    # REST while Slack was away never got one.
    before = state.cards[: state.stage]
    missing = (NO_CARD,) * (state.stage - len(before))
    posted = state.model_copy(update={"cards": (*before, *missing, event.card)})
    if state.outcome is None:
        return posted, ()
    return posted, (Announce(what=_ending(state.outcome)),)


def _ending(outcome: Outcome) -> Literal["approved", "rejected", "timed_out", "withdrawn"]:
    if outcome.approved:
        return "approved"
    if outcome.end == "withdrawn":
        return "withdrawn"
    return "timed_out" if outcome.reason == APPROVAL_TIMEOUT else "rejected"


def _time_reached(state: State, at: Moment) -> Step:
    if state.effective_at is not None and at >= state.effective_at:
        return _taking_effect(state, at)
    if state.phase != "waiting" or state.asked_at is None:
        return state, ()
    if at >= deadline_of(state):
        over = _over(state, approved=False, reason=APPROVAL_TIMEOUT, at=at)
        return over, (Record(action="timed_out"), Announce(what="timed_out"))
    stage = current_stage(state)
    changes: dict[str, Any] = {}
    records: list[Effect] = []
    tellings: list[Effect] = []
    if stage.escalate is not None and not is_escalated(state) and at >= state.asked_at + stage.escalate.after:
        changes["round"] = state.round + 1
        records.append(Record(action="escalated"))
        tellings.append(Announce(what="escalated"))
    # Several that were missed in an outage become one reminder.
    due = sum(at >= state.asked_at + wait for wait in stage.remind)
    if due > state.reminded:
        changes["reminded"] = due
        records.append(Record(action="reminded"))
        tellings.append(Remind(number=due, deadline=deadline_of(state)))
    return state.model_copy(update=changes), (*records, *tellings)


def _taking_effect(state: State, at: Moment) -> Step:
    """Return the approval's end: nobody took a yes back in time."""
    over = _over(state, approved=True, reason=state.approvals[-1].reason.strip(), at=at)
    return over, (Record(action="approved"), Announce(what="approved"))


def _judged(state: State, judgement: Judgement, at: Moment) -> Step:
    decision, verdict = judgement.submitted, judgement.verdict
    if decision is None:
        unreadable = verdict if not verdict.allowed else Verdict(allowed=False, reason=Reason.MALFORMED)
        return state, (Record(action="refused", verdict=unreadable, judgement=judgement),)
    if verdict.reason in UNTRUSTED:
        return state, _refusal(decision, judgement, verdict)
    if decision.id in state.seen:
        # Before everything else: what was answered once is answered the same, whatever the second look would find.
        return state, (Answer(decision=decision, verdict=state.verdicts[state.seen.index(decision.id)]),)
    refused = refusal_of(state, judgement, decision, at)
    if refused is not None:
        return state, _refusal(decision, judgement, refused)
    seen = state.model_copy(update={"seen": (*state.seen, decision.id), "verdicts": (*state.verdicts, verdict)})
    return _counts(seen, judgement, decision, at)


def _counts(state: State, judgement: Judgement, submitted: Submitted, at: Moment) -> Step:
    if isinstance(submitted, Decision):
        return _accepted(state, judgement, submitted, at)
    if isinstance(submitted, Undo):
        return _taken_back(state, judgement, submitted)
    return _withdrawn(state, judgement, submitted, at)


def _taken_back(state: State, judgement: Judgement, undo: Undo) -> Step:
    """Wait again, with the other yeses and the stage's own clock: it may be over at once."""
    kept = tuple(each for each in state.approvals if each.decision_id != undo.decision)
    changes = {"approvals": kept, "phase": "waiting", "effective_at": None, "taken_back": state.taken_back + 1}
    verdict = judgement.verdict
    record = Record(action="taken_back", decision=undo, verdict=verdict, judgement=judgement)
    return state.model_copy(update=changes), (
        record,
        Announce(what="taken_back"),
        Answer(decision=undo, verdict=verdict),
    )


def _withdrawn(state: State, judgement: Judgement, withdrawal: Submitted, at: Moment) -> Step:
    over = _over(state, approved=False, reason=withdrawal.reason.strip(), at=at, end="withdrawn")
    verdict = judgement.verdict
    record = Record(action="withdrawn", decision=withdrawal, verdict=verdict, judgement=judgement)
    return over, (record, Announce(what="withdrawn"), Answer(decision=withdrawal, verdict=verdict))


def _refusal(decision: Submitted, judgement: Judgement, verdict: Verdict) -> tuple[Effect, ...]:
    return (
        Record(action="refused", decision=decision, verdict=verdict, judgement=judgement),
        Answer(decision=decision, verdict=verdict),
    )


def _accepted(state: State, judgement: Judgement, decision: Decision, at: Moment) -> Step:
    answer = Answer(decision=decision, verdict=judgement.verdict)
    accepted = Record(action="accepted", decision=decision, verdict=judgement.verdict, judgement=judgement)
    approval = approval_of(judgement, decision, stage=state.stage, at=at)
    state = state.model_copy(update={"approvals": (*state.approvals, approval)})
    if not decision.approved:
        over = _over(state, approved=False, reason=decision.reason.strip(), at=at)
        return over, (accepted, Record(action="rejected", decision=decision), Announce(what="rejected"), answer)
    if not _is_complete(state):
        return state, (accepted, Announce(what="counted"), answer)
    if state.stage + 1 == len(state.route.stages):
        if state.route.undo is not None:
            pending = {"phase": "approved_pending", "effective_at": at + state.route.undo}
            return state.model_copy(update=pending), (accepted, Announce(what="counted"), answer)
        over = _over(state, approved=True, reason=decision.reason.strip(), at=at)
        return over, (accepted, Record(action="approved", decision=decision), Announce(what="approved"), answer)
    following = {"stage": state.stage + 1, "round": 0, "taken_back": 0, "reminded": 0, "asked_at": at}
    state = state.model_copy(update=following)
    records = (accepted, Record(action="advanced", decision=decision), Record(action="asked"))
    return state, (*records, Announce(what="advanced"), _ask(state), answer)


def _is_complete(state: State) -> bool:
    stage = current_stage(state)
    yeses = yeses_of(state)
    if not stage.seats:
        return len(yeses) >= stage.needed
    seats = seats_of(stage, state.round)
    return filled(seats, [approval.matches for approval in yeses]) == len(places(seats))


def _over(state: State, *, approved: bool, reason: str, at: Moment, end: Literal["withdrawn"] | None = None) -> State:
    outcome = Outcome(
        approved=approved,
        reason=reason,
        rule=state.route.rule,
        policy_version=state.route.policy_version,
        digest=digest_of(state.request, state.route, state.instance_id),
        by=state.approvals,
        at=at,
        end=end,
    )
    return state.model_copy(update={"phase": "over", "effective_at": None, "outcome": outcome})
