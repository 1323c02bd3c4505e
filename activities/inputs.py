"""Inputs and outputs of the activities: one value each, so that fields can be added while instances run.

Nothing here is believed for coming from the engine: `activities.proving` derives what it claims.
"""

from approvals.evidence import Counted, Evidence, SealedJudgement, SealedStart
from approvals.machine import Record, State
from approvals.request import ApprovalRequest
from approvals.values import Moment, Value


class RouteInput(Value):
    """The request whose route is to be found. `run` is the workflow's clock when it asked, `sealed` the door's seal."""

    instance_id: str
    request: ApprovalRequest
    run: Moment
    sealed: SealedStart | None = None


class Routed(Value):
    """The machine's first state with its evidence; or the message of a start that is refused."""

    state: State | None = None
    evidence: Evidence | None = None
    refused: str = ""


class AskInput(Value):
    """The evidence of a request whose current stage is to be asked."""

    evidence: Evidence


class JudgeInput(Value):
    """The texts of the events that may be decisions, how many came with them that cannot, and the request they meet.

    `at` is the workflow's clock: a repeated activity counts the same drops once.
    """

    evidence: Evidence
    candidates: tuple[str, ...] = ()
    malformed: int = 0
    at: Moment


class Judged(Value):
    """The judgements of events with our signature, in order, and the number of others that were dropped."""

    judgements: tuple[SealedJudgement, ...] = ()
    dropped: int = 0


class RecordInput(Value):
    """Evidence, and the new events whose effects are to be recorded."""

    evidence: Evidence
    events: tuple[Counted, ...] = ()


class Recorded(Value):
    """One thing to write down, the state it led to, and the workflow's clock: the same in every repetition."""

    state: State
    effect: Record
    at: Moment


class ProcessInput(Value):
    """The evidence of an approved request."""

    evidence: Evidence
