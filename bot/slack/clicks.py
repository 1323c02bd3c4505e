"""The card's buttons and the rejection's modal. Only quick work stands before ack(), and errors are raised there."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext

from activities.slack.announcing import Announcer
from activities.slack.client import Slack
from activities.slack.failures import SlackRefusedError, SlackUnavailableError
from approvals.decision import Reason
from approvals.messages import message_for
from approvals.people import Person
from approvals.request import Binding, CardRef
from bot.access.refusals import Refused
from bot.decisions.submissions import DecisionSubmission, NotConfirmed, SubmissionReceipt, WithdrawalSubmission
from bot.decisions.submitting import Decisions
from bot.process.background import Background
from bot.process.correlation import correlation_id
from bot.slack.answers import Body
from bot.slack.details import Details
from cards import Message, details_modal, private, reject_modal, request_card
from cards.binding import UnreadableCardError, parse_binding
from cards.forms import FieldErrors
from records.errors import RecordsError

log = structlog.get_logger(__name__)


SOON = 2.0
"""Seconds after which a clicker is told that the decision is recorded and not yet decided."""


MENDED_WITHIN = 30.0
"""Seconds that a second card waits for the workflow's answer before it is rewritten as things stand."""


def person_of(body: Body) -> Person:
    """Return who acted, from the signed payload (law: identity comes from signatures alone)."""
    user = body["user"]
    team = user.get("team_id") or (body.get("team") or {}).get("id") or (body.get("enterprise") or {}).get("id") or ""
    return Person(team=team, user=user["id"])


