"""`obtain_approval`: any workflow waits for a human yes in one line.

The generator interprets the state machine of `approvals.machine`: wait for the next decision or moment, call `step`,
carry out the effects in their order. It runs inside the caller's own instance, and replays: no clock, no I/O, no
randomness here.
"""

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from dapr.ext.workflow import DaprWorkflowContext, RetryPolicy, TaskFailedError
from pydantic import ValidationError

from activities import Activities
from activities.inputs import (
    AskInput,
    Judged,
    JudgeInput,
    RecordInput,
    Routed,
    RouteInput,
)
from approvals.decision import APPROVAL_DECISION, Outcome
from approvals.evidence import (
    Counted,
    Evidence,
    SealedStart,
    Stepped,
    counted,
    counts_at,
    with_events,
)
from approvals.machine import (
    Ask,
    CardPosted,
    DecisionJudged,
    Event,
    Started,
    State,
    TimeReached,
    next_due,
    step,
)
from approvals.mailbox import candidate
from approvals.request import ApprovalRequest, CardRef
from approvals.state import current_stage
from approvals.values import Value, in_utc

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The moment of an end that is none: nobody was asked."""

"""The event's name (docs/explanation/dapr.md#event-names-ignore-case)."""

DURABLE = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=1000,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=30),
)
"""For what must happen before the process goes on: the database is ours, so it comes back."""

SLACK = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=6,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=20),
)
"""For what Slack must show. After about half a minute the process goes on; the reconciler mends the card later."""

FIRST_VERSION = "v1"
"""The version of approval_workflow that this is, and that a request without a named version began with."""

ASK_AGAIN = timedelta(minutes=2)
"""A card that could not be posted is tried again this often until the deadline. Meanwhile REST can decide."""

MOST_AT_ONCE = 100
"""Events that are judged together; the rest waits for the next turn."""

MOST_DROPPED = 100
MOST_CHARACTERS = 512 * 1024
"""Of dropped events in one history. Every turn reads all of it again, so a flood would cost its square."""


def call(ctx: DaprWorkflowContext, activity: Callable[..., Any], value: Value, retry: RetryPolicy) -> Any:
    """Schedule an activity by reference, so that an editor can jump from the step to what it does.

    The SDK takes a bound method's function by its name; its type hints only know plain functions.
    """
    return ctx.call_activity(cast("Any", activity), input=value, retry_policy=retry)


Steps = Generator[Any, Any, Any]
"""A generator that yields Dapr tasks and is sent their results."""


def obtain_approval(ctx: DaprWorkflowContext, request: ApprovalRequest) -> Generator[Any, Any, Outcome]:
    """Ask the people whom the policy names, wait for them, and return the outcome.

    Use it as `outcome = yield from obtain_approval(ctx, request)` in any registered workflow: decisions then reach that
    instance as its own event `approval_decision`. It ends at the last stage's deadline at the latest. The card says
    that a workflow asks, and automatic rules apply only if they say `trust: workflows`.
    """
    progress = yield from begin(ctx, request)
    while isinstance(progress, Progress) and progress.state.outcome is None:
        progress = yield from go_on(ctx, progress)
    return outcome_of(progress)


class Progress(Value):
    """The machine's state with its evidence, and what this history holds of others' events.

    `version` is the workflow's: a run that continues as new goes on with the code that it began with.
    """

    version: str = FIRST_VERSION
    state: State
    evidence: Evidence
    unposted: bool = False
    dropped: int = 0
    dropped_characters: int = 0

    @property
    def full(self) -> bool:
        """Whether the history holds so much of others that the workflow should go on with a new one."""
        return self.dropped >= MOST_DROPPED or self.dropped_characters >= MOST_CHARACTERS

    def afresh(self) -> Self:
        """Return the input of the next run."""
        return self.model_copy(update={"dropped": 0, "dropped_characters": 0})


class RefusedStart(Value):
    """A start that was refused: nobody was asked."""

    message: str


def outcome_of(progress: Progress | RefusedStart) -> Outcome:
    """Return how it ended. Raises: ValueError before that."""
    if isinstance(progress, RefusedStart):
        return Outcome(approved=False, reason=progress.message, rule="start", policy_version="", digest="", at=NEVER)
    if progress.state.outcome is None:
        raise ValueError("the request has not ended")
    return progress.state.outcome


def begin(
    ctx: DaprWorkflowContext, request: ApprovalRequest, sealed: SealedStart | None = None
) -> Generator[Any, Any, Progress | RefusedStart]:
    """Find the request's route and ask the people whom it names first."""
    run = in_utc(ctx.current_utc_datetime)
    asked = RouteInput(instance_id=ctx.instance_id, request=request, run=run, sealed=sealed)
    routed = Routed.model_validate((yield call(ctx, Activities.route_request, asked, DURABLE)))
    if routed.state is None or routed.evidence is None:
        return RefusedStart(message=routed.refused)
    state, _ = step(routed.state, Started(at=run))
    progress = Progress(state=state, evidence=routed.evidence)
    ctx.set_custom_status(summary(state, unposted=False))
    return (yield from _ask(ctx, progress)) if state.outcome is None else progress


def go_on(ctx: DaprWorkflowContext, progress: Progress) -> Generator[Any, Any, Progress]:
    """Wait for decisions or for the next moment that is due, and carry out what follows."""
    now = in_utc(ctx.current_utc_datetime)
    due = next_due(progress.state) or now
    wake = min(due, now + ASK_AGAIN) if progress.unposted else due
    try:
        payloads = yield from _events(ctx, wake)
    except TimeoutError:
        now = max(in_utc(ctx.current_utc_datetime), wake)
        if progress.unposted and now < due:
            return (yield from _ask(ctx, progress))
        return (yield from _happened(ctx, progress, [Counted(at=now)]))
    return (yield from _decided(ctx, progress, payloads))


