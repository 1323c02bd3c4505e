"""Post a card once, even if the reply of Slack was lost (docs/explanation/slack.md#a-post-may-be-sent-twice)."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import structlog

from activities import turns
from activities.recording import OURS, append_once, shown_of
from activities.slack.client import FOR_EVER, Slack
from activities.slack.directory import Directory
from activities.slack.failures import NonRetryableError, NotBegunError, SlackRefusedError, SlackUnavailableError
from activities.slack.queue import Urgency
from activities.slack.rendering import card_view
from approvals.audit_actions import AuditAction
from approvals.machine import CardPosted, State, binding_of, step
from approvals.request import CardRef
from cards import Message, request_card
from records import audit, instances
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)

UNPOSTED = (
    "Slack has not taken the card, so nobody sees the request there. It is tried again until the deadline; meanwhile "
    "the request can be decided through REST. Look at the channel's name, the app's membership and its token."
)
BEFORE_ASKING = timedelta(minutes=5)
"""Search for a lost card from this long before the asking: Slack's clock and ours differ."""


CARD_PATIENCE_S: Final = 50.0
"""Seconds that one attempt of the activity waits for the card. Its place in Slack's queue is kept for the next one."""

HELD = timedelta(seconds=15)
"""The lease of a process that posts a card: a call takes 8 s at most."""

RENAMED: Final = frozenset({"channel_not_found", "is_archived", "not_in_channel"})
"""Slack's errors for a name that is no longer the channel's, or is another channel's now."""

LOOK_AGAIN_S: Final = 2.0


class Posted(NamedTuple):
    """A card that stands. `stale`: the request ended while it was posted, so it has to be rewritten."""

    card: CardRef
    stale: bool


