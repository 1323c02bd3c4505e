"""One notification made into a message and given to Slack. Who retries is not known here."""

import uuid
from typing import Any

from activities.observer import CardRewriter
from activities.slack.alarming import Alarms, Delivery
from activities.slack.announcing import Announcer
from activities.slack.client import FOR_EVER, Slack
from activities.slack.directory import Directory
from activities.slack.pausing import paused_by
from activities.slack.queue import Urgency
from activities.slack.rendering import card_view, ending_of, passed_view, resolved, still_asked, time_left
from activities.telling import ENDS, STOPPED, Telling, card_of
from approvals.messages import message_for
from approvals.request import CardRef
from approvals.state import State, current_stage
from cards import Message, private, thread
from cards.card_view import CardView
from records import instances
from records.database import Database
from records.instances import Instance
from records.notifications import Notification

NAMESPACE = uuid.UUID("5b0c2f60-9c8e-5f0e-9a57-3f1f0c1b7d4e")


class NotificationSender:
    """Prepares and sends. Raises: SlackUnavailableError, SlackRefusedError, LookupFailedError, NotBegunError."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        slack: Slack,
        directory: Directory,
        announcer: Announcer,
        cards: CardRewriter,
        alarms: Alarms,
    ) -> None:
        self._database = database
        self._slack = slack
        self._directory = directory
        self._announcer = announcer
        self._cards = cards
        self._alarms = alarms

    async def prepare(self, row: Notification) -> Delivery | None:
        """Prepare the message and return the call that sends it; None if it is obsolete."""
        if row.kind == "card":
            # As often as needed: showing the truth twice is harmless.
            return lambda _: self._cards.rewrite(row.instance_id)
        if row.kind == "alarm":
            return await self._alarms.prepare(row, message_id(row))
        telling = Telling.model_validate(row.content)
        found = await self._database.look(instances.get.on, row.instance_id)
        if found is None or found.state is None or found.state.run != telling.run or not _still(found, telling):
            return None
        if row.kind == "requester":
            return await self._direct(row, telling, found, found.state)
        card = card_of(found.cards, telling.stage)
        if row.kind == "answer":
            return self._answer(telling, card, f"{found.state.request.kind} {found.state.request.subject}".strip())
        return await self._reply(row, telling, found, found.state) if card else None

    async def _direct(self, row: Notification, telling: Telling, found: Instance, state: State) -> Delivery:
        message = private.ended(await self._view(telling, found, telling.as_of(state)))
        how: dict[str, Any] = {"urgency": Urgency.TELLING, "patience": FOR_EVER}
        return lambda begin: self._slack.send_dm(telling.user, message, message_id(row), begin=begin, **how)

    async def _reply(self, row: Notification, telling: Telling, found: Instance, state: State) -> Delivery:
        card, message = found.cards[telling.stage], await self._message(telling, found, telling.as_of(state))
        how: dict[str, Any] = {"thread": card.ts, "patience": FOR_EVER}
        return lambda begin: self._slack.post(card.channel, message, message_id(row), begin=begin, **how)

    def _answer(self, telling: Telling, card: CardRef | None, what: str) -> Delivery | None:
        if telling.reason is None:
            return None
        text = f"{what}: {message_for(telling.reason, withdrawal=telling.withdrawal)}"
        channel, message = card.channel if card else None, private.sentence(text)
        return lambda begin: self._announcer.notify(channel, telling.user, message, patience=FOR_EVER, begin=begin)

    async def _message(self, telling: Telling, found: Instance, state: State) -> Message:
        view = await self._view(telling, found, state)
        match telling.what:
            case "counted":
                return thread.counted(view)
            case "advanced":
                return thread.advanced(view)
            case "paused" | "resumed":
                async with self._database.read() as connection:
                    by = await paused_by(connection, found.instance_id, resumed=telling.what == "resumed")
                return thread.resumed(by) if telling.what == "resumed" else thread.paused(by)
            case "reminder":
                waits_for = await still_asked(self._directory, state)
                return thread.reminder(view, telling.number, waits_for, time_left(state, telling.number))
            case "escalated":
                escalation = current_stage(state).escalate
                to = await resolved(self._directory, escalation.to) if escalation else ()
                return thread.escalated(view, to, view.deadline)
            case _:
                return thread.ended(view)

    async def _view(self, telling: Telling, found: Instance, state: State) -> CardView:
        if telling.what == "advanced":
            return await passed_view(self._directory, state, telling.stage)
        ending = ending_of(telling.what, found.output) if telling.what in STOPPED else None
        return await card_view(self._directory, state, ending)


def message_id(row: Notification) -> str:
    """Return a client_msg_id, the same in every attempt. Slack does not document what it does with one."""
    return str(uuid.uuid5(NAMESPACE, row.id))


def _still(found: Instance, telling: Telling) -> bool:
    """Return whether it must still be sent: a reminder of a decided request need not, nor a superseded end."""
    if telling.what == "reminder":
        state = found.state
        return found.phase == "waiting" and state is not None and state.outcome is None and state.stage == telling.stage
    return telling.what not in ENDS or found.ended_as in {None, telling.what}
