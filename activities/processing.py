"""The effect of an approval: process the order, or call the system that asked. Once, by an idempotency key."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

from activities.inputs import ProcessInput
from activities.recording import append_once
from activities.slack.failures import NonRetryableError
from approvals.audit_actions import AuditAction
from approvals.digest import digest_of
from approvals.state import State
from records import audit, instances, ledger
from records.database import Database

TIMEOUT = httpx.Timeout(10.0)


class Processing:
    """Runs the effect of an approved request. `order_url` empty means the built-in order ledger."""

    def __init__(
        self,
        database: Database,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
        *,
        order_url: str = "",
        callback_hosts: tuple[str, ...] = (),
    ) -> None:
        self._database = database
        self._http = http
        self._clock = clock
        self._order_url = order_url
        self._callback_hosts = callback_hosts

    async def order(self, approved: ProcessInput) -> dict[str, Any]:
        """Process an order. Raises: NonRetryableError if the request is not the one that was approved."""
        key = await self._checked(approved)
        if self._order_url:
            return await self._send(self._order_url, key, approved)
        row = ledger.LedgerRow(
            idempotency_key=key,
            order_id=approved.request.subject,
            amount=approved.request.amount,
            currency=approved.request.currency,
            instance_id=approved.instance_id,
            digest=approved.outcome.digest,
            at=self._clock(),
        )
        async with self._database.write() as connection:
            _, new = await ledger.process(connection, row)
            if new:
                await audit.append(connection, self._entry(approved, AuditAction.EFFECT_ORDER_PROCESSED, key))
        return {"idempotency_key": key, "new": new}

    async def callback(self, approved: ProcessInput) -> dict[str, Any]:
        """Tell the system that asked. Only hosts that an operator allows are called."""
        key = await self._checked(approved)
        url = approved.request.callback or ""
        if httpx.URL(url).host not in self._callback_hosts:
            raise NonRetryableError(
                f"The callback of {approved.instance_id} names a host that COUNTERSIGN_CALLBACK_HOSTS does not allow."
            )
        return await self._send(url, key, approved)

    async def _checked(self, approved: ProcessInput) -> str:
        """Return the idempotency key, after the digest was compared once more, right before the effect."""
        async with self._database.read() as connection:
            row = await instances.get(connection, approved.instance_id)
        state: State | None = row.state if row else None
        now = digest_of(approved.request, state.route, approved.instance_id) if state else ""
        if not approved.outcome.approved or now != approved.outcome.digest:
            async with self._database.write() as connection:
                refused = self._entry(approved, AuditAction.EFFECT_REFUSED, "")
                await append_once(connection, approved.outcome.at.isoformat(), refused)
            raise NonRetryableError(
                f"{approved.request.kind} {approved.request.subject} is not what {approved.instance_id} approved: "
                "its content or its instance is another one. Nothing was processed; start it again under a new id."
            )
        return hashlib.sha256(
            f"{approved.instance_id}\n{approved.outcome.digest}\n{approved.outcome.at}".encode()
        ).hexdigest()

    async def _send(self, url: str, key: str, approved: ProcessInput) -> dict[str, Any]:
        """POST the approved request. A 409 says that the receiver did it before; other failures are tried again."""
        body = {
            "instance_id": approved.instance_id,
            "request": approved.request.model_dump(mode="json"),
            "outcome": approved.outcome.model_dump(mode="json"),
        }
        answer = await self._http.post(url, json=body, headers={"Idempotency-Key": key}, timeout=TIMEOUT)
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()
        async with self._database.write() as connection:
            await append_once(connection, key, self._entry(approved, AuditAction.EFFECT_SENT, key))
        return {"idempotency_key": key, "status": answer.status_code}

    def _entry(self, approved: ProcessInput, action: AuditAction, key: str) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor="workflow",
            action=action,
            instance_id=approved.instance_id,
            request_digest=approved.outcome.digest,
            through="workflow",
            policy_version=approved.outcome.policy_version,
            data={"idempotency_key": key, "subject": approved.request.subject},
        )
