"""Posting a card, once. The case to think of: Slack did the work and its reply was lost (SLACK.md, trap 5)."""

import uuid
from datetime import datetime, timedelta

from activities.directory import Directory
from activities.failures import SlackRefusedError
from activities.messages import AskInput
from activities.recording import shown_of
from activities.rendering import card_view
from activities.slack import Slack
from approvals.machine import CardPosted, step
from approvals.request import CardRef
from cards import request_card
from records import instances
from records.database import Database

BEFORE_ASKING = timedelta(minutes=5)
"""How far before the asking a lost card is looked for: Slack's clock and ours differ."""


async def post_card(database: Database, slack: Slack, directory: Directory, asked: AskInput, now: datetime) -> CardRef:
    """Return the card of the asked stage, posting it where none stands yet.

    Errors: SlackUnavailableError, SlackRefusedError.
    """
    state, nonce = asked.state, asked.ask.binding.nonce
    async with database.write() as connection:
        row = await instances.get(connection, state.instance_id)
        await instances.project(connection, state.instance_id, instances.Changes(posting=nonce), now, progress=False)
    if row is not None and row.posted == nonce and len(row.cards) > state.stage:
        return row.cards[state.stage]
    card = None
    if row is not None and row.posting == nonce:
        card = await _lost_card(slack, state.route.channel, nonce, row.created_at)
    if card is None:
        message = request_card.build(await card_view(directory, state))
        card = await slack.post(state.route.channel, message, client_msg_id=str(uuid.UUID(nonce)))
    posted, _ = step(state, CardPosted(card=card))
    shown = shown_of(posted)
    changes = instances.Changes(cards=posted.cards, posted=nonce, state=posted, shown=shown, wanted=shown)
    async with database.write() as connection:
        await instances.project(connection, state.instance_id, changes, now)
    return card


async def _lost_card(slack: Slack, channel: str, nonce: str, since: datetime) -> CardRef | None:
    """Find a card that Slack posted though its answer was lost. Only where the optional history scope was granted."""
    if not channel.startswith(("C", "G")):
        return None  # a channel's name, and only an id can be read
    try:
        found = await slack.find_card(channel, nonce, (since - BEFORE_ASKING).timestamp())
    except SlackRefusedError:
        return None
    return found[0] if found else None