class Clicks:
    """Listens to the card."""

    def __init__(
        self,
        *,
        decisions: Decisions,
        slack: Slack,
        announcer: Announcer,
        details: Details,
        background: Background,
    ) -> None:
        self._decisions = decisions
        self._slack = slack
        self._announcer = announcer
        self._details = details
        self._background = background

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.action(request_card.APPROVE)(self.approve)
        app.action(request_card.REJECT)(self.ask_reason)
        app.action(request_card.DETAILS)(self.details)
        app.action(request_card.MENU)(self.withdraw)
        app.view(reject_modal.CALLBACK)(self.reject)

    async def approve(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        """Take a click on Approve."""
        self._remember(body)
        try:
            binding = parse_binding(action.get("value"))
        except UnreadableCardError as error:
            await ack()
            self._say(_place(body), person_of(body), private.sentence(str(error)))
            return
        try:
            receipt = await self._take(body, context, binding, approved=True, reason="")
        except NotConfirmed as error:
            await ack()  # the message says that it is not confirmed; Slack's own error would hide it
            self._say(_place(body), person_of(body), private.sentence(error.message))
            self._follow_up_late(error.late, body, _place(body), binding)
            return
        except RecordsError:
            # Not recorded, so not acknowledged (law: acknowledged means durable); Slack's own error explains nothing.
            self._say(_place(body), person_of(body), private.went_wrong(correlation_id()))
            raise
        await ack()
        self._follow_up(receipt, body, _place(body), binding)

    async def ask_reason(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Open the modal that asks why; the trigger lives three seconds, so it comes before all else."""
        await ack()
        self._remember(body)
        self._background.start(self._open_rejection(body, action), "open the rejection's modal")

    async def _open_rejection(self, body: Body, action: Body) -> None:
        person, place = person_of(body), _place(body)
        try:
            binding = parse_binding(action.get("value"))
            refusal = await self._decisions.refusal(binding, person)
            if refusal is not None:
                await self._refuse(body, place, await self._refusal(binding, refusal.reason))
                return
            view = await self._details.rejection(binding, place)
            await self._slack.call("views.open", trigger_id=body["trigger_id"], view=view.payload())
        except UnreadableCardError as error:
            await self._tell(place, person, private.sentence(str(error)))
        except (SlackRefusedError, SlackUnavailableError, RecordsError):
            await self._tell(place, person, private.sentence(MODAL_FAILED))

    async def reject(self, ack: AsyncAck, body: Body, view: Body, context: AsyncBoltContext) -> None:
        """Take a rejection with its reason."""
        try:
            rejection = reject_modal.parse(view)
        except UnreadableCardError as error:
            await ack(response_action="update", view=details_modal.failed(str(error)).payload())
            return
        if isinstance(rejection, FieldErrors):
            await ack(rejection.response())
            return
        binding, place = rejection.target.binding, rejection.target.card
        try:
            receipt = await self._take(body, context, binding, approved=False, reason=rejection.reason)
        except NotConfirmed as error:
            await ack(FieldErrors(errors={reject_modal.BLOCK: error.message}).response())
            self._follow_up_late(error.late, body, place, binding)
            return
        except RecordsError as error:
            # The form stays open with what was typed, so that the person loses nothing.
            log.warning("a rejection could not be recorded", why=str(error))
            await ack(FieldErrors(errors={reject_modal.BLOCK: NOT_RECORDED}).response())
            return
        if receipt.taken or receipt.repeated:
            await ack()
            self._follow_up(receipt, body, place, binding)
        else:
            text = await self._refusal(binding, receipt.verdict.reason)
            await ack(response_action="update", view=private.not_counted(text).payload())
            self._background.start(self._mend(receipt, place, binding), "mend a second card")

    async def withdraw(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        """Take the requester's withdrawal, chosen in the card's menu."""
        place = _place(body)
        try:
            binding = parse_binding(_shown_binding(body))
            wanted = WithdrawalSubmission(
                id=context["fingerprint"],
                instance_id=binding.instance_id,
                binding=binding,
                person=person_of(body),
                through="slack",
            )
            receipt = await self._decisions.take(wanted)
        except (UnreadableCardError, Refused) as error:
            await ack()
            self._say(place, person_of(body), private.sentence(str(error)))
            return
        except RecordsError:
            self._say(place, person_of(body), private.went_wrong(correlation_id()))
            raise
        await ack()
        self._follow_up(receipt, body, place, binding, withdrawal=True)

    async def details(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Show everything: a loading modal at once, its content when it is there."""
        await ack()
        self._background.start(self._show_details(body, action), "show a request's details")

    async def _show_details(self, body: Body, action: Body) -> None:
        person, place = person_of(body), _place(body)
        try:
            binding = parse_binding(action.get("value"))
            opened = await self._slack.call(
                "views.open",
                trigger_id=body["trigger_id"],
                view=details_modal.loading(binding.instance_id).payload(),
            )
            view = await self._details.view(binding.instance_id, person)
            await self._slack.call("views.update", view_id=opened["view"]["id"], view=view.payload())
        except UnreadableCardError as error:
            await self._tell(place, person, private.sentence(str(error)))
        except (SlackRefusedError, SlackUnavailableError, RecordsError):
            await self._tell(place, person, private.sentence(MODAL_FAILED))

    async def _take(
        self, body: Body, context: AsyncBoltContext, binding: Binding, *, approved: bool, reason: str
    ) -> SubmissionReceipt:
        wanted = DecisionSubmission(
            id=context["fingerprint"],
            instance_id=binding.instance_id,
            binding=binding,
            person=person_of(body),
            approved=approved,
            reason=reason,
            through="slack",
        )
        return await self._decisions.take(wanted)

    def _remember(self, body: Body) -> None:
        """Keep where this person can be answered at once. What they did not click has no response_url."""
        place, url = _place(body), body.get("response_url")
        if place is not None and url:
            self._announcer.response_urls.keep(place.channel, person_of(body).user, url)

    def _follow_up(
        self,
        receipt: SubmissionReceipt,
        body: Body,
        place: CardRef | None,
        binding: Binding,
        *,
        withdrawal: bool = False,
    ) -> None:
        """Send the person who clicked what the card does not show. A duplicate gets no second message."""
        if receipt.repeated:
            return
        after = self._after(receipt, body, place, binding, withdrawal=withdrawal)
        self._background.start(after, "follow up a click")

    def _follow_up_late(
        self, late: "asyncio.Task[SubmissionReceipt]", body: Body, place: CardRef | None, binding: Binding
    ) -> None:
        """Tell the person what became of a decision that was not confirmed in time."""
        person = person_of(body)

        async def follow() -> None:
            try:
                receipt = await asyncio.shield(late)
            except (RecordsError, Refused) as error:
                log.warning("a decision was not recorded after all", why=str(error), instance_id=binding.instance_id)
                await self._tell(place, person, private.sentence(NOT_RECORDED_LATE))
                return
            if receipt.taken:
                await self._tell(place, person, await self._undecided(binding.instance_id))
            await self._after(receipt, body, place, binding)

        self._background.start(follow(), "follow up a late click")

    async def _after(
        self,
        receipt: SubmissionReceipt,
        body: Body,
        place: CardRef | None,
        binding: Binding,
        *,
        withdrawal: bool = False,
    ) -> None:
        if not receipt.taken:
            why = message_for(receipt.verdict.reason, withdrawal=withdrawal)
            await self._refuse(body, place, f"{await self._name(binding.instance_id)}{why}", withdrawal=withdrawal)
        elif await self._decisions.answer(receipt, SOON) is None:
            await self._tell(place, person_of(body), await self._undecided(binding.instance_id))
        if place is not None:
            await self._mend(receipt, place, binding)

    async def _undecided(self, instance_id: str) -> Message:
        name = await self._name(instance_id)
        return private.kept_while_paused(name) if await self._details.paused(instance_id) else private.recorded(name)

    async def _mend(self, receipt: SubmissionReceipt, place: CardRef, binding: Binding) -> None:
        """Rewrite a second card, which stands where Slack's answer to the first posting was lost."""
        if self._decisions.knows_card(binding.instance_id, place.ts):
            return
        if await self._details.knows(binding.instance_id, place):
            return
        if receipt.taken:
            await self._decisions.answer(receipt, MENDED_WITHIN)
        state = await self._details.state(binding.instance_id)
        try:
            if state is not None:
                await self._announcer.repair(place, state, binding.stage)
        except (SlackRefusedError, SlackUnavailableError) as error:
            log.warning("a second card could not be rewritten", instance_id=binding.instance_id, why=str(error))

    async def _refusal(self, binding: Binding, reason: Reason) -> str:
        return f"{await self._name(binding.instance_id)}{message_for(reason)}"

    async def _name(self, instance_id: str) -> str:
        state = await self._details.state(instance_id)
        return f"{state.request.kind} {state.request.subject}: " if state else ""

    async def _refuse(self, body: Body, place: CardRef | None, text: str, *, withdrawal: bool = False) -> None:
        """Say in a modal why a click does not count; if its trigger is too old, in a message.

        Not in the card's thread: Slack shows a private message in a thread only if the thread has a reply.
        """
        try:
            view = (private.not_withdrawn(text) if withdrawal else private.not_counted(text)).payload()
            await self._slack.call("views.open", trigger_id=body["trigger_id"], view=view)
        except (SlackRefusedError, SlackUnavailableError, KeyError):
            await self._tell(place, person_of(body), private.sentence(text))

    def _say(self, place: CardRef | None, person: Person, message: Message) -> None:
        self._background.start(self._tell(place, person, message), "tell a clicker")

    async def _tell(self, place: CardRef | None, person: Person, message: Message) -> None:
        for attempt in range(3):
            try:
                await self._announcer.notify(place.channel if place else None, person.user, message)
            except SlackUnavailableError:
                await asyncio.sleep(2.0**attempt)
            except SlackRefusedError as error:
                log.warning("a person could not be told", error=error.error)
                return
            else:
                return


def _shown_binding(body: Body) -> Any:
    """Return the value of the Approve button beside the menu, in the message that Slack sends with the click."""
    blocks = (body.get("message") or {}).get("blocks") or []
    elements = (each for block in blocks for each in block.get("elements") or [])
    return next((each.get("value") for each in elements if each.get("action_id") == request_card.APPROVE), None)


NOT_RECORDED_LATE = "Your decision could not be recorded, so nothing was decided. Please click again in a minute."
NOT_RECORDED = "This could not be recorded, so nothing was decided. Please press Reject again in a minute."
MODAL_FAILED = (
    "The window could not be opened in time, so nothing was decided. Please click again; if it stays so, decide with "
    "/approval or tell your operator."
)


def _place(body: Mapping[str, Any]) -> CardRef | None:
    container = body.get("container") or {}
    channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
    ts = container.get("message_ts") or (body.get("message") or {}).get("ts")
    return CardRef(channel=channel, ts=ts) if channel and ts else None
