"""Sealed evidence, and what follows from it: whatever comes back from the engine is believed only as far as this goes.

Every program that reaches the sidecar's port can act as a worker. So doors seal requests, activities seal routes and
judgements, and before an effect is carried out the same pure machine derives the state again from what is sealed. A
seal says who made a thing, never that it still holds. Why this way: docs/decisions/0011-sealed-evidence.md.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import Field

from approvals.canonical import canonical_json
from approvals.decision import Judgement
from approvals.digest import content_digest
from approvals.machine import start, step
from approvals.request import ApprovalRequest
from approvals.signing import KeyRing, Purpose, Seal
from approvals.state import DecisionJudged, Effect, Started, State, TimeReached
from approvals.values import Moment, Value

SEALED = "sealed"
"""The field of a workflow's input that holds the door's seal, beside the fields of the request."""

EARLY = timedelta(minutes=1)
"""The most that the engine's clock may be ahead of ours."""

MOST_CHECKED_EVENTS = 60
"""Events that count in one request: votes, reminders, escalations."""


class NotProvenError(Exception):
    """The engine's claim does not follow from sealed evidence. Nothing may be done by it."""


class TooEarlyError(Exception):
    """The engine says that the moment `at` has come, and our clock is more than EARLY before it: try again later."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"{at.isoformat()} is not reached yet by this machine's clock")
        self.at = at


class SealedStart(Value):
    """The door's seal on a start. The nonce makes the effect of this start another than that of any other start."""

    instance_id: str
    nonce: str
    seal: Seal


class SealedJudgement(Value):
    """A judgement with the seal of the activity that made it; `round` and `stage` are where the request stood then."""

    judgement: Judgement
    stage: int = 0
    round: int = 0
    judged_at: Moment
    seal: Seal


class Counted(Value):
    """An event that changed the state: a vote, if there is one, or else a moment that was reached."""

    vote: SealedJudgement | None = None
    at: Moment


class Evidence(Value):
    """The evidence for a request's state. Its content is on record; `opening` is the digest of it."""

    version: Literal[1] = 1
    instance_id: str
    run: Moment
    opening: str = Field(description="SHA-256 hex of the state before anything has happened")
    seal: Seal
    events: tuple[Counted, ...] = Field(default=(), max_length=MOST_CHECKED_EVENTS)


class Stepped(NamedTuple):
    """A state, and the effects of the step that led to it."""

    state: State
    effects: tuple[Effect, ...]


# ---- sealing


def sealed_input(keys: KeyRing, request: ApprovalRequest, instance_id: str, nonce: str) -> dict[str, Any]:
    """Return the input with which a door starts a workflow."""
    seal = keys.seal(Purpose.SEALED_REQUEST, _request_content(request, instance_id, nonce))
    sealed = SealedStart(instance_id=instance_id, nonce=nonce, seal=seal)
    return request.model_dump(mode="json") | {SEALED: sealed.model_dump(mode="json")}


def is_ours(keys: KeyRing, request: ApprovalRequest, instance_id: str, sealed: SealedStart) -> bool:
    """Return whether one of our doors started exactly this request as this instance."""
    content = _request_content(request, instance_id, sealed.nonce)
    return sealed.instance_id == instance_id and keys.opens(Purpose.SEALED_REQUEST, content, sealed.seal)


def _request_content(request: ApprovalRequest, instance_id: str, nonce: str) -> dict[str, str]:
    return {"instance_id": instance_id, "nonce": nonce, "request": content_digest(request)}


def opened(keys: KeyRing, state: State) -> Evidence:
    """Return the evidence of a request whose route was found, and nothing else happened yet."""
    where = {"instance_id": state.instance_id, "run": state.run, "opening": opening_digest(state)}
    return Evidence.model_validate(where | {"seal": keys.seal(Purpose.SEALED_ROUTE, where)})


def opening_of(state: State) -> State:
    """Return the state before anything has happened: what never changes in a request."""
    return start(
        state.instance_id,
        state.request,
        state.route,
        state.run,
        requester=state.requester,
        requester_emails=state.requester_emails,
        origin=state.origin,
        nonce=state.nonce,
    )


def opening_digest(state: State) -> str:
    """Return the digest of the state before anything has happened."""
    return hashlib.sha256(canonical_json(opening_of(state))).hexdigest()


