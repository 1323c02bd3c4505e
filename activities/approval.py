"""The effects that workflows ask for. Each may run more than once, so each is safe to repeat."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from dapr.ext.workflow import WorkflowActivityContext

from activities import asking, recording
from activities.clock import now_in_utc
from activities.inputs import (
    AnnounceInput,
    AnswerInput,
    AskInput,
    Judged,
    JudgeInput,
    ProcessInput,
    RecordInput,
    RemindInput,
    Routed,
    RouteInput,
)
from activities.judging import Judge
from activities.observer import ActivityObserver
from activities.policies import PolicyFile
from activities.processing import Processing
from activities.routing import Routing
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import NonRetryableError, SlackRefusedError
from activities.telling import notifications_of
from approvals.machine import Announce, Answer, Remind
from approvals.request import CardRef
from approvals.state import State
from records import notifications
from records.database import Database

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
        observer: ActivityObserver,
        clock: Callable[[], datetime] = now_in_utc,
    ) -> None:
        self._database = database
        self._cards = asking.Cards(database, slack, directory, clock)
        self._routing = Routing(database, directory, policies, clock)
        self._observer = observer
        self._judge = judge
        self._processing = processing
        self._clock = clock

    def stop(self) -> None:
        """Begin nothing that another process may as well do: cards that wait for their turn in Slack's queue."""
        self._cards.stop()

    async def route_request(self, ctx: WorkflowActivityContext, asked: RouteInput) -> Routed:
        """Resolve the policy's route for a request, and the requester in Slack."""
        return Routed(state=await self._routing.route(asked))

    async def request_approval(self, ctx: WorkflowActivityContext, asked: AskInput) -> CardRef:
        """Post the interactive card of a stage; returns where it stands. Posting again finds the card that stands."""
        with final():
            card = await self._cards.post(asked)
        self._observer.state_changed(asked.state)
        await self._observer.card_posted(asked.state.instance_id)  # it may have ended meanwhile
        return card

    async def report_unposted(self, ctx: WorkflowActivityContext, asked: AskInput) -> None:
        """Record a card that Slack does not take, so that operators are alerted: nobody sees that the request waits."""
        await asking.report_unposted(self._database, asked, self._clock())

    async def judge_decision(self, ctx: WorkflowActivityContext, facts: JudgeInput) -> Judged:
        """Judge what depends on a key or on Slack: the HMAC, who the person is, which groups they are in now.

        What is not signed by us is dropped: one audit entry says how many there were.
        """
        judgements, dropped = await self._judge.events(facts)
        if dropped:
            log.warning("events were refused", instance_id=facts.state.instance_id, why=dict(dropped))
            async with self._database.write() as connection:
                await recording.write_dropped(connection, facts, dropped, self._clock())
        return Judged(judgements=judgements, dropped=dropped.total())

    async def record(self, ctx: WorkflowActivityContext, what: RecordInput) -> None:
        """Write the read model, the audit entry and the intake's answer in one transaction."""
        async with self._database.write() as connection:
            await recording.write(connection, what, self._clock())
        self._observer.state_changed(what.state)
        if what.effect.decision is not None:
            self._observer.decision_answered(what.effect.decision.id)

    async def remind(self, ctx: WorkflowActivityContext, what: RemindInput) -> None:
        """Have the approvers reminded in the card's thread."""
        await self._tell(what.state, what.remind)

    async def announce(self, ctx: WorkflowActivityContext, news: AnnounceInput) -> None:
        """Have the card rewritten, its thread and the requester told."""
        await self._tell(news.state, news.announce)

    async def answer(self, ctx: WorkflowActivityContext, told: AnswerInput) -> None:
        """Have the person who decided told what became of it, unless the card says it already."""
        await self._tell(told.state, told.answer)

    async def _tell(self, state: State, effect: Announce | Remind | Answer) -> None:
        """Write the notifications of an effect. The notifier sends them: no workflow waits for Slack."""
        rows, now = notifications_of(state, effect), self._clock()
        async with self._database.write() as connection:
            new = await notifications.enqueue(connection, rows, now)
        self._observer.notifications_added(new)

    async def process_order(self, ctx: WorkflowActivityContext, approved: ProcessInput) -> dict[str, Any]:
        """Process the order once: the key makes a retry idempotent."""
        return await self._processing.order(approved)

    async def call_back(self, ctx: WorkflowActivityContext, approved: ProcessInput) -> dict[str, Any]:
        """Tell another system that its request is approved, with an idempotency key."""
        return await self._processing.callback(approved)
