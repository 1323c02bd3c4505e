"""The undo window: an approval takes effect at a moment, unless a yes is taken back before. No face offers it yet."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from approvals.decision import Override, Question, Reason, SignedSubmission, Submission, Undo
from approvals.evidence import Counted, NotProvenError, derived, opened, seal_judgement, stepped, with_events
from approvals.judgement import Asked, DirectoryFacts, Home, Payload, asked_of, judge, may_undo, read_payload
from approvals.machine import State, TimeReached, binding_of, next_due, step
from approvals.people import Person, Profile
from approvals.signing import KeyRing
from approvals.state import DecisionJudged, Event
from tests.approvals.story import ANN, BOB, HOUR, NOW, OK, REQUESTER, Story

STORY = Story()
KEYS = KeyRing({"k1": "a" * 64})
WINDOW = timedelta(minutes=10)
EFFECT = NOW + WINDOW


def pending(*, needed: int = 1) -> State:
    """Return a request that is approved and has not taken effect."""
    route = STORY.route(STORY.stage(needed=needed), undo=WINDOW)
    state = STORY.waiting(route)
    for person in (ANN, BOB)[:needed]:
        state, _ = STORY.decide(state, person)
    assert state.phase == "approved_pending"
    return state


def undo_of(state: State, person: Person = ANN, **fields: Any) -> Undo:
    known = {"id": f"u-{person.user}", "binding": binding_of(state), "person": person, "through": "slack", "at": NOW}
    return Undo(**{**known, "decision": f"d-{person.user}", **fields})


def taken_back(state: State, person: Person = ANN, at: datetime = NOW, **fields: Any) -> Any:
    return step(state, STORY.submitted(undo_of(state, person, **fields), at=at))


def reason_of(effects: Any) -> Reason:
    return Reason(effects[0].verdict.reason)


def test_the_last_yes_waits_for_its_moment_and_takes_effect_then() -> None:
    state = pending()
    assert (state.outcome, state.effective_at, next_due(state)) == (None, EFFECT, EFFECT)
    same, nothing = step(state, TimeReached(at=EFFECT - timedelta(seconds=1)))
    assert (same, nothing) == (state, ())
    over, effects = step(state, TimeReached(at=EFFECT))
    assert over.outcome is not None
    assert (over.outcome.approved, over.outcome.at, over.effective_at) == (True, EFFECT, None)
    assert [getattr(effect, "action", "") or getattr(effect, "what", "") for effect in effects] == ["approved"] * 2


def test_without_a_window_the_last_yes_takes_effect_at_once() -> None:
    state, _ = STORY.decide(STORY.waiting())
    assert state.outcome is not None
    assert "effective_at" not in state.model_dump()
    assert "taken_back" not in state.model_dump()
    assert "undo" not in state.route.model_dump()


def test_a_yes_that_is_taken_back_leaves_the_others_and_the_stages_own_clock() -> None:
    state = pending(needed=2)
    waiting, effects = taken_back(state, BOB)
    assert [each.person for each in waiting.approvals] == [ANN]
    assert (waiting.phase, waiting.effective_at, waiting.asked_at) == ("waiting", None, state.asked_at)
    assert reason_of(effects) is Reason.ALLOWED
    assert next_due(waiting) == NOW + 5 * HOUR
    late, _ = step(waiting, TimeReached(at=NOW + 5 * HOUR))
    assert late.outcome is not None
    assert not late.outcome.approved
    again, _ = STORY.decide(waiting, BOB, id="d-again")
    assert again.phase == "approved_pending"


def test_what_was_clicked_on_the_card_before_is_too_old() -> None:
    state = pending()
    old = STORY.decision(state, BOB)
    waiting, _ = taken_back(state)
    _, effects = step(waiting, STORY.judged(old))
    assert reason_of(effects) is Reason.REROUTED_CARD


def test_the_same_undo_counts_once() -> None:
    state = pending()
    undo = STORY.submitted(undo_of(state))
    waiting, _ = step(state, undo)
    again, [answer] = step(waiting, undo)
    assert again == waiting
    assert answer.verdict.allowed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reason", "state", "person", "at", "fields"),
    [
        (Reason.NOT_THEIR_YES, pending(), BOB, NOW, {"decision": "d-UANN"}),
        (Reason.NOT_THEIR_YES, pending(), ANN, NOW, {"decision": "d-UBOB"}),
        (Reason.UNDO_CLOSED, pending(), ANN, EFFECT, {}),
        (Reason.UNDO_CLOSED, STORY.waiting(STORY.route(undo=WINDOW)), ANN, NOW, {}),
        (Reason.NOT_OFFERED, STORY.waiting(), ANN, NOW, {}),
        (Reason.REQUEST_OVER, step(pending(), TimeReached(at=EFFECT))[0], ANN, EFFECT, {}),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_a_yes_is_not_taken_back(reason: Reason, state: State, person: Person, at: datetime, fields: Any) -> None:
    same, effects = taken_back(state, person, at, **fields)
    assert same == state
    assert reason_of(effects) is reason


def test_yeses_are_taken_back_a_few_times_only() -> None:
    state = pending()
    for number in range(5):
        state, _ = taken_back(state, id=f"u{number}", decision=state.approvals[0].decision_id)
        state, _ = STORY.decide(state, id=f"again{number}")
    _, effects = taken_back(state, id="u6", decision=state.approvals[0].decision_id)
    assert reason_of(effects) is Reason.UNDO_CLOSED


def test_while_it_takes_effect_a_decision_hears_that_it_is_decided_and_the_requester_may_withdraw() -> None:
    state = pending()
    same, effects = STORY.decide(state, BOB, approved=False, reason="Too dear")
    assert same == state
    assert reason_of(effects) is Reason.ALREADY_DECIDED
    over, _ = STORY.withdraw(state)
    assert over.outcome is not None
    assert (over.outcome.approved, over.outcome.end) == (False, "withdrawn")


RACERS: dict[str, Callable[[State], Event]] = {
    "undo A": lambda state: STORY.submitted(undo_of(state, ANN)),
    "undo B": lambda state: STORY.submitted(undo_of(state, BOB)),
    "yes A": lambda state: STORY.judged(STORY.decision(state, ANN, id="again-A")),
    "withdraw": lambda state: STORY.submitted(STORY.withdrawal(binding=binding_of(state))),
    "timer": lambda state: TimeReached(at=next_due(state) or EFFECT),
}


@pytest.mark.parametrize("order", list(permutations(RACERS)), ids=" > ".join)
def test_whatever_comes_first_there_is_one_end_and_no_effect_without_all_yeses(order: tuple[str, ...]) -> None:
    state, ends = pending(needed=2), 0
    for name in order:
        before = state
        state, _ = step(state, RACERS[name](state))
        ends += before.outcome is None and state.outcome is not None
        if before.outcome is not None:
            assert state == before
        elif state.outcome is not None and state.outcome.approved:
            assert len({each.person.user for each in state.approvals}) == 2
    assert ends == 1  # the withdrawal at the latest


def test_evidence_derives_the_same_after_a_yes_was_taken_back() -> None:
    opening = STORY.new(STORY.route(undo=WINDOW))
    state = STORY.waiting(STORY.route(undo=WINDOW))
    evidence = opened(KEYS, opening)
    for event in (STORY.judged(STORY.decision(state)), None, None):
        judged = event or (STORY.submitted(undo_of(state)) if state.effective_at else again(state))
        counted = Counted(vote=seal_judgement(KEYS, judged.judgement, state, NOW), at=NOW)
        state, evidence = stepped(KEYS, state, counted, NOW).state, with_events(evidence, [counted])
    assert state.phase == "approved_pending"
    assert derived(KEYS, evidence, opening, NOW) == state
    reached = Counted(at=EFFECT)
    assert derived(KEYS, with_events(evidence, [reached]), opening, EFFECT).outcome is not None
    with pytest.raises(NotProvenError):
        derived(KEYS, with_events(evidence, [Counted(at=NOW)]), opening, EFFECT)


def again(state: State) -> DecisionJudged:
    return STORY.judged(STORY.decision(state, id="d-again"))


# ---- what the judge says


HOME = DirectoryFacts(home=Home(team="T1"))


def profile(person: Person, **fields: Any) -> Profile:
    return Profile(person=person, name="Ann", **fields)


def test_only_a_full_member_takes_back_a_yes() -> None:
    assert may_undo(ANN, profile(ANN), HOME).verdict == OK.model_copy(update={"rule": "undo"})
    assert may_undo(ANN, profile(ANN, deactivated=True), HOME).verdict.reason is Reason.DEACTIVATED
    assert may_undo(ANN, profile(BOB), HOME).verdict.reason is Reason.LOOKUP_FAILED
    assert may_undo(ANN, "failed", HOME).verdict.reason is Reason.LOOKUP_FAILED
    assert may_undo(ANN, "unknown", HOME).verdict.reason is Reason.UNKNOWN_PERSON


@pytest.mark.parametrize("kind", [Question, Override])
def test_what_no_release_offers_yet_is_read_and_refused_as_that(kind: Any) -> None:
    state = STORY.waiting()
    known = {"id": "s1", "binding": binding_of(state), "person": ANN, "through": "slack", "at": NOW, "reason": "why"}
    submission: Submission = kind(**known)
    signed: SignedSubmission = KEYS.sign_submission(submission)
    payload = read_payload(signed.model_dump(mode="json"), KEYS)
    assert payload == Payload(submission=submission, key_id="k1")
    asked: Asked = asked_of(state)
    assert judge(payload, asked, profile(ANN), HOME, NOW).verdict.reason is Reason.NOT_OFFERED
    assert judge(payload, asked, profile(REQUESTER), HOME, NOW).verdict.reason is Reason.NOT_OFFERED
