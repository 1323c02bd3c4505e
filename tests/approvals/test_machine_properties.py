"""Properties of the machine and of its evidence, for any sequence of votes, withdrawals and moments."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.decision import Decision, Edit, HandOver, Override, Question, Reason, Reply, Undo, Verdict
from approvals.evidence import Counted, NotProvenError, counted, derived, opened, seal_judgement, stepped, with_events
from approvals.machine import Announce, DecisionJudged, Event, Record, State, TimeReached, binding_of, step
from approvals.people import Person, SlackUser
from approvals.signing import Purpose, parse_key_ring
from tests.approvals.story import ANN, BOB, HOUR, NOW, OK, REQUESTER, Story

KEYS = parse_key_ring("k" * 40)
STORY = Story()
CLEO = Person(team="T1", user="UCLEO")
NO = Verdict(allowed=False, reason=Reason.NOT_AN_APPROVER)
ROUTES = (
    STORY.route(),
    STORY.route(STORY.stage(needed=2)),
    STORY.route(STORY.stage(needed=2), STORY.stage(), same_person_may_repeat=True),
    STORY.route(STORY.stage(remind=(HOUR,)), STORY.stage()),
)

votes = st.tuples(st.sampled_from([ANN, BOB, CLEO, REQUESTER]), st.booleans(), st.sampled_from([OK, OK, OK, NO]))
withdrawals = st.sampled_from([ANN, REQUESTER])
moments = st.integers(0, 7)
happenings = st.lists(st.one_of(votes, withdrawals, moments), max_size=12)
routes = st.sampled_from(ROUTES)


def events(state: State, happened: Any, number: int, at: timedelta) -> Event:
    """Return what happens as an event for the state that it meets."""
    if isinstance(happened, int):
        return TimeReached(at=NOW + at)
    if isinstance(happened, Person):
        return STORY.submitted(
            STORY.withdrawal(binding=binding_of(state), person=happened, id=f"w{number}"), at=NOW + at
        )
    person, approved, verdict = happened
    decision = STORY.decision(state, person, id=f"d{number}", approved=approved, reason="r")
    return STORY.judged(decision, verdict, NOW + at)


def told(route: Any, happened: Sequence[Any]) -> list[tuple[State, Event, State, tuple[Any, ...]]]:
    """Let it all happen, time going forwards; returns each step."""
    state, passed, steps = STORY.waiting(route), timedelta(), []
    for number, each in enumerate(happened):
        passed = max(passed, each * HOUR) if isinstance(each, int) else passed
        event = events(state, each, number, passed)
        after, effects = step(state, event)
        steps.append((state, event, after, effects))
        state = after
    return steps


@given(routes, happenings)
@settings(max_examples=300)
def test_a_request_ends_at_most_once_and_announces_its_end_once(route: Any, happened: list[Any]) -> None:
    steps = told(route, happened)
    ends = ("approved", "rejected", "timed_out", "withdrawn")
    for kind, field in ((Record, "action"), (Announce, "what")):
        effects = [each for step_ in steps for each in step_[3] if isinstance(each, kind)]
        assert sum(getattr(each, field) in ends for each in effects) <= 1
    outcomes = [after.outcome for _, _, after, _ in steps if after.outcome is not None]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(routes, happenings)
@settings(max_examples=300)
def test_an_approval_has_every_yes_it_needs_and_no_withdrawal_before_it(route: Any, happened: list[Any]) -> None:
    steps = told(route, happened)
    if not steps or steps[-1][2].outcome is None or not steps[-1][2].outcome.approved:
        return
    final = steps[-1][2]
    for number, stage in enumerate(final.route.stages):
        yeses = {one.person.user for one in final.approvals if one.stage == number and one.approved}
        assert len(yeses) >= stage.needed
        assert REQUESTER.user not in yeses
    assert all(
        after.outcome is not None
        for _, event, after, _ in steps
        if isinstance(event, DecisionJudged)
        and event.judgement.submission is not None
        and event.judgement.submission.person == REQUESTER
    )


@given(routes, happenings)
@settings(max_examples=200)
def test_the_state_follows_from_sealed_evidence_alone(route: Any, happened: list[Any]) -> None:
    first = STORY.new(route)
    evidence, now = opened(KEYS, first), NOW + 10 * HOUR
    for before, event, after, _ in told(route, happened):
        judged = isinstance(event, DecisionJudged)
        vote = seal_judgement(KEYS, event.judgement, before, event.at) if judged else None
        each = Counted(vote=vote, at=event.at)
        assert stepped(KEYS, before, each, now).state == after
        evidence = with_events(evidence, counted(each, before, after))
    steps = told(route, happened)
    final = steps[-1][2] if steps else STORY.waiting(route)
    found = derived(KEYS, evidence, first, now)
    ignored = {"seen": (), "verdicts": ()}
    assert found.model_copy(update=ignored) == final.model_copy(update=ignored)


def test_a_withdrawal_that_a_stranger_seals_ends_nothing() -> None:
    state, strangers = STORY.waiting(), parse_key_ring("s" * 40)
    event = STORY.submitted(STORY.withdrawal(binding=binding_of(state)))
    forged = Counted(vote=seal_judgement(strangers, event.judgement, state, NOW), at=NOW)
    with pytest.raises(NotProvenError):
        stepped(KEYS, state, forged, NOW)


def test_a_sealed_withdrawal_of_another_request_or_run_ends_nothing() -> None:
    state = STORY.waiting()
    event = STORY.submitted(STORY.withdrawal(binding=binding_of(state)))
    sealed = Counted(vote=seal_judgement(KEYS, event.judgement, state, NOW), at=NOW)
    for other in ({"instance_id": "order-43-workflow"}, {"run": NOW - HOUR}):
        with pytest.raises(NotProvenError):
            stepped(KEYS, state.model_copy(update=other), sealed, NOW)


def test_what_a_release_does_not_offer_is_refused_and_changes_nothing() -> None:
    state = STORY.waiting()
    common = {"id": "x", "binding": binding_of(state), "person": ANN, "through": "slack", "at": NOW, "reason": "r" * 20}
    for submission in (
        Question(**common),
        Reply(**common, question="q"),
        Edit(**common, request=STORY.request(amount="1")),
        HandOver(**common, to=SlackUser(user="UBOB")),
        Undo(**common, decision="d"),
        Override(**common),
    ):
        after, effects = step(state, STORY.submitted(submission))
        assert after == state
        assert [effect.verdict.reason for effect in effects] == [Reason.NOT_OFFERED] * 2


def test_a_decision_is_signed_and_sealed_as_before_there_was_anything_else() -> None:
    """Decisions that are under way, and evidence that waits, were sealed before."""
    state = STORY.waiting()
    decision: Decision = STORY.decision(state)
    assert set(decision.model_dump()) == {
        "id", "binding", "person", "approved", "reason", "through", "at", "correlation_id"
    }  # fmt: skip
    judgement = STORY.judged(decision).judgement
    old = judgement.model_dump(exclude={"evidence", "submission"})
    where = {"instance_id": state.instance_id, "run": state.run, "stage": 0, "round": 0}
    seal = KEYS.seal(Purpose.SEALED_JUDGEMENT, where | {"judgement": old, "judged_at": NOW})
    assert seal_judgement(KEYS, judgement, state, NOW).seal == seal
