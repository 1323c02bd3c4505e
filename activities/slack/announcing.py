"""Announce what the workflow decided: rewrite the card, reply in its thread, notify the requester.

Only after it is recorded (law: decide, then audit, then announce). Each message is noted once Slack has taken it, so
that a retry sends only what is missing.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from activities.recording import shown_of
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import SlackRefusedError
from activities.slack.rendering import card_view, passed_view, resolved
from approvals.decision import Reason
from approvals.machine import Announce, Answer, Remind, State
from approvals.messages import sentence
from approvals.request import CardRef
from approvals.state import current_stage
from cards import Message, private, request_card, thread
from cards.request_card import CardView, Ending
from records import instances, sent
from records.database import Database

log = structlog.get_logger(__name__)

ENDS = frozenset({"approved", "rejected", "timed_out"})
QUIET = frozenset({Reason.ALLOWED, Reason.DUPLICATE})
"""With these the card, or the first answer, has said it all."""


class Announcer:
    """Tells people. Raises: SlackUnavailableError and LookupFailedError, for the caller to try again."""

    def __init__(self, database: Database, slack: Slack, directory: Directory, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._slack = slack
        self._directory = directory
        self._clock = clock

    async def announce(self, state: State, what: Announce) -> None:
        """Show and tell what became of the request, or of its stage."""
        view = await self._view(state, what)
        await self.show(state, view)
        about = f"{state.instance_id}/{state.run.isoformat()}/{what.what}/{state.stage}/{len(state.approvals)}"
        reply = await self._reply_for(state, what, view)
        place = _newest(state)
        if reply is not None and place is not None:
            await self._once(f"{about}/thread", lambda: self._reply(place, reply))
        await self._tell_requester(state, what, view, about)

    async def end(self, state: State, ending: Ending) -> None:
        """Show and tell an end that the workflow could not announce itself: terminated, or vanished."""
        if not state.cards:
            return
        view = await card_view(self._directory, state, ending)
        await self.show(state, view)
        about = f"{state.instance_id}/{state.run.isoformat()}/{ending.kind}"
        await self._once(
            f"{about}/thread",
            lambda: self._reply(state.cards[-1], thread.ended(view)),
        )
        if state.requester is not None:
            user = state.requester.user
            await self._once(f"{about}/requester", lambda: self._slack.direct(user, private.ended(view)))

    async def show(self, state: State, view: CardView) -> None:
        """Rewrite every card of the request so that it tells the truth, and note what it shows."""
        for stage, card in enumerate(state.cards):
            if not card.ts:
                continue  # Slack did not take this stage's card, and the stage was decided without it
            if stage == view.binding.stage:
                await self._rewrite(card, request_card.build(view))
            elif stage < state.stage:
                await self._rewrite(card, request_card.build(await passed_view(self._directory, state, stage)))
        # Without a card nothing is shown: a request that the policy approved unasked has none to repair.
        shown = "" if not state.cards else view.ending.kind if view.ending else shown_of(state)
        changes = instances.Changes(shown=shown)
        async with self._database.write() as connection:
            await instances.project(connection, state.instance_id, changes, self._clock(), progress=False)

    async def mend(self, card: CardRef, state: State, stage: int) -> None:
        """Rewrite a card whose posting's reply was lost (docs/explanation/slack.md#a-post-may-be-sent-twice)."""
        passed = stage < state.stage
        view = await (passed_view(self._directory, state, stage) if passed else card_view(self._directory, state))
        await self._rewrite(card, request_card.build(view))

    async def remind(self, state: State, what: Remind) -> None:
        """Remind the approvers in the card's thread; without a card there is no thread to remind in."""
        place = _newest(state)
        if place is None:
            return
        view = await card_view(self._directory, state)
        about = f"{state.instance_id}/{state.run.isoformat()}/reminder/{state.stage}/{what.number}"
        await self._once(about, lambda: self._reply(place, thread.reminder(view, what.number)))

    async def answer(self, state: State, told: Answer) -> None:
        """Tell the person who decided, where they see it alone. What the card shows already is not said again."""
        decision = told.decision
        if told.verdict.reason in QUIET or decision.through != "slack":
            return
        try:
            await self.whisper(state, decision.person.user, private.sentence(sentence(told.verdict.reason)))
        except SlackRefusedError as error:  # somebody who cannot be reached, such as a leaver, must not hold it up
            log.warning("a person could not be told", instance_id=state.instance_id, why=str(error))

    async def whisper(self, state: State, user: str, message: Message) -> None:
        """Say something to one person beside the card; by direct message where the channel does not have them."""
        place = _newest(state)
        await self.tell(place.channel if place else None, user, message)

    async def tell(self, channel: str | None, user: str, message: Message) -> None:
        """Say something to one person in a channel, where only they see it; by direct message where that cannot be."""
        if channel is not None:
            try:
                await self._slack.whisper(channel, user, message)
            except SlackRefusedError:
                log.info("a person is told by direct message instead", channel=channel)
            else:
                return
        await self._slack.direct(user, message)

    async def _view(self, state: State, what: Announce) -> CardView:
        if what.what == "advanced":
            return await passed_view(self._directory, state, state.stage - 1)
        return await card_view(self._directory, state)

    async def _reply_for(self, state: State, what: Announce, view: CardView) -> Message | None:
        if what.what in ENDS:
            return thread.ended(view)
        if what.what == "counted":
            return thread.counted(view)
        if what.what == "advanced":
            return thread.advanced(view)
        escalation = current_stage(state).escalate
        if escalation is None:
            return None
        return thread.escalated(view, await resolved(self._directory, escalation.to), view.deadline)

    async def _tell_requester(self, state: State, what: Announce, view: CardView, about: str) -> None:
        if state.requester is None or what.what not in ENDS:
            return
        user = state.requester.user
        await self._once(f"{about}/requester", lambda: self._slack.direct(user, private.ended(view)))

    async def _rewrite(self, card: CardRef, message: Message) -> None:
        """Rewrite a card. One that somebody deleted cannot lie, so its absence is no failure."""
        try:
            await self._slack.update(card, message)
        except SlackRefusedError as error:
            if error.error not in {"message_not_found", "channel_not_found", "cant_update_message"}:
                raise

    async def _reply(self, card: CardRef, message: Message) -> None:
        await self._slack.post(card.channel, message, thread=card.ts)

    async def _once(self, key: str, telling: Callable[[], Awaitable[object]]) -> None:
        async with self._database.read() as connection:
            if await sent.was(connection, key):
                return
        try:
            await telling()
        except SlackRefusedError:
            return  # a person who cannot be reached, such as a deactivated requester, must not hold up the process
        async with self._database.write() as connection:
            await sent.note(connection, key, self._clock())


def _newest(state: State) -> CardRef | None:
    """Return where the current stage's card stands, None while Slack has not taken it."""
    card = state.cards[state.stage] if len(state.cards) > state.stage else None
    return card if card is not None and card.ts else None
