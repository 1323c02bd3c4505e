"""The machine's rules, one by one."""

from datetime import timedelta
from typing import Any

import pytest

from approvals.decision import Judgement, Reason, Verdict
from approvals.machine import (
    Announce,
    Answer,
    Ask,
    CardPosted,
    DecisionJudged,
    Record,
    Remind,
    Started,
    TimeReached,
    approvers_now,
    binding_of,
    deadline_of,
    next_due,
    step,
)
from approvals.people import Person, SlackUser
from approvals.request import CardRef, Escalation
from tests.approvals.story import Story

HOUR = timedelta(hours=1)
VP = SlackUser(user="UVP")
ESCALATES = Escalation(after=2 * HOUR, to=(VP,))


def kinds(effects: Any) -> Any:
    return [getattr(one, "action", None) or getattr(one, "what", None) or type(one).__name__ for one in effects]


def refusal(effects: Any) -> Any:
    record, answer = effects
    assert isinstance(record, Record)
    assert isinstance(answer, Answer)
    assert record.action == "refused"
    assert record.verdict == answer.verdict
    assert not answer.verdict.allowed
    return answer.verdict.reason


def test_a_started_request_is_recorded_and_then_asked_with_its_binding_and_absolute_deadline(story: Story) -> None:
    state, effects = step(story.new(), Started(at=story.now))
    assert effects == (Record(action="asked"), Ask(binding=binding_of(state), deadline=story.now + 5 * HOUR))
    assert state.phase == "waiting"


def test_an_automatic_rule_approves_at_once_and_posts_no_card(story: Story) -> None:
    state, effects = step(story.new(story.route().model_copy(update={"automatic": True})), Started(at=story.now))
    assert effects == (Record(action="approved"), Announce(what="approved"))
    assert state.outcome.approved
    assert state.outcome.by == ()


def test_a_route_that_leads_to_nobody_is_rejected_and_says_so(story: Story) -> None:
    state, effects = step(story.new(story.route(story.stage(approvers=()))), Started(at=story.now))
    assert kinds(effects) == ["rejected", "rejected"]
    assert state.outcome.reason == "no_approvers"
    assert effects[0].verdict.reason is Reason.NO_APPROVERS


def test_a_yes_that_is_the_last_one_needed_approves(story: Story) -> None:
    state, effects = story.decide(story.waiting())
    assert kinds(effects) == ["accepted", "approved", "approved", "Answer"]
    assert state.outcome.approved
    assert [one.person for one in state.outcome.by] == [story.ann]
    assert state.outcome.digest == binding_of(state).digest


def test_a_yes_of_several_needed_counts_and_waits_for_the_others(story: Story) -> None:
    first, effects = story.decide(story.waiting(story.route(story.stage(needed=2))))
    assert kinds(effects) == ["accepted", "counted", "Answer"]
    assert first.phase == "waiting"
    assert story.decide(first, story.bob)[0].outcome.approved


def test_a_no_rejects_the_whole_request_at_once_with_the_persons_words(story: Story) -> None:
    waiting = story.waiting(story.route(story.stage(needed=2), story.stage()))
    state, effects = story.decide(waiting, approved=False, reason=" too much ")
    assert kinds(effects) == ["accepted", "rejected", "rejected", "Answer"]
    assert (state.outcome.approved, state.outcome.reason) == (False, "too much")


def test_the_next_stage_is_recorded_as_asked_before_anybody_hears_of_it(story: Story) -> None:
    waiting = story.waiting(story.route(story.stage(escalate=ESCALATES, remind=(HOUR,)), story.stage(within=HOUR)))
    later, _ = step(waiting, TimeReached(at=story.now + 2 * HOUR))
    decision = story.decision(later)
    state, effects = step(later, story.judged(decision, at=story.now + 3 * HOUR))
    assert kinds(effects) == ["accepted", "advanced", "asked", "advanced", "Ask", "Answer"]
    assert (state.stage, state.round, state.reminded) == (1, 0, 0)
    assert deadline_of(state) == story.now + 4 * HOUR
    assert effects[4].binding == binding_of(state) != decision.binding