class Cards:
    """Posts cards in Slack's turn. A card that waits in the queue holds up neither a stop nor another activity."""

    def __init__(
        self,
        database: Database,
        slack: Slack,
        directory: Directory,
        clock: Callable[[], datetime],
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._database = database
        self._slack = slack
        self._directory = directory
        self._clock = clock
        self._look_again_s = look_again_s
        self._holder = uuid.uuid4().hex[:12]
        self._posting: dict[str, asyncio.Task[Posted]] = {}
        self._begun: set[str] = set()
        self._stopping = False

    async def post(self, state: State, row: instances.Instance | None = None) -> Posted:
        """Return the card of the asked stage, posting it where none stands yet. `row` is what was just read of it.

        Raises: SlackUnavailableError, SlackRefusedError, NonRetryableError for a request that is over.
        """
        nonce = binding_of(state).nonce
        task = self._posting.get(nonce)
        if task is None:
            task = self._posting[nonce] = asyncio.create_task(self._posted(state, row), name=f"card {nonce[:8]}")
            task.add_done_callback(partial(self._forget, nonce))
        try:
            async with turns.outside(), asyncio.timeout(CARD_PATIENCE_S):
                return await asyncio.shield(task)
        except TimeoutError as error:
            raise SlackUnavailableError("The card waits for its turn in Slack's queue, and keeps its place.") from error

    def stop(self) -> None:
        """Post no further cards. Posts under way finish; the workflow asks another process for the rest."""
        self._stopping = True
        for nonce, task in self._posting.items():
            if nonce not in self._begun:
                task.cancel()

    def _forget(self, nonce: str, task: "asyncio.Task[Posted]") -> None:
        self._posting.pop(nonce, None)
        self._begun.discard(nonce)
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more

    async def _posted(self, state: State, seen: instances.Instance | None) -> Posted:
        nonce = binding_of(state).nonce
        while True:
            row, seen = seen or await self._row(state), None
            if row is not None and row.posted == nonce and len(row.cards) > state.stage:
                return Posted(row.cards[state.stage], row.shown != row.wanted)
            if row is not None and not _still_asked(row, state):
                raise NonRetryableError(f"{state.instance_id} is over, so its card is not posted any more.")
            card = None
            if row is not None and row.posting.startswith(nonce):
                card = await _lost_card(self._slack, state.route.channel, nonce, row.created_at)
            try:
                return await self._recorded(state, card or await self._new_card(state, row))
            except NotBegunError:
                await asyncio.sleep(self._look_again_s)  # another process is posting it
            finally:
                self._begun.discard(nonce)

    async def _row(self, state: State) -> instances.Instance | None:
        return await self._database.look(instances.get.on, state.instance_id)

    async def _new_card(self, state: State, row: instances.Instance | None) -> CardRef:
        """Post a card. A channel that was renamed since an earlier stage is found by that card's channel id."""
        message = request_card.build(await card_view(self._directory, state))
        try:
            return await self._post(state, state.route.channel, message, row)
        except SlackRefusedError as error:
            earlier = [card.channel for card in state.cards if card.ts]
            if error.error not in RENAMED or not earlier:
                raise
            return await self._post(state, earlier[-1], message, row)

    async def _post(self, state: State, channel: str, message: Message, row: instances.Instance | None) -> CardRef:
        return await self._slack.post(
            channel,
            message,
            str(uuid.UUID(binding_of(state).nonce)),
            urgency=Urgency.NEW_CARD,
            patience=FOR_EVER,
            begin=lambda: self._begin(state, row),
        )

    async def _begin(self, state: State, seen: instances.Instance | None) -> bool:
        """Note that this process posts the card: its turn has come. `seen` is how the row stood when it waited."""
        nonce, now = binding_of(state).nonce, self._clock()
        if self._stopping:
            return False
        self._begun.add(nonce)
        posting = f"{nonce}/{self._holder}/{(now + HELD).timestamp():.3f}"

        def reserve(transaction: Transaction) -> bool:
            unchanged = seen if seen is not None and self._is_free(seen, nonce, now) else None
            if unchanged and instances.reserve_card.on(transaction, unchanged, posting, state.stage):
                return True
            row = instances.locked.on(transaction, state.instance_id)  # it has moved meanwhile
            mine = row is None or (_still_asked(row, state) and self._is_free(row, nonce, now))
            if mine:
                changes = instances.Changes(posting=posting)
                instances.project.on(transaction, state.instance_id, changes, now, progress=False)
            return mine

        mine = await self._database.transact(reserve)
        if not mine:
            self._begun.discard(nonce)
        return mine

    def _is_free(self, row: instances.Instance, nonce: str, now: datetime) -> bool:
        known, _, rest = row.posting.partition("/")
        holder, _, until = rest.partition("/")
        if row.posted == nonce:
            return False
        held = known == nonce and holder != self._holder and until != ""
        return not held or not now.timestamp() < float(until) < (now + 2 * HELD).timestamp()

    async def _recorded(self, state: State, card: CardRef) -> Posted:
        nonce, now = binding_of(state).nonce, self._clock()
        posted, _ = step(state, CardPosted(card=card))
        wanted = shown_of(posted)
        changes = instances.Changes(cards=posted.cards, posted=nonce, state=posted, wanted=wanted)
        if state.stage == 0:  # later, an earlier stage's card may still wait to lose its buttons
            changes = changes.model_copy(update={"shown": wanted})
        told = _entry(state, AuditAction.CARD_POSTED, now, {"channel": card.channel, "ts": card.ts})

        def record(transaction: Transaction) -> bool:
            stands = instances.project.on(transaction, state.instance_id, changes, now, while_in=OURS)
            if not stands:  # it ended while Slack was posting: the card must not offer a decision
                ended = changes.model_copy(update={"wanted": "terminated"})
                instances.project.on(transaction, state.instance_id, ended, now)
            append_once(transaction, f"{nonce}/{card.ts}", told)
            return stands

        return Posted(card, not await self._database.transact(record))


def _still_asked(row: instances.Instance, state: State) -> bool:
    """Return whether the stage still waits. A row may lag behind the workflow, but never be ahead of it."""
    over = row.state is not None and row.state.run == state.run and row.state.outcome is not None
    return not over and row.phase in OURS and row.stage <= state.stage


async def report_unposted(database: Database, state: State, now: datetime) -> None:
    """Say in the log and in the audit, once for each card, that Slack has not taken it."""
    log.error("a card is not posted", instance_id=state.instance_id, channel=state.route.channel)
    told = _entry(state, AuditAction.CARD_UNPOSTED, now, {"channel": state.route.channel})
    await database.transact(append_once, binding_of(state).nonce, told.model_copy(update={"reason": UNPOSTED}))


def _entry(state: State, action: AuditAction, at: datetime, data: dict[str, str]) -> audit.Entry:
    binding = binding_of(state)
    return audit.Entry(
        at=at,
        actor="workflow",
        action=action,
        instance_id=state.instance_id,
        request_digest=binding.digest,
        through="workflow",
        policy_version=state.route.policy_version,
        data={"nonce": binding.nonce, "stage": state.stage, **data},
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