def _events(ctx: DaprWorkflowContext, wake: datetime) -> Generator[Any, Any, list[Any]]:
    """Wait for an event, and take with it all that have come: taking what is there costs no timer and no turn.

    Raises: TimeoutError when none has come until `wake`.
    """
    payloads = [(yield ctx.wait_for_external_event(APPROVAL_DECISION, timeout=wake))]
    while len(payloads) < MOST_AT_ONCE:
        try:
            payloads.append((yield ctx.wait_for_external_event(APPROVAL_DECISION, timeout=timedelta(0))))
        except TimeoutError:
            break
    return payloads


def _decided(ctx: DaprWorkflowContext, progress: Progress, payloads: list[Any]) -> Generator[Any, Any, Progress]:
    """Judge the events that may be decisions, and let the machine take them one after the other."""
    texts = [text for payload in payloads if (text := candidate(payload)) is not None]
    judged = yield from _judge(ctx, progress, texts, len(payloads) - len(texts))
    progress = _dropped(progress, judged.dropped, sum(map(_length, payloads)))
    if not judged.judgements:
        return progress
    now = in_utc(ctx.current_utc_datetime)
    try:
        return (
            yield from _happened(
                ctx, progress, [Counted(vote=vote, at=counts_at(vote, now)) for vote in judged.judgements]
            )
        )
    except TaskFailedError:
        # Not proven: a stranger completed the judging. The alarm is raised, and the true decision comes again.
        return _dropped(progress, len(judged.judgements), 0)


def _dropped(progress: Progress, count: int, characters: int) -> Progress:
    more = {"dropped": progress.dropped + count, "dropped_characters": progress.dropped_characters + characters}
    return progress.model_copy(update=more)


def _length(payload: Any) -> int:
    return len(payload) if isinstance(payload, str) else 0


def _judge(
    ctx: DaprWorkflowContext, progress: Progress, texts: list[str], malformed: int
) -> Generator[Any, Any, Judged]:
    """Let an activity judge what depends on a key or on Slack: a replay gets the same verdicts."""
    now = in_utc(ctx.current_utc_datetime)
    facts = JudgeInput(evidence=progress.evidence, candidates=tuple(texts), malformed=malformed, at=now)
    try:
        found = yield call(ctx, Activities.judge_decision, facts, DURABLE)
        return Judged.model_validate(found)
    except (TaskFailedError, ValidationError):
        return Judged(dropped=len(texts) + malformed)  # what was acknowledged is raised again until it is answered


def _happened(ctx: DaprWorkflowContext, progress: Progress, events: list[Counted]) -> Generator[Any, Any, Progress]:
    """Let the machine take events, record all that follows in one activity, then tell and ask.

    Raises: TaskFailedError if what happened is not proven; nothing follows from it then.
    """
    state, steps = progress.state, []
    count: list[Counted] = []
    for event in events:
        following = Stepped(*step(state, _machines(event)))
        count += counted(event, state, following.state)
        state = following.state
        steps.append(following)
    if any(each.effects for each in steps):
        yield call(ctx, Activities.record, RecordInput(evidence=progress.evidence, events=tuple(events)), DURABLE)
    evidence = with_events(progress.evidence, count)
    progress = progress.model_copy(update={"state": state, "evidence": evidence})
    ctx.set_custom_status(summary(state, unposted=progress.unposted))
    asks = any(isinstance(effect, Ask) for each in steps for effect in each.effects)
    return (yield from _ask(ctx, progress)) if asks and state.outcome is None else progress


def _machines(event: Counted) -> Event:
    if event.vote is None:
        return TimeReached(at=event.at)
    return DecisionJudged(judgement=event.vote.judgement, at=event.at)


def _ask(ctx: DaprWorkflowContext, progress: Progress) -> Generator[Any, Any, Progress]:
    """Post the stage's card. When Slack does not take it, the request waits on: it can be decided without a card."""
    facts = AskInput(evidence=progress.evidence)
    asked = progress.model_copy(update={"unposted": False})
    try:
        posted = CardRef.model_validate((yield call(ctx, Activities.request_approval, facts, SLACK)))
    except (TaskFailedError, ValidationError):
        yield call(ctx, Activities.report_unposted, facts, DURABLE)
        asked = asked.model_copy(update={"unposted": True})
    else:
        state, _ = step(progress.state, CardPosted(card=posted))
        asked = asked.model_copy(update={"state": state})
    ctx.set_custom_status(summary(asked.state, unposted=asked.unposted))
    return asked


def summary(state: State, *, unposted: bool) -> str:
    """Return the custom status: what `dapr workflow list` shows an operator, in under 100 characters."""
    if state.outcome is not None:
        return "approved" if state.outcome.approved else f"rejected: {state.outcome.reason}"[:100]
    if unposted:
        return "waiting, and Slack has not taken the card"
    if state.effective_at is not None:
        return f"approved, takes effect at {state.effective_at.isoformat(timespec='seconds')}"
    needed = current_stage(state).needed
    yes = sum(each.approved for each in state.approvals if each.stage == state.stage)
    votes = f", {yes} of {needed} said yes" if needed > 1 else ""
    return f"waiting for stage {state.stage + 1} of {len(state.route.stages)}{votes}, rule {state.route.rule}"[:100]