BINDINGS = [
    ("another instance", {"instance_id": "order-1-workflow"}, Reason.WRONG_INSTANCE),
    ("an earlier run of the id", {"run": "2026-01-01T00:00:00Z"}, Reason.REUSED_ID),
    ("another content", {"digest": "0" * 64}, Reason.CHANGED_REQUEST),
    ("a nonce of nobody", {"nonce": "0" * 32}, Reason.FORGED_CARD),
    ("a stage to come", {"stage": 1}, Reason.FORGED_CARD),
    ("a round to come", {"round": 1}, Reason.FORGED_CARD),
]


@pytest.mark.parametrize(("description", "change", "reason"), BINDINGS, ids=[row[0] for row in BINDINGS])
def test_a_decision_bound_to_something_else_is_refused(
    story: Story, description: str, change: Any, reason: Any
) -> None:
    state = story.waiting()
    binding = type(binding_of(state)).model_validate({**binding_of(state).model_dump(), **change})
    after, effects = story.decide(state, binding=binding)
    assert refusal(effects) is reason, description
    assert after.approvals == ()


def test_a_card_of_a_stage_that_is_complete_is_old(story: Story) -> None:
    first = story.waiting(story.route(story.stage(), story.stage()))
    second, _ = story.decide(first)
    _, effects = story.decide(second, story.bob, binding=binding_of(first))
    assert refusal(effects) is Reason.OLD_CARD


def test_a_card_from_before_an_escalation_is_rerouted(story: Story) -> None:
    first = story.waiting(story.route(story.stage(escalate=ESCALATES)))
    escalated, effects = step(first, TimeReached(at=story.now + 2 * HOUR))
    assert kinds(effects) == ["escalated", "escalated"]
    assert approvers_now(escalated) == (*approvers_now(first), VP)
    _, effects = story.decide(escalated, binding=binding_of(first))
    assert refusal(effects) is Reason.REROUTED_CARD
    assert story.decide(escalated)[0].outcome.approved


def test_a_decision_before_anything_was_asked_has_no_card(story: Story) -> None:
    _, effects = story.decide(story.new())
    assert refusal(effects) is Reason.FORGED_CARD


def test_a_decision_at_the_deadline_is_too_late_and_one_just_before_is_not(story: Story) -> None:
    state = story.waiting()
    decision, deadline = story.decision(state), deadline_of(state)
    _, effects = step(state, story.judged(decision, at=deadline))
    assert refusal(effects) is Reason.TOO_LATE
    after, _ = step(state, story.judged(decision, at=deadline - timedelta(microseconds=1)))
    assert after.outcome.approved


def test_a_decision_after_the_end_says_that_the_request_is_over(story: Story) -> None:
    over, _ = story.decide(story.waiting())
    after, effects = story.decide(over, story.bob, approved=False, reason="no")
    assert refusal(effects) is Reason.REQUEST_OVER
    assert after.outcome == over.outcome


OWN = [
    ("the requester's own account", Person(team="T1", user="UREQ"), {}),
    ("the same user id under the enterprise", Person(team="E1", user="UREQ"), {}),
    ("a second account with the requester's e-mail", Person(team="T1", user="U9"), {"emails": ("REQ@Example.com",)}),
    ("a second account with an e-mail known of the requester", Person(team="T1", user="U9"), {"emails": ("r@x.org",)}),
    ("whoever submitted it for the requester", Person(team="T1", user="U9"), {"emails": ("sub@example.com",)}),
    ("somebody in the requester's place", Person(team="T1", user="U9"), {"acting_for": ("ureq",)}),
]


@pytest.mark.parametrize(("description", "person", "found"), OWN, ids=[row[0] for row in OWN])
def test_nobody_decides_on_their_own_request(story: Story, description: str, person: Any, found: Any) -> None:
    state = story.waiting(requester_emails=("req@example.com", "R@x.org"))
    asked = state.request.model_copy(update={"submitted_by": "sub@example.com"})
    state = state.model_copy(update={"request": asked})
    _, effects = step(state, story.judged(story.decision(state, person), **found))
    assert refusal(effects) is Reason.OWN_REQUEST, description


