"""Nothing follows from what is not sealed, and from what is sealed only what the machine makes of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from approvals.decision import Reason, Verdict
from approvals.evidence import (
    EARLY,
    Counted,
    Evidence,
    NotProvenError,
    SealedStart,
    TooEarlyError,
    counted,
    counts_at,
    derived,
    effect_key,
    is_ours,
    opened,
    seal_judgement,
    sealed_input,
    stepped,
    with_events,
)
from approvals.machine import step
from approvals.request import Escalation, Stage
from approvals.signing import Purpose, Seal, parse_key_ring
from approvals.state import Started, State
from tests.approvals.story import ANN, BOB, HOUR, NOW, OK, Story

KEYS = parse_key_ring("new:" + "n" * 40 + ",old:" + "o" * 40)
FOREIGN = parse_key_ring("f" * 40)
LATER = NOW + 2 * HOUR


def opening(story: Story, **fields: Any) -> State:
    return story.new(story.route(*fields.pop("stages", ())), origin="door", nonce="0" * 32, **fields)


def waiting(first: State) -> State:
    return step(first, Started(at=first.run))[0]


def vote(story: Story, state: State, person: Any = ANN, keys: Any = KEYS, **fields: Any) -> Counted:
    """Return a person's sealed yes at a state."""
    judged = story.judged(story.decision(state, person, **fields), OK).judgement
    return Counted(vote=seal_judgement(keys, judged, state, NOW + HOUR), at=NOW + HOUR)


def approved(story: Story, first: State) -> Evidence:
    state = waiting(first)
    event = vote(story, state)
    return with_events(opened(KEYS, first), counted(event, state, stepped(KEYS, state, event, LATER).state))


def test_sealed_evidence_gives_the_state_that_the_machine_reached(story: Story) -> None:
    first = opening(story)
    assert derived(KEYS, opened(KEYS, first), first, LATER) == waiting(first)
    state = derived(KEYS, approved(story, first), first, LATER)
    assert state.outcome is not None
    assert state.outcome.approved


def test_what_is_on_record_may_be_further_than_the_opening(story: Story) -> None:
    first = opening(story)
    evidence = approved(story, first)
    state = derived(KEYS, evidence, first, LATER)
    assert derived(KEYS, evidence, state, LATER) == state


def test_an_old_key_of_the_ring_still_opens_and_a_removed_one_does_not(story: Story) -> None:
    first = opening(story)
    sealed_before = opened(parse_key_ring("old:" + "o" * 40), first)
    assert derived(KEYS, sealed_before, first, LATER).phase == "waiting"
    with pytest.raises(NotProvenError):
        derived(parse_key_ring("new:" + "n" * 40), sealed_before, first, LATER)


@pytest.mark.parametrize("change", ["amount", "approver", "requester", "origin", "nonce", "run", "instance_id"])
def test_another_request_than_the_sealed_one_proves_nothing(story: Story, change: str) -> None:
    first = opening(story)
    evidence = approved(story, first)
    other: dict[str, Any] = {
        "amount": {"request": first.request.model_copy(update={"amount": Decimal(499)})},
        "approver": {"route": first.route.model_copy(update={"stages": (story.stage(approvers=()),)})},
        "requester": {"requester": BOB},
        "origin": {"origin": "workflow"},
        "nonce": {"nonce": "1" * 32},
        "run": {"run": NOW + HOUR},
        "instance_id": {"instance_id": "order-43-workflow"},
    }[change]
    forged = first.model_copy(update=other)
    with pytest.raises(NotProvenError):
        derived(KEYS, evidence, forged, LATER)
    foreign = opened(FOREIGN, forged)  # it fits the content, and somebody else sealed it
    with pytest.raises(NotProvenError):
        derived(KEYS, foreign, forged, LATER)


