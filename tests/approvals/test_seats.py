"""Seats: a stage is complete if different people fill all of them, in whatever order they voted."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.decision import Reason
from approvals.judgement import Asked, DirectoryFacts, Home, may_decide
from approvals.machine import State, TimeReached, step
from approvals.people import EmailAddress, Person, Profile, UserGroup
from approvals.request import Escalation, Route, Seat, Stage
from approvals.seats import filled, fills_one, key_of, places
from tests.approvals.story import ANN, BOB, HOUR, NOW, OK, Story

STORY = Story()
LEGAL, FINANCE, SECURITY = (UserGroup(group=name) for name in ("legal", "finance", "security"))
SEATS = (Seat(name="legal", any_of=(LEGAL,)), Seat(name="finance", any_of=(FINANCE, EmailAddress(email="cfo@x.com"))))

groups = st.frozensets(st.sampled_from(["group legal", "group finance", "group security"]))
memberships = st.lists(groups.map(lambda found: tuple(sorted(found))), max_size=4)
seatings = st.lists(
    st.tuples(st.sampled_from([LEGAL, FINANCE, SECURITY]), st.integers(1, 2)), min_size=1, max_size=3
).map(lambda found: tuple(Seat(name=str(n), any_of=(who,), needed=many) for n, (who, many) in enumerate(found)))


def assignment_exists(seats: tuple[Seat, ...], votes: list[tuple[str, ...]]) -> bool:
    """Try every way to put different people on all places."""
    free = places(seats)
    return any(
        all(not fits.isdisjoint(votes[voter]) for fits, voter in zip(free, order, strict=True))
        for order in permutations(range(len(votes)), len(free))
    )


@given(seatings, memberships)
@settings(max_examples=500)
def test_all_places_are_filled_exactly_if_different_people_can_fill_them(
    seats: tuple[Seat, ...], votes: list[tuple[str, ...]]
) -> None:
    assert (filled(seats, votes) == len(places(seats))) == assignment_exists(seats, votes)


@given(seatings, memberships, st.randoms())
@settings(max_examples=300)
def test_the_order_of_the_votes_makes_no_difference(
    seats: tuple[Seat, ...], votes: list[tuple[str, ...]], chance: object
) -> None:
    mixed = list(votes)
    chance.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis' Random
    assert filled(seats, mixed) == filled(seats, votes)


@given(seatings, memberships, groups)
@settings(max_examples=300)
def test_one_yes_more_never_fills_fewer_places(
    seats: tuple[Seat, ...], votes: list[tuple[str, ...]], more: frozenset[str]
) -> None:
    before, after = filled(seats, votes), filled(seats, [*votes, tuple(more)])
    assert before <= after <= before + 1


def test_who_is_in_two_groups_makes_room_for_who_is_in_one() -> None:
    both, legal_alone = ("group legal", "group finance"), ("group legal",)
    assert filled(SEATS, [both]) == 1
    assert filled(SEATS, [both, legal_alone]) == 2
    assert filled(SEATS, [legal_alone, legal_alone]) == 1


# ---- in the machine


def waiting() -> State:
    stage = Stage(approvers=(LEGAL, FINANCE, EmailAddress(email="cfo@x.com")), within=5 * HOUR, needed=2, seats=SEATS)
    return STORY.waiting(STORY.route(stage))


def yes(state: State, person: Person, *matches: str) -> State:
    decision = STORY.decision(state, person)
    return step(state, STORY.judged(decision, OK, matches=matches))[0]


@pytest.mark.parametrize("turned", [False, True])
def test_a_stage_with_seats_is_complete_in_either_order(turned: bool) -> None:  # noqa: FBT001
    votes = [(ANN, ("group legal", "group finance")), (BOB, ("group legal",))]
    state = waiting()
    for person, matches in votes[:: -1 if turned else 1]:
        assert state.outcome is None
        state = yes(state, person, *matches)
    assert state.outcome is not None
    assert state.outcome.approved


def test_two_yeses_for_one_seat_leave_the_other_empty() -> None:
    state = yes(yes(waiting(), ANN, "group legal"), BOB, "group legal")
    assert state.outcome is None
    ended, _ = step(state, TimeReached(at=NOW + 5 * HOUR))
    assert ended.outcome is not None
    assert not ended.outcome.approved


def test_a_yes_for_a_seat_that_is_filled_is_refused_and_a_no_counts() -> None:
    state = yes(waiting(), ANN, "group legal")
    same, effects = step(state, STORY.judged(STORY.decision(state, BOB), OK, matches=("group legal",)))
    assert same == state
    assert [effect.verdict.reason for effect in effects] == [Reason.SEATS_FILLED] * 2  # type: ignore[union-attr]
    no = STORY.decision(state, BOB, approved=False, reason="Too risky")
    ended, _ = step(state, STORY.judged(no, OK, matches=("group legal",)))
    assert ended.outcome is not None
    assert not ended.outcome.approved


def test_after_an_escalation_those_whom_it_names_fill_any_seat() -> None:
    escalate = Escalation(after=HOUR, to=(SECURITY,))
    stage = Stage(approvers=(LEGAL, FINANCE), within=5 * HOUR, needed=2, seats=SEATS, escalate=escalate)
    state = yes(STORY.waiting(STORY.route(stage)), ANN, "group legal")
    escalated, _ = step(state, TimeReached(at=NOW + HOUR))
    ended = yes(escalated, BOB, "group security")
    assert ended.outcome is not None
    assert ended.outcome.approved


@given(seatings, memberships, memberships)
@settings(max_examples=300)
def test_a_yes_that_fills_no_place_now_fills_none_later(
    seats: tuple[Seat, ...], votes: list[tuple[str, ...]], later: list[tuple[str, ...]]
) -> None:
    for number, vote in enumerate(votes):
        if not fills_one(seats, votes[:number], vote):
            without = [*votes[:number], *votes[number + 1 :], *later]
            assert filled(seats, without) == filled(seats, [*votes, *later])


def test_a_stage_without_seats_is_stored_and_sealed_as_before() -> None:
    stage = STORY.stage()
    assert "seats" not in stage.model_dump()
    approved = yes(STORY.waiting(), ANN)
    assert "matches" not in approved.approvals[0].model_dump()


# ---- what a judgement finds


def asked() -> Asked:
    stage = Stage(approvers=(LEGAL, FINANCE), within=timedelta(hours=1), needed=2, seats=SEATS)
    route = Route(rule="r", why="w", policy_version="0" * 12, stages=(stage,))
    return Asked(route=route, requester="req@example.com", requester_person=Person(team="T1", user="UREQ"))


def profile(person: Person) -> Profile:
    return Profile(person=person, email="ann@x.com", name="Ann")


def test_a_yes_keeps_every_principal_that_matched() -> None:
    directory = DirectoryFacts(home=Home(team="T1"), memberships={"legal": {ANN.user}, "finance": {ANN.user}})
    standing = may_decide(ANN, profile(ANN), asked(), directory, NOW)
    assert standing.matches == (key_of(LEGAL), key_of(FINANCE))


def test_a_group_that_cannot_be_looked_up_keeps_a_yes_from_counting_for_too_little() -> None:
    directory = DirectoryFacts(home=Home(team="T1"), memberships={"legal": {ANN.user}, "finance": "failed"})
    standing = may_decide(ANN, profile(ANN), asked(), directory, NOW)
    assert (standing.verdict.allowed, standing.verdict.reason.value) == (False, "lookup_failed")
