"""Rewrite cards, and send one person an immediate message. Messages that must arrive are notifications."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import structlog

from activities.slack.client import Begin, Slack
from activities.slack.directory import Directory
from activities.slack.failures import NotBegunError, SlackRefusedError
from activities.slack.queue import Urgency
from activities.slack.rendering import card_view, passed_view
from activities.slack.response_urls import ResponseUrls
from approvals import ends
from approvals.request import CardRef
from approvals.state import State
from cards import Message, request_card
from cards.card_view import CardView
from records import instances
from records.database import Database

log = structlog.get_logger(__name__)

UPDATE_PATIENCE_S: Final = 60.0
"""Seconds that a rewritten card may wait in its queue before it is made anew, as things stand then."""


class Announcer:
    """Tells people. Raises: SlackUnavailableError and LookupFailedError, for the caller to try again."""

    def __init__(self, database: Database, slack: Slack, directory: Directory, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._slack = slack
        self._directory = directory
        self._clock = clock
        self.response_urls = ResponseUrls()

    async def show(self, state: State, view: CardView, shown: str) -> None:
        """Rewrite every card of the request to match its state, and note the code of what it shows."""
        for stage, card in enumerate(state.cards):
            if not card.ts:
                continue  # Slack did not take this stage's card, and the stage was decided without it
            if stage == view.binding.stage:
                await self._rewrite(card, request_card.build(view))
            elif stage < state.stage:
                await self._rewrite(card, request_card.build(await passed_view(self._directory, state, stage)))
        await self._note_shown(state.instance_id, shown)

    async def _note_shown(self, instance_id: str, shown: str) -> None:
        changes = instances.Changes(shown=shown)
        async with self._database.write() as connection:
            await instances.project(connection, instance_id, changes, self._clock(), progress=False)

    async def show_over(self, row: instances.Instance) -> None:
        """Take the buttons from the cards, if there are any, of a request purged before they showed its end."""
        what = f"{row.kind} {row.subject}".strip() or row.instance_id
        for card in row.cards:
            if card.ts:
                await self._rewrite(card, request_card.purged(what, ends.shown(row.ended_as)))
        await self._note_shown(row.instance_id, row.wanted)

    async def repair(self, card: CardRef, state: State, stage: int) -> None:
        """Rewrite a card whose posting's reply was lost (docs/explanation/slack.md#a-post-may-be-sent-twice)."""
        passed = stage < state.stage
        view = await (passed_view(self._directory, state, stage) if passed else card_view(self._directory, state))
        await self._rewrite(card, request_card.build(view))

    async def notify(self, channel: str | None, user: str, message: Message, **how: Any) -> None:
        """Tell one person in a channel, where only they see it; by direct message if they are not in it.

        A person who has just clicked there is told at once by the click's response_url.
        """
        if channel is not None:
            if await self._responded(channel, user, message, how.get("begin")):
                return
            try:
                await self._slack.post_ephemeral(channel, user, message, **how)
            except SlackRefusedError:
                log.info("a person is told by direct message instead", channel=channel)
            else:
                return
        await self._slack.send_dm(user, message, urgency=Urgency.ANSWER, **how)

    async def _responded(self, channel: str, user: str, message: Message, begin: Begin | None) -> bool:
        url = self.response_urls.take(channel, user)
        if url is None:
            return False
        if begin is not None and not await begin():
            raise NotBegunError("response_url")
        return await self._slack.respond(url, message)

    async def _rewrite(self, card: CardRef, message: Message) -> None:
        """Rewrite a card. A deleted card shows nothing wrong, so it is no failure."""
        try:
            await self._slack.update(card, message, patience=UPDATE_PATIENCE_S)
        except SlackRefusedError as error:
            if error.error not in {"message_not_found", "channel_not_found", "cant_update_message"}:
                raise