@pytest.mark.parametrize("field", ["approved", "person", "emails", "verdict", "stage", "round", "judged_at", "seal"])
def test_a_vote_that_was_changed_does_not_count(story: Story, field: str) -> None:
    first = opening(story)
    state, event = waiting(first), vote(story, waiting(first))
    assert event.vote is not None
    judgement = event.vote.judgement
    assert judgement.decision is not None
    changed: dict[str, Any] = {
        "approved": {"judgement": judgement.model_copy(update={"decision": story.decision(state, approved=False)})},
        "person": {"judgement": judgement.model_copy(update={"decision": story.decision(state, BOB)})},
        "emails": {"judgement": judgement.model_copy(update={"emails": ("x@example.com",)})},
        "verdict": {"judgement": judgement.model_copy(update={"verdict": OK.model_copy(update={"rule": "other"})})},
        "stage": {"stage": 1},
        "round": {"round": 1},
        "judged_at": {"judged_at": NOW},
        "seal": {"seal": Seal(key_id="new", mac="0" * 64)},
    }[field]
    forged = Counted(vote=event.vote.model_copy(update=changed), at=event.at)
    with pytest.raises(NotProvenError):
        stepped(KEYS, state, forged, LATER)


def test_a_refusal_cannot_be_made_a_yes(story: Story) -> None:
    state = waiting(opening(story))
    no = Verdict(allowed=False, reason=Reason.NOT_AN_APPROVER, rule="manager")
    judged = story.judged(story.decision(state), no).judgement
    sealed = seal_judgement(KEYS, judged, state, NOW)
    forged = sealed.model_copy(update={"judgement": judged.model_copy(update={"verdict": OK})})
    with pytest.raises(NotProvenError):
        stepped(KEYS, state, Counted(vote=forged, at=NOW), LATER)
    assert not stepped(KEYS, state, Counted(vote=sealed, at=NOW), LATER).state.approvals


def test_a_vote_of_another_instance_or_of_an_earlier_run_does_not_count(story: Story) -> None:
    first = opening(story)
    event = vote(story, waiting(first))
    for other in ({"instance_id": "order-43-workflow"}, {"run": NOW + HOUR, "asked_at": NOW + HOUR}):
        with pytest.raises(NotProvenError):
            stepped(KEYS, waiting(first).model_copy(update=other), event, LATER)


def test_the_same_vote_twice_is_no_evidence(story: Story) -> None:
    first = opening(story, stages=(story.stage(needed=2),))
    state = waiting(first)
    event = vote(story, state)
    with pytest.raises(NotProvenError):
        derived(KEYS, with_events(opened(KEYS, first), (event, event)), first, LATER)


def test_a_vote_that_was_judged_in_another_round_does_not_count_in_this_one(story: Story) -> None:
    stage = story.stage(escalate=Escalation(after=HOUR, to=()))
    state = waiting(opening(story, stages=(stage,)))
    judged = story.judged(story.decision(state.model_copy(update={"round": 1})), OK).judgement
    sealed = seal_judgement(KEYS, judged, state, NOW)
    with pytest.raises(NotProvenError):
        stepped(KEYS, state.model_copy(update={"round": 1}), Counted(vote=sealed, at=NOW), LATER)


def test_a_moment_that_our_clock_has_not_reached_is_tried_again_later(story: Story) -> None:
    state = waiting(opening(story))
    deadline = NOW + 5 * HOUR
    with pytest.raises(TooEarlyError):
        stepped(KEYS, state, Counted(at=deadline), deadline - EARLY - timedelta(seconds=1))
    assert stepped(KEYS, state, Counted(at=deadline), deadline - EARLY).state.outcome is not None


def test_a_late_decision_is_not_made_early(story: Story) -> None:
    state = waiting(opening(story))
    event = vote(story, state)
    assert event.vote is not None
    with pytest.raises(NotProvenError):
        stepped(KEYS, state, event.model_copy(update={"at": event.vote.judged_at - 2 * EARLY}), LATER)


