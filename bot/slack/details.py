"""Everything about one request, from the read model and the audit: for the modal and the dashboard."""

from activities.slack.directory import Directory
from activities.slack.rendering import card_view
from approvals.people import Person
from approvals.request import Binding, CardRef
from approvals.state import State
from bot.control.reading.overview import Overview
from bot.slack.lines import of_story
from cards import details_modal, reject_modal
from cards.binding import UnreadableCardError
from cards.details_modal import DetailsView
from cards.money import money
from cards.reject_modal import RejectTarget
from cards.surface import View
from records import instances

GONE = "This request is not known here any more. Ask your operator: its audit entries are kept."


class Details:
    """Builds modals from the read model. Raises: UnreadableCardError if the request is unknown."""

    def __init__(self, overview: Overview, directory: Directory) -> None:
        self._overview = overview
        self._directory = directory

    async def rejection(self, binding: Binding, card: CardRef | None) -> View:
        """Return the modal that asks for the reason of a rejection. Quick: the trigger lives three seconds."""
        row = await self._row(binding.instance_id)
        if card is None or row.request is None:
            raise UnreadableCardError(GONE)
        asked = row.request
        what = f"{asked.kind} {asked.subject}"
        target = RejectTarget(binding=binding, card=card)
        amount = "" if asked.amount is None else money(asked.amount, asked.currency)
        return reject_modal.build(target, what, amount, asked.requester)

    async def view(self, instance_id: str, person: Person) -> View:
        """Return the modal with everything."""
        row = await self._row(instance_id)
        if row.state is None:
            raise UnreadableCardError(GONE)
        history = tuple(map(of_story, await self._overview.story(instance_id)))
        return details_modal.build(DetailsView(card=await card_view(self._directory, row.state), history=history))

    async def knows(self, instance_id: str, card: CardRef) -> bool:
        """Return whether the card is one that the read model knows of. What cannot be told counts as known."""
        row = await self._overview.row(instance_id)
        return row is None or row.state is None or not row.cards or card.ts in {each.ts for each in row.cards}

    async def paused(self, instance_id: str) -> bool:
        """Return whether an operator has paused the request."""
        row = await self._overview.row(instance_id)
        return row is not None and row.engine_status == "SUSPENDED"

    async def state(self, instance_id: str) -> State | None:
        """Return where a request stands."""
        row = await self._overview.row(instance_id)
        return row.state if row else None

    async def _row(self, instance_id: str) -> instances.Instance:
        row = await self._overview.row(instance_id)
        if row is None:
            raise UnreadableCardError(GONE)
        return row