def test_a_requester_who_is_no_slack_user_is_still_known_by_e_mail(story: Story) -> None:
    state = story.waiting(requester=None, requester_emails=())
    _, effects = step(state, story.judged(story.decision(state), emails=("req@EXAMPLE.com",)))
    assert refusal(effects) is Reason.OWN_REQUEST


COUNTED = [
    ("the same person again", Person(team="T1", user="UANN"), {}),
    ("the same person under the enterprise's id", Person(team="E1", user="UANN"), {"emails": ()}),
    ("a second account with the same e-mail", Person(team="T1", user="U9"), {"emails": ("UANN@example.com",)}),
    ("a delegate of somebody who has answered", Person(team="T1", user="U9"), {"acting_for": ("UANN",)}),
]


@pytest.mark.parametrize(("description", "person", "found"), COUNTED, ids=[row[0] for row in COUNTED])
def test_one_person_counts_once_in_a_stage(story: Story, description: str, person: Any, found: Any) -> None:
    state, _ = story.decide(story.waiting(story.route(story.stage(needed=2))))
    _, effects = step(state, story.judged(story.decision(state, person, id="d-2"), **found))
    assert refusal(effects) is Reason.ALREADY_COUNTED, description


def test_an_approver_whose_delegate_has_answered_is_counted_already(story: Story) -> None:
    state = story.waiting(story.route(story.stage(needed=2)))
    state, _ = step(state, story.judged(story.decision(state, story.bob), acting_for=("uann", "uann@example.com")))
    _, effects = story.decide(state, story.ann)
    assert refusal(effects) is Reason.ALREADY_COUNTED


@pytest.mark.parametrize(("may_repeat", "why_not"), [(True, None), (False, Reason.ALREADY_COUNTED)])
def test_one_person_counts_in_two_stages_only_where_the_policy_says_so(
    story: Story, may_repeat: Any, why_not: Reason | None
) -> None:
    route = story.route(story.stage(), story.stage(), same_person_may_repeat=may_repeat)
    state, _ = story.decide(story.waiting(route))
    after, effects = story.decide(state, id="d-2")
    assert bool(after.outcome) is may_repeat
    refused = [each for each in effects if isinstance(each, Record) and each.action == "refused"]
    assert [each.verdict.reason for each in refused if each.verdict] == ([why_not] if why_not else [])


def test_a_rejection_without_a_reason_is_sent_back(story: Story) -> None:
    _, effects = story.decide(story.waiting(), approved=False, reason=" \n")
    assert refusal(effects) is Reason.REASON_MISSING


def test_what_the_judgement_refuses_is_recorded_with_its_evidence_and_answered(story: Story) -> None:
    state, no = story.waiting(), Verdict(allowed=False, reason=Reason.GUEST, rule="person")
    event = story.judged(story.decision(state), no, evidence={"looked_up": "users.info"})
    after, effects = step(state, event)
    assert refusal(effects) is Reason.GUEST
    assert effects[0].judgement == event.judgement
    assert after == state


def test_a_payload_without_a_decision_is_recorded_and_has_nobody_to_answer(story: Story) -> None:
    state = story.waiting()
    for verdict, reason in ((story.ok, Reason.MALFORMED), (Verdict(allowed=False, reason=Reason.UNSIGNED), "unsigned")):
        after, effects = step(state, DecisionJudged(judgement=Judgement(verdict=verdict), at=story.now))
        assert after == state
        assert kinds(effects) == ["refused"]
        assert effects[0].verdict.reason == reason


def test_a_forged_event_does_not_take_the_id_away_from_the_true_decision(story: Story) -> None:
    state = story.waiting()
    forged = story.judged(story.decision(state), Verdict(allowed=False, reason=Reason.BAD_SIGNATURE))
    after, effects = step(state, forged)
    assert refusal(effects) is Reason.BAD_SIGNATURE
    assert story.decide(after)[0].outcome.approved


def test_the_same_decision_again_gets_the_first_answer_even_when_the_second_look_fails(story: Story) -> None:
    state = story.waiting(story.route(story.stage(needed=2)))
    decision = story.decision(state)
    first, _ = step(state, story.judged(decision))
    again, effects = step(first, story.judged(decision, Verdict(allowed=False, reason=Reason.LOOKUP_FAILED)))
    assert again == first
    assert effects == (Answer(decision=decision, verdict=story.ok),)


