"""`obtain_approval`: any workflow waits for a human yes in one line.

The generator interprets the state machine of `approvals.machine`: wait for the next decision or moment, call `step`,
carry out the effects in their order. It runs inside the caller's own instance, and replays: no clock, no I/O, no
randomness here.
"""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Any, Self, cast

from dapr.ext.workflow import DaprWorkflowContext, RetryPolicy, TaskFailedError
from pydantic import ValidationError

from activities import Activities
from activities.inputs import (
    AnnounceInput,
    AnswerInput,
    AskInput,
    Judged,
    JudgeInput,
    RecordInput,
    RemindInput,
    Routed,
    RouteInput,
)
from approvals.decision import Outcome
from approvals.machine import (
    Announce,
    Answer,
    Ask,
    CardPosted,
    DecisionJudged,
    Effect,
    Record,
    Remind,
    Started,
    State,
    TimeReached,
    next_due,
    step,
)
from approvals.mailbox import candidate
from approvals.request import ApprovalRequest, CardRef
from approvals.values import Value, in_utc

APPROVAL_DECISION = "approval_decision"
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
    instance as its own event `approval_decision`. It ends at the last stage's deadline at the latest.
    """
    progress = yield from begin(ctx, request)
    while progress.state.outcome is None:
        progress = yield from go_on(ctx, progress)
    return progress.state.outcome


class Progress(Value):
    """The machine's state, the card that Slack has not taken yet, and how many events were dropped in this history."""

    state: State
    unposted: Ask | None = None
    dropped: int = 0
    dropped_characters: int = 0

    @property
    def full(self) -> bool:
        """Whether the history holds so much of others that the workflow should go on with a new one."""
        return self.dropped >= MOST_DROPPED or self.dropped_characters >= MOST_CHARACTERS

    def afresh(self) -> Self:
        """Return the input of the next run."""
        return self.model_copy(update={"dropped": 0, "dropped_characters": 0})


def begin(ctx: DaprWorkflowContext, request: ApprovalRequest) -> Generator[Any, Any, Progress]:
    """Find the request's route and ask the people whom it names first."""
    run = in_utc(ctx.current_utc_datetime)
    asked = RouteInput(instance_id=ctx.instance_id, request=request, run=run)
    routed = Routed.model_validate((yield call(ctx, Activities.route_request, asked, DURABLE)))
    state, effects = step(routed.state, Started(at=run))
    return (yield from _carry_out(ctx, Progress(state=state), effects))


def go_on(ctx: DaprWorkflowContext, progress: Progress) -> Generator[Any, Any, Progress]:
    """Wait for decisions or for the next moment that is due, and carry out what follows."""
    state, now = progress.state, in_utc(ctx.current_utc_datetime)
    due = next_due(state) or now
    wake = min(due, now + ASK_AGAIN) if progress.unposted else due
    try:
        payloads = yield from _events(ctx, wake)
    except TimeoutError:
        now = max(in_utc(ctx.current_utc_datetime), wake)
        if progress.unposted and now < due:
            return (yield from _carry_out(ctx, progress, (progress.unposted,)))
        state, effects = step(state, TimeReached(at=now))
        return (yield from _carry_out(ctx, progress.model_copy(update={"state": state}), effects))
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
    judged = yield from _judge(ctx, progress.state, texts, len(payloads) - len(texts))
    progress = progress.model_copy(
        update={
            "dropped": progress.dropped + judged.dropped,
            "dropped_characters": progress.dropped_characters + sum(map(_length, payloads)),
        }
    )
    for judgement in judged.judgements:
        state, effects = step(progress.state, DecisionJudged(judgement=judgement, at=in_utc(ctx.current_utc_datetime)))
        progress = yield from _carry_out(ctx, progress.model_copy(update={"state": state}), effects)
    return progress


def _length(payload: Any) -> int:
    return len(payload) if isinstance(payload, str) else 0


def _judge(ctx: DaprWorkflowContext, state: State, texts: list[str], malformed: int) -> Generator[Any, Any, Judged]:
    """Let an activity judge what depends on a key or on Slack: a replay gets the same verdicts."""
    facts = JudgeInput(candidates=tuple(texts), malformed=malformed, state=state, at=in_utc(ctx.current_utc_datetime))
    try:
        found = yield call(ctx, Activities.judge_decision, facts, DURABLE)
        return Judged.model_validate(found)
    except (TaskFailedError, ValidationError):
        return Judged(dropped=len(texts) + malformed)  # what was acknowledged is raised again until it is answered


def _carry_out(
    ctx: DaprWorkflowContext, progress: Progress, effects: tuple[Effect, ...]
) -> Generator[Any, Any, Progress]:
    """Run the effects as activities, in order (law: decide, then audit, then announce)."""
    for effect in effects:
        if isinstance(effect, Ask):
            progress = yield from _ask(ctx, progress, effect)
        else:
            yield from _perform(ctx, progress.state, effect)
    ctx.set_custom_status(summary(progress.state, unposted=progress.unposted is not None))
    return progress


def _ask(ctx: DaprWorkflowContext, progress: Progress, ask: Ask) -> Generator[Any, Any, Progress]:
    """Post the stage's card. When Slack does not take it, the request waits on: it can be decided without a card."""
    facts = AskInput(state=progress.state, ask=ask)
    try:
        posted = yield call(ctx, Activities.request_approval, facts, SLACK)
    except TaskFailedError:
        yield call(ctx, Activities.report_unposted, facts, DURABLE)
        return progress.model_copy(update={"unposted": ask})
    state, effects = step(progress.state, CardPosted(card=CardRef.model_validate(posted)))
    return (yield from _carry_out(ctx, progress.model_copy(update={"state": state, "unposted": None}), effects))


def _perform(ctx: DaprWorkflowContext, state: State, effect: Record | Remind | Announce | Answer) -> Steps:
    """Record for certain; tell people as well as Slack allows (the reconciler repeats what did not reach it)."""
    if isinstance(effect, Record):
        written = RecordInput(state=state, effect=effect, at=in_utc(ctx.current_utc_datetime))
        yield call(ctx, Activities.record, written, DURABLE)
        return
    try:
        if isinstance(effect, Remind):
            facts = RemindInput(state=state, remind=effect)
            yield call(ctx, Activities.remind, facts, SLACK)
        elif isinstance(effect, Answer):
            told = AnswerInput(state=state, answer=effect)
            yield call(ctx, Activities.answer, told, SLACK)
        else:
            news = AnnounceInput(state=state, announce=effect)
            yield call(ctx, Activities.announce, news, SLACK)
    except TaskFailedError:
        return


def summary(state: State, *, unposted: bool) -> str:
    """Return the custom status: what `dapr workflow list` shows an operator, in under 100 characters."""
    if state.outcome is not None:
        return "approved" if state.outcome.approved else f"rejected: {state.outcome.reason}"[:100]
    if unposted:
        return "waiting, and Slack has not taken the card"
    return f"waiting for stage {state.stage + 1} of {len(state.route.stages)}, rule {state.route.rule}"[:100]
