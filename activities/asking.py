"""Post a card once, even if the reply of Slack was lost (docs/explanation/slack.md#a-post-may-be-sent-twice)."""

import uuid
from datetime import datetime, timedelta

import structlog

from activities.inputs import AskInput
from activities.recording import OURS, append_once, shown_of
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import SlackRefusedError
from activities.slack.rendering import card_view
from approvals.audit_actions import AuditAction
from approvals.machine import CardPosted, step
from approvals.request import CardRef
from cards import request_card
from records import audit, instances
from records.database import Database

log = structlog.get_logger(__name__)

UNPOSTED = (
    "Slack has not taken the card, so nobody sees the request there. It is tried again until the deadline; meanwhile "
    "the request can be decided through REST. Look at the channel's name, the app's membership and its token."
)
BEFORE_ASKING = timedelta(minutes=5)
"""Search for a lost card from this long before the asking: Slack's clock and ours differ."""


async def post_card(database: Database, slack: Slack, directory: Directory, asked: AskInput, now: datetime) -> CardRef:
    """Return the card of the asked stage, posting it if none stands yet.

    Raises: SlackUnavailableError, SlackRefusedError.
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
    async with database.write() as connection:
        row = await instances.get(connection, state.instance_id)
        # If the request ended while Slack was posting, the card must not offer a decision (docs/explanation/laws.md).
        wanted = "terminated" if row is not None and row.phase not in OURS else shown
        changes = instances.Changes(cards=posted.cards, posted=nonce, state=posted, shown=shown, wanted=wanted)
        await instances.project(connection, state.instance_id, changes, now)
        told = _entry(asked, AuditAction.CARD_POSTED, now, {"channel": card.channel, "ts": card.ts})
        await append_once(connection, f"{nonce}/{card.ts}", told)
    return card


async def report_unposted(database: Database, asked: AskInput, now: datetime) -> None:
    """Say in the log and in the audit, once for each card, that Slack has not taken it."""
    nonce, instance_id = asked.ask.binding.nonce, asked.state.instance_id
    log.error("a card is not posted", instance_id=instance_id, channel=asked.state.route.channel)
    told = _entry(asked, AuditAction.CARD_UNPOSTED, now, {"channel": asked.state.route.channel})
    async with database.write() as connection:
        await append_once(connection, nonce, told.model_copy(update={"reason": UNPOSTED}))


def _entry(asked: AskInput, action: AuditAction, at: datetime, data: dict[str, str]) -> audit.Entry:
    return audit.Entry(
        at=at,
        actor="workflow",
        action=action,
        instance_id=asked.state.instance_id,
        request_digest=asked.ask.binding.digest,
        through="workflow",
        policy_version=asked.state.route.policy_version,
        data={"nonce": asked.ask.binding.nonce, "stage": asked.state.stage, **data},
    )


async def _lost_card(slack: Slack, channel: str, nonce: str, since: datetime) -> CardRef | None:
    """Find a card that Slack posted though its answer was lost. Only if the optional history scope was granted."""
    if not channel.startswith(("C", "G")):
        return None  # a channel's name, and only an id can be read
    try:
        found = await slack.find_card(channel, nonce, (since - BEFORE_ASKING).timestamp())
    except SlackRefusedError:
        return None
    return found[0] if found else None
