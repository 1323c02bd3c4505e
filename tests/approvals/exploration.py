"""The machine explored: every event in every state that can be reached, for three people and two stages."""

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import NamedTuple

from approvals.decision import Judgement, Reason, Verdict
from approvals.machine import CardPosted, DecisionJudged, Effect, Event, Started, State, TimeReached, binding_of, step
from approvals.people import SlackUser
from approvals.request import Binding, CardRef, Escalation, Route
from tests.approvals.story import HOUR, NOW, OK, PEOPLE, Story


class Seen(NamedTuple):
    """One step that was taken: from where, by what, to where, with which effects."""

    before: State
    event: Event
    after: State
    effects: tuple[Effect, ...]


ESCALATION = Escalation(after=2 * HOUR, to=(SlackUser(user="UVP"),))
TICKS = tuple(n * HOUR for n in range(6))


def routes(story: Story) -> dict[str, Route]:
    first = story.stage(needed=1, remind=(HOUR, 3 * HOUR), escalate=ESCALATION)
    return {
        "two stages, each its own person": story.route(first, story.stage(remind=(2 * HOUR,))),
        "two of three, then one who may repeat": story.route(
            story.stage(needed=2, escalate=ESCALATION), story.stage(), same_person_may_repeat=True
        ),
        "one stage that escalates": story.route(story.stage(escalate=ESCALATION)),
        "automatic": story.route(automatic=True).model_copy(update={"stages": ()}),
        "no stages": story.route().model_copy(update={"stages": ()}),
        "a second stage without approvers": story.route(story.stage(), story.stage(approvers=())),
    }


def bindings(state: State) -> Iterator[Binding]:
    now = binding_of(state)
    yield now
    yield now.model_copy(update={"instance_id": "order-43-workflow"})
    yield now.model_copy(update={"run": NOW - HOUR})
    yield now.model_copy(update={"digest": "0" * 64})
    yield now.model_copy(update={"nonce": "0" * 32})
    if state.stage:
        yield binding_of(state.model_copy(update={"stage": state.stage - 1}))
    if state.round:
        yield binding_of(state.model_copy(update={"round": 0}))


VERDICTS = (
    OK,
    Verdict(allowed=False, reason=Reason.NOT_AN_APPROVER),
    Verdict(allowed=False, reason=Reason.BAD_SIGNATURE),
)
ANSWERS = ((True, ""), (False, "too much"), (False, " "))


def events(story: Story, state: State, passed: timedelta) -> Iterator[Event]:
    at = NOW + passed
    yield Started(at=at)
    yield CardPosted(card=CardRef(channel="C1", ts=f"{state.stage}.0"))
    yield from (TimeReached(at=NOW + tick) for tick in TICKS if tick >= passed)
    yield DecisionJudged(judgement=Judgement(verdict=VERDICTS[2]), at=at)
    current, *others = bindings(state)
    for person, (approved, reason), verdict in product(PEOPLE, ANSWERS, VERDICTS):
        decision = story.decision(state, person, approved=approved, reason=reason, binding=current)
        yield story.judged(decision, verdict, at)
    for person, binding in product(PEOPLE, others):
        yield story.judged(story.decision(state, person, binding=binding), at=at)
    yield from (story.submitted(story.withdrawal(person=person, binding=current), at=at) for person in PEOPLE)
    yield from (story.submitted(story.withdrawal(binding=binding), at=at) for binding in others)
    yield from (story.submitted(story.withdrawal(binding=current), verdict, at) for verdict in VERDICTS[1:])


def canonical(state: State) -> State:
    """Return the state as if everything had happened at one moment, and without the ids it has answered for.

    Ids only ever lead to the answer that was given before; that is tried at every step instead.
    """
    outcome = state.outcome and state.outcome.model_copy(update={"at": NOW, "by": ()})
    approvals = tuple(
        approval.model_copy(update={"at": NOW, "decision_id": "", "reason": ""}) for approval in state.approvals
    )
    update = {
        "asked_at": state.asked_at and NOW,
        "approvals": approvals,
        "outcome": outcome,
        "seen": (),
        "verdicts": (),
    }
    return state.model_copy(update=update)


def explore(story: Story, first: State) -> list[Seen]:
    """Take every event in every state that can be reached, time going forwards."""
    taken: list[Seen] = []
    todo = deque([(first, timedelta())])
    known = {(first.model_dump_json(), timedelta())}
    while todo:
        state, passed = todo.popleft()
        for event in events(story, state, passed):
            after, effects = step(state, event)
            taken.append(Seen(state, event, after, effects))
            at = event.at - NOW if isinstance(event, TimeReached) else passed
            later = timedelta() if after.asked_at != state.asked_at else at
            found = canonical(after)
            key = (found.model_dump_json(), later)
            if key not in known and (found != state or later != passed):
                known.add(key)
                todo.append((found, later))
    return taken
