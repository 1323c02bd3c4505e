"""The same signed bytes have one effect (docs/explanation/slack.md#the-same-signed-bytes-are-accepted-again).

A decision needs no reservation of its own: its id is the fingerprint of what was signed, and the intake takes an id
once.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from pydantic import Field

from approvals.values import Value
from bot.process.periodic import Periodic
from bot.slack.shapes import is_change
from cards import reject_modal, request_card
from records import replays
from records.database import Database
from records.errors import RecordsError, public_message

PRUNE_EVERY_S = 60.0
"""Seconds between two times of forgetting answers whose signature is too old to be taken."""

IDEMPOTENT = frozenset({request_card.APPROVE})
UNFINISHED = 200
"""The answer to a duplicate whose original is still running, or crashed in the middle."""


class SlackReply(Value):
    """The answer to Slack."""

    status: int = 200
    headers: dict[str, str] = Field(default_factory=dict)
    body: bytes = b""


class ReplayGuard:
    """Remembers answers for as long as a signature is good. In the database: for a restart and a second process too."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._loop = Periodic("pruning", self._pruned, PRUNE_EVERY_S, passing=(RecordsError,), public=public_message)

    async def once(
        self, fingerprint: str, payload: dict[str, Any], dispatch: Callable[[], Awaitable[SlackReply]]
    ) -> SlackReply:
        """Return the answer to a verified payload, dispatching it only the first time."""
        if is_decision(payload) or is_change(payload):
            return await dispatch()
        async with self._database.write() as connection:
            first = await replays.reserve(connection, fingerprint, self._clock())
        if first is not None:
            status = first.status or UNFINISHED
            return SlackReply(status=status, headers=first.headers or {}, body=first.body or b"")
        answer = await dispatch()
        async with self._database.write() as connection:
            await replays.complete(
                connection, fingerprint, status=answer.status, headers=answer.headers, body=answer.body
            )
        return answer

    @property
    def loop(self) -> Periodic:
        """Deletes records that are too old to be repeated."""
        return self._loop

    async def _pruned(self) -> None:
        found = replays.REPLAYS_PRUNED_AT_ONCE
        while found == replays.REPLAYS_PRUNED_AT_ONCE:
            async with self._database.write() as connection:
                found = await replays.prune(connection, self._clock())


def is_decision(payload: dict[str, Any]) -> bool:
    """Return whether a payload is a click on Approve or a rejection with its reason."""
    if payload.get("type") == "view_submission":
        view = payload.get("view")
        return isinstance(view, dict) and view.get("callback_id") == reject_modal.CALLBACK
    actions = payload.get("actions")
    return (
        payload.get("type") == "block_actions"
        and isinstance(actions, list)
        and len(actions) == 1
        and isinstance(actions[0], dict)
        and actions[0].get("action_id") in IDEMPOTENT
    )
