"""Inputs and outputs of the activities: one value each, so that fields can be added while instances run."""

from approvals.decision import Judgement, Outcome
from approvals.machine import Announce, Answer, Ask, Record, Remind, State
from approvals.request import ApprovalRequest
from approvals.values import Moment, Value


class RouteInput(Value):
    """The request whose route is to be found. `run` is the workflow's clock when it asked."""

    instance_id: str
    request: ApprovalRequest
    run: Moment


class Routed(Value):
    """The machine's first state: the request with its route and its requester as Slack knows them."""

    state: State


class AskInput(Value):
    """The card to post: the request's state and the stage that is asked."""

    state: State
    ask: Ask


class JudgeInput(Value):
    """The texts of the events that may be decisions, how many came with them that cannot, and the state they meet.

    `at` is the workflow's clock: a repeated activity counts the same drops once.
    """

    candidates: tuple[str, ...] = ()
    malformed: int = 0
    state: State
    at: Moment


class Judged(Value):
    """The judgements of events with our signature, in order, and the number of others that were dropped."""

    judgements: tuple[Judgement, ...] = ()
    dropped: int = 0


class RecordInput(Value):
    """A record of the machine. `at` is the workflow's clock: the same in every retry."""

    state: State
    effect: Record
    at: Moment | None = None


class RemindInput(Value):
    """A reminder and the state that it is about."""

    state: State
    remind: Remind


class AnnounceInput(Value):
    """The announcement and the state that it is about."""

    state: State
    announce: Announce


class AnswerInput(Value):
    """The answer to the person who decided."""

    state: State
    answer: Answer


class ProcessInput(Value):
    """An approved request and the outcome that allows it."""

    instance_id: str
    request: ApprovalRequest
    outcome: Outcome