def test_time_goes_by_reminder_escalation_and_deadline(story: Story) -> None:
    state = story.waiting(story.route(story.stage(remind=(3 * HOUR, HOUR), escalate=ESCALATES)))
    told = []
    while (due := next_due(state)) is not None:
        state, effects = step(state, TimeReached(at=due))
        told.append(((due - story.now) // HOUR, kinds(effects)))
    assert told == [
        (1, ["reminded", "Remind"]),
        (2, ["escalated", "escalated"]),
        (3, ["reminded", "Remind"]),
        (5, ["timed_out", "timed_out"]),
    ]
    assert (state.outcome.approved, state.outcome.reason) == (False, "approval_timeout")


def test_what_was_missed_in_an_outage_becomes_one_reminder_after_all_is_recorded(story: Story) -> None:
    state = story.waiting(story.route(story.stage(remind=(HOUR, 2 * HOUR, 3 * HOUR), escalate=ESCALATES)))
    state, effects = step(state, TimeReached(at=story.now + 4 * HOUR))
    assert kinds(effects) == ["escalated", "reminded", "escalated", "Remind"]
    assert effects[-1] == Remind(number=3, deadline=story.now + 5 * HOUR)
    assert next_due(state) == story.now + 5 * HOUR


def test_after_a_long_outage_only_the_deadline_matters(story: Story) -> None:
    state = story.waiting(story.route(story.stage(remind=(HOUR,), escalate=ESCALATES)))
    _, effects = step(state, TimeReached(at=story.now + 50 * HOUR))
    assert kinds(effects) == ["timed_out", "timed_out"]


def test_a_timer_that_fires_early_or_after_the_end_changes_nothing(story: Story) -> None:
    state = story.waiting(story.route(story.stage(remind=(HOUR,))))
    assert step(state, TimeReached(at=story.now)) == (state, ())
    over, _ = story.decide(state)
    assert step(over, TimeReached(at=story.now + 9 * HOUR)) == (over, ())
    new = story.new()
    assert step(new, TimeReached(at=story.now)) == (new, ())
    assert next_due(new) is None


def test_starting_twice_asks_once(story: Story) -> None:
    state = story.waiting()
    assert step(state, Started(at=story.now + HOUR)) == (state, ())


def test_nothing_asked_has_no_deadline(story: Story) -> None:
    with pytest.raises(ValueError, match="nothing was asked"):
        deadline_of(story.new())


def test_a_card_is_kept_for_its_stage_and_one_posted_again_takes_its_place(story: Story) -> None:
    first, second = (CardRef(channel="C1", ts=ts) for ts in ("1.0", "2.0"))
    state, effects = step(story.waiting(), CardPosted(card=first))
    assert (state.cards, effects) == ((first,), ())
    assert step(state, CardPosted(card=first)) == (state, ())
    state, effects = step(state, CardPosted(card=second))
    assert (state.cards, effects) == ((second,), ())
    assert step(story.new(), CardPosted(card=first)) == (story.new(), ())


ENDS = [
    ("approved", {"approved": True}, "approved"),
    ("rejected", {"approved": False, "reason": "no"}, "rejected"),
]


@pytest.mark.parametrize(("description", "answer", "told"), ENDS, ids=[row[0] for row in ENDS])
def test_a_card_that_comes_up_after_the_end_is_rewritten(
    story: Story, description: str, answer: Any, told: Any
) -> None:
    over, _ = story.decide(story.waiting(), **answer)
    _, effects = step(over, CardPosted(card=CardRef(channel="C1", ts="1.0")))
    assert effects == (Announce(what=told),), description


def test_a_card_that_comes_up_after_the_deadline_says_that_nobody_answered(story: Story) -> None:
    over, _ = step(story.waiting(), TimeReached(at=story.now + 9 * HOUR))
    _, effects = step(over, CardPosted(card=CardRef(channel="C1", ts="1.0")))
    assert effects == (Announce(what="timed_out"),)
