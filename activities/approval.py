"""The effects that workflows ask for. Each may run more than once, so each is safe to repeat."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import structlog
from dapr.ext.workflow import WorkflowActivityContext

from activities import asking, recording
from activities.clock import now_in_utc
from activities.inputs import (
    AskInput,
    Judged,
    JudgeInput,
    ProcessInput,
    RecordInput,
    Routed,
    RouteInput,
)
from activities.judging import Events, Judge
from activities.observer import ActivityObserver
from activities.policies import PolicyFile
from activities.processing import Processing
from activities.proving import Proven, Prover
from activities.routing import Routing
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import NonRetryableError, SlackRefusedError
from activities.stepping import Steps, write_step
from approvals.decision import Reason
from approvals.evidence import Evidence, NotProvenError, TooEarlyError
from approvals.machine import CardPosted, step
from approvals.request import CardRef
from approvals.state import State
from records import intake, notifications
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)


@contextmanager
def final() -> Iterator[None]:
    """Turn a refusal of Slack into NonRetryableError: each retry would get the same refusal."""
    try:
        yield
    except SlackRefusedError as error:
        raise NonRetryableError(str(error)) from error


class Activities:
    """The activities and their services. Bound methods are registered; workflows name them by `Activities.record`."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        slack: Slack,
        directory: Directory,
        policies: PolicyFile,
        judge: Judge,
        processing: Processing,
        prover: Prover,
        observer: ActivityObserver,
        clock: Callable[[], datetime] = now_in_utc,
    ) -> None:
        self._database = database
        self._cards = asking.Cards(database, slack, directory, clock)
        self._routing = Routing(database, directory, policies, prover.keys, observer, clock)
        self._observer = observer
        self._judge = judge
        self._processing = processing
        self._prover = prover
        self._clock = clock

    def stop(self) -> None:
        """Begin nothing that another process may as well do: waiting cards, and effects that are held."""
        self._cards.stop()
        self._processing.stop()
        self._prover.stop()

    async def route_request(self, ctx: WorkflowActivityContext, asked: RouteInput) -> Routed:
        """Resolve the policy's route for a request and the requester in Slack; record the first step."""
        return await self._routing.route(asked)

    async def request_approval(self, ctx: WorkflowActivityContext, asked: AskInput) -> CardRef:
        """Post the interactive card of a stage; returns where it stands. Posting again finds the card that stands."""
        state, row = await self._current(asked.evidence, "request_approval")
        with final():
            posted = await self._cards.post(state, row)
        self._observer.state_changed(step(state, CardPosted(card=posted.card))[0])
        if posted.stale:
            await self._observer.card_posted(state.instance_id)
        return posted.card

    async def report_unposted(self, ctx: WorkflowActivityContext, asked: AskInput) -> None:
        """Raise the alarm for a card that Slack does not take: the request waits where nobody sees it."""
        state, _ = await self._current(asked.evidence, "report_unposted")
        await asking.report_unposted(self._database, state, self._clock())

    async def judge_decision(self, ctx: WorkflowActivityContext, facts: JudgeInput) -> Judged:
        """Judge what depends on a key or on Slack: the HMAC, who the person is, which groups they are in now.

        What is not signed by us is dropped: one audit entry says how many there were. What was answered is not judged
        again: a decision that was refused is not judged until it is allowed.
        """
        async with self._alarmed(facts.evidence, "judge_decision"):
            state, events, answered = await self._database.look(self._read, facts)
        judgements, dropped = await self._judge.events(events, state, answered)
        dropped += Counter({Reason.MALFORMED: facts.malformed})
        if dropped:
            log.warning("events were refused", instance_id=state.instance_id, why=dict(dropped))
            await self._database.transact(recording.write_dropped, state, dropped, facts.at, self._clock())
        return Judged(judgements=judgements, dropped=dropped.total())

    def _read(self, transaction: Transaction, facts: JudgeInput) -> tuple[State, Events, Collection[str]]:
        state, _ = self._prover.current(transaction, facts.evidence)
        events = self._judge.read(facts.candidates, state)
        return state, events, intake.answered.on(transaction, events.trusted) if events.trusted else ()

    async def record(self, ctx: WorkflowActivityContext, what: RecordInput) -> None:
        """Write all of a step in one transaction: read model, audit, the intake's answers, whom to tell."""
        async with self._alarmed(what.evidence, "record"):
            steps, rows = await self._database.transact(self._write, what)
        self._observer.state_changed(steps.after)
        for decision_id, verdict in steps.answers.items():
            self._observer.decision_answered(decision_id, verdict)
        self._observer.notifications_added(rows)

    def _write(
        self, transaction: Transaction, what: RecordInput
    ) -> tuple[Steps, Sequence[notifications.NotificationRow]]:
        steps = self._prover.steps(transaction, what)
        return steps, write_step(transaction, steps, self._clock())

    async def process_order(self, ctx: WorkflowActivityContext, approved: ProcessInput) -> dict[str, Any]:
        """Process the order once: the key makes a retry idempotent."""
        return await self._processing.order(approved)

    async def call_back(self, ctx: WorkflowActivityContext, approved: ProcessInput) -> dict[str, Any]:
        """Tell another system that its request is approved, with an idempotency key."""
        return await self._processing.callback(approved)

    async def _current(self, evidence: Evidence, where: str) -> Proven:
        async with self._alarmed(evidence, where):
            return await self._database.look(self._prover.current, evidence)

    @asynccontextmanager
    async def _alarmed(self, evidence: Evidence, where: str) -> AsyncIterator[None]:
        """Raise the alarm for what does not follow from evidence, or wait for the clock, after the rollback."""
        try:
            yield
        except NotProvenError as error:
            raise await self._prover.refuse(evidence, error, where) from error
        except TooEarlyError as error:
            await self._prover.reached(error)
            raise
