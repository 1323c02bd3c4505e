"""The machine's values: a request's state and what follows from it alone, the events, the effects."""

from typing import Literal

from pydantic import Field

from approvals.decision import Approval, Judgement, Outcome, Submitted, Verdict
from approvals.digest import bind, digest_of
from approvals.people import Person, Principal
from approvals.request import ApprovalRequest, Binding, CardRef, Route, Stage
from approvals.values import Moment, Value, absent

# ---- state


Origin = Literal["door", "workflow"]
"""The origin of a request: one of our doors, sealed, or a workflow that anyone at the sidecar's port may start."""


class State(Value):
    """The state of a request. `phase` new → waiting → over; `cards` one for each stage asked so far.

    With an undo window it is approved_pending between the last yes and `effective_at`, when it takes effect.
    """

    instance_id: str
    request: ApprovalRequest
    route: Route
    requester: Person | None = Field(
        default=None, description="the requester as Slack knows them, if they could be found"
    )
    requester_emails: tuple[str, ...] = ()
    run: Moment
    phase: Literal["new", "waiting", "approved_pending", "over"] = "new"
    stage: int = 0
    round: int = 0
    asked_at: Moment | None = Field(default=None, description="when the current stage was asked")
    reminded: int = Field(default=0, description="reminders of the current stage that are sent")
    approvals: tuple[Approval, ...] = ()
    seen: tuple[str, ...] = Field(
        default=(), description="ids of the decisions that count; a refused one leaves no trace here"
    )
    verdicts: tuple[Verdict, ...] = Field(default=(), description="what was answered, in the order of `seen`")
    cards: tuple[CardRef, ...] = Field(default=(), description="by stage; empty where Slack never took the card")
    outcome: Outcome | None = None
    origin: Origin = Field(
        default="workflow", description="a door knows who submits; a workflow in whose name anybody may ask does not"
    )
    effective_at: Moment | None = Field(
        default=None, exclude_if=absent, description="when the approval takes effect, if no yes is taken back before"
    )
    taken_back: int = Field(
        default=0, exclude_if=lambda count: count == 0, description="yeses of the current stage that were taken back"
    )
    nonce: str = Field(default="", description="of the door that started it: the effect's key comes from it")


def current_stage(state: State) -> Stage:
    """Return the stage that is asked now, or was asked last."""
    return state.route.stages[state.stage]


def yeses_of(state: State) -> tuple[Approval, ...]:
    """Return the yeses that count in the stage that is asked now, or was asked last."""
    return tuple(each for each in state.approvals if each.stage == state.stage and each.approved)


def deadline_of(state: State) -> Moment:
    """Return when the current stage ends without an answer. Raises ValueError before it was asked."""
    if state.asked_at is None:
        raise ValueError("nothing was asked yet, so there is no deadline")
    return state.asked_at + current_stage(state).within


def is_escalated(state: State) -> bool:
    """Return whether the current stage's escalation has happened."""
    return state.round > 0


def approvers_now(state: State) -> tuple[Principal, ...]:
    """Return who may decide now: the stage's approvers, and after an escalation also those it names."""
    return approvers_of(current_stage(state), state.round)


def approvers_of(stage: Stage, round_: int) -> tuple[Principal, ...]:
    """Return who may decide in this round of the stage."""
    if round_ == 0 or stage.escalate is None:
        return stage.approvers
    return (*stage.approvers, *stage.escalate.to)


def binding_of(state: State) -> Binding:
    """Return the current card's binding. The same state always gives the same binding."""
    digest = digest_of(state.request, state.route, state.instance_id)
    # A yes that was taken back makes the card another one, as an escalation does: what was clicked before is too old.
    return bind(state.instance_id, state.run, state.stage, state.round + state.taken_back, digest)


# ---- events


class Started(Value):
    """The request's route is known; asking may begin."""

    at: Moment


class CardPosted(Value):
    """The current stage's card stands in Slack."""

    card: CardRef


class DecisionJudged(Value):
    """An `approval_decision` event came in and judge_decision has looked at it."""

    judgement: Judgement
    at: Moment


class TimeReached(Value):
    """The workflow's timer fired: something of `next_due` is due at `at`."""

    at: Moment


Event = Started | CardPosted | DecisionJudged | TimeReached

# ---- effects


class Record(Value):
    """Write the read model and one audit entry, in one transaction.

    `decision` and `verdict` are there if a decision, or anything else that was submitted, is answered.
    """

    type: Literal["record"] = "record"
    action: Literal[
        "asked", "reminded", "escalated", "accepted", "refused", "advanced",
        "approved", "rejected", "timed_out", "withdrawn", "taken_back",
    ]  # fmt: skip
    decision: Submitted | None = None
    verdict: Verdict | None = None
    judgement: Judgement | None = None


class Ask(Value):
    """Post the current stage's card (activity request_approval)."""

    type: Literal["ask"] = "ask"
    binding: Binding
    deadline: Moment


class Remind(Value):
    """Remind the approvers of the current stage in the card's thread. `number` counts from 1."""

    type: Literal["remind"] = "remind"
    number: int
    deadline: Moment


class Announce(Value):
    """Rewrite the card(s), reply in the thread, tell the requester. `what` says which of the messages it is."""

    type: Literal["announce"] = "announce"
    what: Literal["counted", "taken_back", "advanced", "escalated", "approved", "rejected", "timed_out", "withdrawn"]


class Answer(Value):
    """Tell the person who decided or submitted something else, privately, what became of it."""

    type: Literal["answer"] = "answer"
    decision: Submitted
    verdict: Verdict


Effect = Record | Ask | Remind | Announce | Answer
