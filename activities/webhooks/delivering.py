"""Delivers webhooks: rows that are due are reserved, sent and settled, again and again for three days.

A receiver's failure never touches the request: its end was recorded before anything is sent.
"""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from activities.webhooks.sending import Attempt, WebhookSender
from approvals.audit_actions import AuditAction
from approvals.signing import KeyRing
from approvals.webhooks import PAUSES, headers, next_attempt, secrets_of
from records import audit, keys, webhooks
from records.database import Database
from records.errors import RecordsError
from records.webhooks import Delivery

WEBHOOKS_POLL_S: Final = 1.0
DELIVERY_LEASE: Final = timedelta(seconds=20)
"""The lease of one attempt, which takes ten seconds at most."""

LONGEST_DELIVERY_PAUSE: Final = max(PAUSES) + DELIVERY_LEASE
DELIVERIES_AT_ONCE: Final = 20

LOG_KEPT: Final = timedelta(days=90)
"""How long the log has a delivery that is over."""

PRUNED_EVERY: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


class Webhooks:
    """Delivers to other systems. Several processes share the work by reserving rows."""

    def __init__(self, database: Database, sender: WebhookSender, ring: KeyRing, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._sender = sender
        self._ring = ring
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._pruned_at: datetime | None = None

    async def look(self) -> int:
        """Start sending due deliveries; returns how many are under way. A slow receiver delays no other."""
        await self._prune()
        free = DELIVERIES_AT_ONCE - len(self._sending)
        if free > 0:
            async with self._database.read() as connection:
                found = await webhooks.due(connection, self._clock(), LONGEST_DELIVERY_PAUSE, free)
            for each in found:
                if each.id not in self._sending:
                    task = self._sending[each.id] = asyncio.create_task(self._send(each), name=f"webhook {each.id}")
                    task.add_done_callback(partial(self._forget, each.id))
        return len(self._sending)

    async def _prune(self) -> None:
        """Delete old deliveries from the log. Safe in several processes at once."""
        now = self._clock()
        if self._pruned_at is not None and abs(now - self._pruned_at) < PRUNED_EVERY:
            return
        async with self._database.read() as connection:
            old = await webhooks.oldest(connection)
        if old is not None and old < now - LOG_KEPT:
            async with self._database.write() as connection:
                await webhooks.prune(connection, now - LOG_KEPT)
        self._pruned_at = now

    def _forget(self, delivery_id: str, _: "asyncio.Task[None]") -> None:
        self._sending.pop(delivery_id, None)

    async def stop(self) -> None:
        """Wait for attempts that are under way: they end within seconds. The next process sends the rest."""
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _send(self, delivery: Delivery) -> None:
        try:
            await self._try(delivery)
        except RecordsError as error:
            log.warning("a webhook's attempt is not noted, so it is made again", delivery=delivery.id, why=str(error))
        except Exception:
            log.exception("a webhook could not be sent and is tried again", delivery=delivery.id)

    async def _try(self, delivery: Delivery) -> None:
        async with self._database.write() as connection:
            if not await webhooks.reserve(
                connection, delivery.id, self._holder, self._clock(), DELIVERY_LEASE, LONGEST_DELIVERY_PAUSE
            ):
                return  # another process has it
        answer = await self.attempt(delivery)
        await self._settle(delivery, answer)

    async def attempt(self, delivery: Delivery) -> Attempt:
        """Sign and send a delivery once. Nothing is written down."""
        secrets = await self.secrets(delivery.signer)
        if not secrets:
            return Attempt(problem="The API key that asked is gone, so nothing can sign for it.")
        signed = headers(secrets, delivery.id, self._clock(), delivery.body)
        return await self._sender.post(delivery.url, signed, delivery.body)

    async def secrets(self, signer: str) -> tuple[str, ...]:
        """Return the secrets that sign for a signer, the newest first; none for a key that is unknown."""
        if signer.startswith("kind:"):
            return secrets_of(self._ring, signer, 1)
        async with self._database.read() as connection:
            key = await keys.get(connection, signer)
        return secrets_of(self._ring, signer, key.webhook_round) if key else ()

    async def _settle(self, delivery: Delivery, answer: Attempt) -> None:
        now = self._clock()
        again = None if answer.taken or answer.final else next_attempt(delivery.attempts + 1, delivery.created_at, now)
        state: webhooks.State = "sent" if answer.taken else "due" if again else "given_up"
        async with self._database.write() as connection:
            await webhooks.settle(
                connection,
                delivery.id,
                now,
                state=state,
                again_at=again,
                last_status=answer.status,
                problem=answer.problem,
            )
            if state == "given_up":
                await audit.append(connection, _given_up(delivery, answer, now))
        told = log.info if state == "sent" else log.warning
        told("a webhook was tried", delivery=delivery.id, state=state, status=answer.status, problem=answer.problem)


def _given_up(delivery: Delivery, answer: Attempt, now: datetime) -> audit.Entry:
    return audit.Entry(
        at=now,
        actor="workflow",
        action=AuditAction.WEBHOOK_GIVEN_UP,
        instance_id=delivery.instance_id,
        through="workflow",
        reason=answer.problem or f"The receiver answered {answer.status}.",
        data={"delivery": delivery.id, "event": delivery.event, "attempts": delivery.attempts + 1},
    )
