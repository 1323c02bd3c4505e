"""Webhooks: the log of deliveries, redelivery, a test, and the signing secret.

A key sees and manages what it has asked for; an operator everything.
"""

import secrets
from collections.abc import Callable
from datetime import datetime

from pydantic import Field

from activities.callbacks import BadCallbackError, Callbacks
from activities.webhooks.delivering import Webhooks
from approvals.audit_actions import AuditAction
from approvals.authority import Action, Resource, authorize
from approvals.values import Moment, Value
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.process.correlation import correlation_id
from records import audit, keys, webhooks
from records.database import Database
from records.webhooks import Delivery, State, message

LEFT_OUT = {"instance_id", "body", "holder"}


class DeliveryShown(Value):
    """A delivery. `state` is `due` until the receiver took it (`sent`), or it is `given_up` after three days."""

    id: str = Field(examples=["msg_5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f"], description="the message's `webhook-id`")
    request: str = Field(description="the request whose end it tells")
    signer: str = Field(description="the id of the API key that asked, or `kind:NAME`: its secret signs")
    url: str
    event: str = Field(examples=["request.approved"])
    state: State
    attempts: int
    next_attempt_at: Moment | None
    last_status: int | None = Field(description="the HTTP status of the last attempt; null if there was no answer")
    problem: str
    created_at: Moment
    over_at: Moment | None


class Tried(Value):
    """The result of a test delivery."""

    taken: bool
    status: int | None
    problem: str


class Deliveries:
    """Reads and manages deliveries. Raises: Refused."""

    def __init__(
        self, database: Database, access: Access, sending: Webhooks, callbacks: Callbacks, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._access = access
        self._sending = sending
        self._callbacks = callbacks
        self._clock = clock

    async def page(
        self, caller: Caller, *, state: State | None, request: str | None, cursor: str | None, limit: int
    ) -> tuple[tuple[DeliveryShown, ...], str | None]:
        """Return one page, the newest first, and the next one's cursor."""
        everything = authorize(caller.as_actor, Action.WEBHOOKS).allowed
        if not everything:
            await self._access.demand(caller, Action.WEBHOOKS, Resource(own=True))
        async with self._database.read() as connection:
            after = await webhooks.get(connection, cursor) if cursor else None
            if cursor and after is None:
                raise Refused(Kind.INVALID, "The cursor is none of this list: begin again without one.")
            found = await webhooks.page(
                connection,
                signer=None if everything else caller.key_id,
                state=state,
                instance_id=request,
                after=(after.created_at, after.id) if after else None,
                limit=limit + 1,
            )
        return tuple(map(shown, found[:limit])), found[limit - 1].id if len(found) > limit else None

    async def redrive(self, caller: Caller, delivery_id: str) -> DeliveryShown:
        """Begin a delivery again, under the same id. Raises: Refused NOT_FOUND (another's, too), CONFLICT."""
        async with self._database.read() as connection:
            found = await webhooks.get(connection, delivery_id)
        await self._access.demand(caller, Action.WEBHOOKS, Resource(own=True))
        theirs = bool(caller.key_id) and found is not None and found.signer == caller.key_id
        if found is None or not (theirs or authorize(caller.as_actor, Action.WEBHOOKS).allowed):
            raise Refused(
                Kind.NOT_FOUND, f"There is no delivery {delivery_id[:60]}. GET /webhooks/deliveries lists them."
            )
        now = self._clock()
        async with self._database.write() as connection:
            if not await webhooks.redrive(connection, delivery_id, now):
                why = "it is due already" if found.state == "due" else "its request was purged"
                raise Refused(Kind.CONFLICT, f"The delivery is not begun again: {why}.")
            entry = self._entry(caller, AuditAction.WEBHOOK_REDRIVEN, found.instance_id, delivery=delivery_id)
            await audit.append(connection, entry)
            again = await webhooks.get(connection, delivery_id)
        return shown(again or found)

    async def test(self, caller: Caller, url: str, key_id: str = "") -> Tried:
        """Send a signed test message at once: as the caller's own key, or for operators as another.

        Raises: Refused INVALID for a URL that is not allowed, NOT_FOUND for an unknown key.
        """
        signer, hosts = await self._signer(caller, key_id)
        try:
            self._callbacks.also(hosts).demand(url)
        except BadCallbackError as error:
            raise Refused(Kind.INVALID, str(error)) from error
        now = self._clock()
        sample = Delivery(
            id=f"msg_{secrets.token_hex(16)}",
            instance_id="",
            signer=signer,
            url=url,
            event="test",
            body=message("test", now, {"id": "test", "status": "test"}),
            created_at=now,
        )
        answer = await self._sending.attempt(sample)
        return Tried(taken=answer.taken, status=answer.status, problem=answer.problem)

    async def secrets(self, caller: Caller, kind: str | None = None) -> tuple[str, ...]:
        """Return the secrets that sign for the caller's key, or, for operators, of a kind's effect."""
        if kind is not None:
            await self._access.demand(caller, Action.WEBHOOKS)
            return await self._sending.secrets(f"kind:{kind}")
        return await self._sending.secrets(await self._own_key(caller))

    async def rotate(self, caller: Caller) -> tuple[str, ...]:
        """Begin a new secret for the caller's key. Both sign until the next rotation."""
        key_id = await self._own_key(caller)
        async with self._database.write() as connection:
            await keys.rotate(connection, key_id)
            await audit.append(connection, self._entry(caller, AuditAction.WEBHOOK_ROTATED, "", key=key_id))
        return await self._sending.secrets(key_id)

    async def _signer(self, caller: Caller, key_id: str) -> tuple[str, tuple[str, ...]]:
        """Return the key that signs, and the hosts that its callbacks may name."""
        if key_id in {"", caller.key_id}:
            return await self._own_key(caller), caller.callback_hosts
        await self._access.demand(caller, Action.WEBHOOKS)
        async with self._database.read() as connection:
            key = await keys.get(connection, key_id)
        if key is None:
            raise Refused(Kind.NOT_FOUND, f"There is no key {key_id[:60]}. `countersign keys list` shows the ids.")
        return key.id, key.callback_hosts or ()

    async def _own_key(self, caller: Caller) -> str:
        await self._access.demand(caller, Action.WEBHOOKS, Resource(own=True))
        if not caller.key_id:
            raise Refused(Kind.INVALID, "Webhooks are signed by the secret of an API key: call with one.")
        return caller.key_id

    def _entry(self, caller: Caller, action: AuditAction, instance_id: str, **data: str) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=action,
            instance_id=instance_id,
            through=caller.through,
            correlation_id=correlation_id(),
            data={"email": caller.email, **data},
        )


def shown(delivery: Delivery) -> DeliveryShown:
    """Return a delivery as people and programs see it: without its body."""
    return DeliveryShown(request=delivery.instance_id, **delivery.model_dump(exclude=LEFT_OUT))