def seal_judgement(keys: KeyRing, judgement: Judgement, state: State, at: Moment) -> SealedJudgement:
    """Return the judgement, sealed for the run, the stage and the round that it was made in."""
    content = _judgement_content(judgement, state, state.stage, state.round, at)
    seal = keys.seal(Purpose.SEALED_JUDGEMENT, content)
    return SealedJudgement(judgement=judgement, stage=state.stage, round=state.round, judged_at=at, seal=seal)


def _judgement_content(judgement: Judgement, state: State, stage: int, round_: int, at: Moment) -> dict[str, Any]:
    # Not what was looked up: it is for the audit, and it does not travel with the evidence.
    found = judgement.model_dump(exclude={"evidence"})
    where = {"instance_id": state.instance_id, "run": state.run, "stage": stage, "round": round_}
    return where | {"judgement": found, "judged_at": at}


# ---- deriving


def demand_seal(keys: KeyRing, evidence: Evidence) -> None:
    """Demand the seal of our own route lookup. Raises: NotProvenError."""
    where = {"instance_id": evidence.instance_id, "run": evidence.run, "opening": evidence.opening}
    if not keys.opens(Purpose.SEALED_ROUTE, where, evidence.seal):
        raise NotProvenError("the route is not sealed by us for this instance and run")


def derived(keys: KeyRing, evidence: Evidence, opening: State, now: Moment) -> State:
    """Return where a request stands by its evidence. Raises: NotProvenError, TooEarlyError."""
    demand_seal(keys, evidence)
    if evidence.opening != opening_digest(opening):
        raise NotProvenError("the request on record is another than the one in evidence")
    state, _ = step(opening_of(opening), Started(at=opening.run))
    for each in evidence.events:
        before, state = state, stepped(keys, state, each, now).state
        if state == before:
            raise NotProvenError("an event in evidence does not count")
    return state


def stepped(keys: KeyRing, state: State, event: Counted, now: Moment) -> Stepped:
    """Return what follows from one more event. Raises: NotProvenError, TooEarlyError."""
    if event.at > now + EARLY:
        raise TooEarlyError(event.at)
    if event.vote is None:
        return Stepped(*step(state, TimeReached(at=event.at)))
    vote = event.vote
    content = _judgement_content(vote.judgement, state, vote.stage, vote.round, vote.judged_at)
    if not keys.opens(Purpose.SEALED_JUDGEMENT, content, vote.seal):
        raise NotProvenError("a judgement is not sealed by us for this instance and run")
    if event.at < vote.judged_at - EARLY:
        raise NotProvenError("a decision is said to have come before it was judged")
    following = Stepped(*step(state, DecisionJudged(judgement=vote.judgement, at=event.at)))
    accepted = len(following.state.approvals) > len(state.approvals)
    if accepted and (vote.stage, vote.round) != (state.stage, state.round):
        raise NotProvenError("a decision was judged for another stage than the one in which it would count")
    return following


def counts_at(vote: SealedJudgement, now: Moment) -> Moment:
    """Return when a decision counts: at the engine's `now`, though not more than EARLY before its judge's clock.

    A judge's clock may be ahead. Its judgement is then counted later, and not refused as one that is said to have come
    before it was judged: in a stage's last minutes that is too late, and at any other time it makes no difference.
    """
    return max(now, vote.judged_at - EARLY)


def counted(event: Counted, before: State, after: State) -> tuple[Counted, ...]:
    """Return the event as it goes into the evidence: not at all if it changed nothing that counts."""
    if event.vote is None:
        return (event,) if after != before else ()
    if len(after.approvals) == len(before.approvals) and after.outcome == before.outcome:
        return ()
    bare = event.vote.judgement.model_copy(update={"evidence": {}})
    return (event.model_copy(update={"vote": event.vote.model_copy(update={"judgement": bare})}),)


def with_events(evidence: Evidence, events: Iterable[Counted]) -> Evidence:
    """Return the evidence with more events."""
    return evidence.model_copy(update={"events": (*evidence.events, *events)})


def effect_key(state: State) -> str:
    """Return the idempotency key of a request's effect: the same for a rerun, another for a new start."""
    return hashlib.sha256(canonical_json(["effect", state.instance_id, state.nonce, _digest(state)])).hexdigest()


def _digest(state: State) -> str:
    return state.outcome.digest if state.outcome else ""
