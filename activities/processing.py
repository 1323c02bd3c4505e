"""The effect of an approval: process the order, or call the system that asked. Once, by an idempotency key."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import httpx

from activities import turns
from activities.callbacks import Callbacks
from activities.inputs import ProcessInput
from activities.proving import Prover
from activities.recording import append_once
from approvals.audit_actions import AuditAction
from approvals.decision import Outcome
from approvals.evidence import Evidence, NotProvenError, TooEarlyError, effect_key
from approvals.orders import fits, instance_id_of
from approvals.state import State
from records import audit, instances, ledger
from records.database import Database
from records.plain import Transaction

PROCESS_TIMEOUT = httpx.Timeout(10.0)


class Gate(Protocol):
    """Holds effects while doing them could be doing them twice."""

    async def passed(self) -> None:
        """Wait until effects may be done. Raises to be tried again later."""

    def stop(self) -> None:
        """Let none wait any longer in this process."""


class Processing:
    """Runs the effect of an approved request. `order_url` empty means the built-in order ledger."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        database: Database,
        http: httpx.AsyncClient,
        prover: Prover,
        clock: Callable[[], datetime],
        *,
        order_url: str = "",
        callbacks: Callbacks | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._database = database
        self._http = http
        self._prover = prover
        self._clock = clock
        self._order_url = order_url
        self._callbacks = callbacks or Callbacks()
        self._gate = gate

    def stop(self) -> None:
        """Let no effect wait in this process any longer: another process does it."""
        if self._gate is not None:
            self._gate.stop()

    async def order(self, approved: ProcessInput) -> dict[str, Any]:
        """Process an order. Raises: NonRetryableError if nothing sealed and recorded says that it was approved."""
        state, key = await self._proven(approved, "process_order")
        if self._order_url:
            return await self._send(self._order_url, key, state)
        row = ledger.LedgerRow(
            idempotency_key=key,
            order_id=state.request.subject,
            amount=state.request.amount,
            currency=state.request.currency,
            instance_id=state.instance_id,
            digest=_outcome(state).digest,
            at=self._clock(),
        )
        entry = self._entry(state, AuditAction.EFFECT_ORDER_PROCESSED, key)

        def process(transaction: Transaction) -> bool:
            _, new = ledger.process.on(transaction, row)
            if new:
                audit.append.on(transaction, entry)
            return new

        new = await self._database.transact(process)
        return {"idempotency_key": key, "new": new}

    async def callback(self, approved: ProcessInput) -> dict[str, Any]:
        """Tell the system that asked.

        Raises: BadCallbackError, which is tried again: it was allowed when the request started, and an operator who
        took its host from the list since can add it again.
        """
        state, key = await self._proven(approved, "call_back")
        self._callbacks.demand(state.request.callback)
        return await self._send(state.request.callback or "", key, state)

    async def _proven(self, approved: ProcessInput, where: str) -> tuple[State, str]:
        """Return the approved request and its idempotency key: derived from evidence, and as it was recorded."""
        if self._gate is not None:
            await self._gate.passed()
        evidence = approved.evidence
        try:
            state = await self._database.look(self._approved, evidence)
        except NotProvenError as error:
            raise await self._prover.refuse(evidence, error, where) from error
        except TooEarlyError as error:
            await self._prover.reached(error)
            raise
        return state, effect_key(state)

    def _approved(self, transaction: Transaction, evidence: Evidence) -> State:
        state, row = self._prover.state(transaction, evidence)
        _demand_approved(state, row)
        if state.request.kind == "order" and state.instance_id != instance_id_of(state.request.subject):
            _demand_no_other(transaction, state)
        return state

    async def _send(self, url: str, key: str, state: State) -> dict[str, Any]:
        """POST the approved request. A 409 says that the receiver did it before; other failures are tried again."""
        body = {
            "instance_id": state.instance_id,
            "request": state.request.model_dump(mode="json"),
            "outcome": _outcome(state).model_dump(mode="json"),
        }
        headers = {"Idempotency-Key": key}
        async with (
            turns.outside(),
            self._http.stream("POST", url, json=body, headers=headers, timeout=PROCESS_TIMEOUT) as answer,
        ):
            pass  # its status is enough: a body has no bound
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()
        await self._database.transact(append_once, key, self._entry(state, AuditAction.EFFECT_SENT, key))
        return {"idempotency_key": key, "status": answer.status_code}

    def _entry(self, state: State, action: AuditAction, key: str) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor="workflow",
            action=action,
            instance_id=state.instance_id,
            request_digest=_outcome(state).digest,
            through="workflow",
            policy_version=_outcome(state).policy_version,
            data={"idempotency_key": key, "subject": state.request.subject},
        )


def _outcome(state: State) -> Outcome:
    if state.outcome is None:
        raise NotProvenError("it has not ended")
    return state.outcome


def _demand_approved(state: State, row: instances.Instance) -> None:
    if not _outcome(state).approved:
        raise NotProvenError("it was not approved")
    if state.origin != "door":
        raise NotProvenError("it was started at none of our doors")
    if row.outcome != state.outcome or row.phase != "approved":
        raise NotProvenError(f"the record says that it is {row.phase}")
    if not fits(state.instance_id, state.request.subject):
        raise NotProvenError(f"{state.instance_id} is not the instance of {state.request.subject}")


def _demand_no_other(transaction: Transaction, state: State) -> None:
    order = instance_id_of(state.request.subject)
    if instances.get.on(transaction, order) is not None:
        raise NotProvenError(f"order {state.request.subject} has an instance of its own, {order}")