@pytest.mark.parametrize("ahead", [timedelta(0), EARLY, 2 * EARLY, timedelta(hours=1)])
def test_a_judge_whose_clock_is_ahead_proves_what_it_judges(story: Story, ahead: timedelta) -> None:
    """The engine's moment alone was refused as one that is said to have come before it was judged."""
    state = waiting(opening(story))
    judged = story.judged(story.decision(state), OK).judgement
    sealed = seal_judgement(KEYS, judged, state, NOW + ahead)
    at = counts_at(sealed, NOW)
    assert NOW <= at <= max(NOW, NOW + ahead - EARLY)
    assert stepped(KEYS, state, Counted(vote=sealed, at=at), NOW + ahead).state.approvals


def test_a_judge_whose_clock_is_ahead_lets_nobody_in_after_the_deadline(story: Story) -> None:
    state = waiting(opening(story))
    deadline = NOW + 5 * HOUR
    judged = story.judged(story.decision(state), OK).judgement
    for seconds, counts in ((-61, True), (1, False)):
        sealed = seal_judgement(KEYS, judged, state, deadline + EARLY + timedelta(seconds=seconds))
        event = Counted(vote=sealed, at=counts_at(sealed, NOW))
        assert bool(stepped(KEYS, state, event, event.at).state.approvals) is counts


def test_what_was_looked_up_does_not_travel_and_the_seal_still_opens(story: Story) -> None:
    first = opening(story)
    judged = story.judged(story.decision(waiting(first)), OK, evidence={"groups": {"managers": True}}).judgement
    event = Counted(vote=seal_judgement(KEYS, judged, waiting(first), NOW), at=NOW)
    after = stepped(KEYS, waiting(first), event, LATER).state
    [kept] = counted(event, waiting(first), after)
    assert kept.vote is not None
    assert kept.vote.judgement.evidence == {}
    assert derived(KEYS, with_events(opened(KEYS, first), (kept,)), first, LATER) == after


def test_a_seal_for_one_purpose_opens_for_no_other() -> None:
    seals = (Purpose.SEALED_REQUEST, Purpose.SEALED_ROUTE, Purpose.SEALED_JUDGEMENT)
    for made in seals:
        seal = KEYS.seal(made, {"a": 1})
        assert [KEYS.opens(tried, {"a": 1}, seal) for tried in seals] == [tried is made for tried in seals]


def test_a_doors_seal_is_for_one_request_and_one_instance(story: Story) -> None:
    request = story.request()
    sealed = SealedStart.model_validate(sealed_input(KEYS, request, "order-42-workflow", "n")["sealed"])
    assert is_ours(KEYS, request, "order-42-workflow", sealed)
    assert not is_ours(KEYS, request, "order-43-workflow", sealed)
    assert not is_ours(KEYS, request.model_copy(update={"amount": Decimal(499)}), "order-42-workflow", sealed)
    assert not is_ours(KEYS, request.model_copy(update={"submitted_by": "x"}), "order-42-workflow", sealed)
    assert not is_ours(KEYS, request, "order-42-workflow", sealed.model_copy(update={"nonce": "m"}))
    assert not is_ours(FOREIGN, request, "order-42-workflow", sealed)


def test_the_effects_key_stays_in_a_rerun_and_changes_with_a_new_start(story: Story) -> None:
    first = opening(story)
    state = derived(KEYS, approved(story, first), first, LATER)
    later = state.model_copy(update={"outcome": state.outcome and state.outcome.model_copy(update={"at": LATER})})
    assert effect_key(state) == effect_key(later)
    assert effect_key(state) != effect_key(state.model_copy(update={"nonce": "1" * 32}))
    assert effect_key(state) != effect_key(state.model_copy(update={"instance_id": "order-43-workflow"}))


def test_stages_in_evidence_need_their_votes_in_order(story: Story) -> None:
    stages: tuple[Stage, ...] = (story.stage(), story.stage())
    first = opening(story, stages=stages)
    zero = waiting(first)
    one_vote = vote(story, zero)
    one = stepped(KEYS, zero, one_vote, LATER).state
    two_vote = vote(story, one, BOB)
    assert stepped(KEYS, one, two_vote, LATER).state.outcome is not None
    with pytest.raises(NotProvenError):
        derived(KEYS, with_events(opened(KEYS, first), (two_vote,)), first, LATER)
