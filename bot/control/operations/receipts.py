"""Using an approval: a receipt that proves it elsewhere, and its use, which happens once."""

import hashlib
import uuid
from collections.abc import Callable
from datetime import datetime

from pydantic import Field

from approvals.audit_actions import AuditAction
from approvals.authority import Action
from approvals.receipts import AuditPlace, Claims, ReceiptDecision, encoded_key, signed
from approvals.signing import KeyRing
from approvals.values import Moment, Value
from bot.access.authenticating import Caller
from bot.access.refusals import Kind, Refused
from bot.control.reconciling.checkpoints import signers_of
from bot.control.reconciling.rebuilding import state_of
from bot.control.subjects import Subject, Subjects
from bot.engine.client import Engine, UnknownInstanceError
from bot.process.correlation import correlation_id
from records import audit, instances
from records.audit import Chained
from records.database import Database
from records.instances import Instance

ENTRIES = 1_000


NOT_PROVEN = (
    "{} is approved by our record alone: the engine has no history that proves it. Its history was purged, or the "
    "record was changed. Ask again, and tell an operator: countersign doctor."
)


class Receipt(Value):
    """A receipt. `claims` are what it says, for people; programs verify `receipt`."""

    receipt: str = Field(description="a compact JWS, signed with Ed25519")
    key_id: str
    claims: Claims


class Consumed(Value):
    """The use of an approval."""

    id: str
    consumed_at: Moment


class Receipts:
    """Gives receipts and notes uses, of what its history proves. Raises: Refused, and what the engine raises.

    `held` says why effects are held now; empty if they are not.
    """

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        engine: Engine,
        subjects: Subjects,
        keys: KeyRing,
        held: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._subjects = subjects
        self._keys = keys
        self._held = held
        self._clock = clock

    async def receipt(self, caller: Caller, request_id: str) -> Receipt:
        """Return the receipt of an approval. Raises: Refused CONFLICT for a request that has none."""
        subject = await self._subjects.find_for(caller, Action.SEE_REQUEST, request_id)
        await self._subjects.demand(caller, Action.SEE_PAYLOADS, subject)
        row = await self._proven(_approved(subject))
        async with self._database.read() as connection:
            entries = await audit.of_instance(connection, row.instance_id, limit=ENTRIES)
        signer, claims = signers_of(self._keys)[0], _claims(row, entries)
        return Receipt(receipt=signed(claims, signer.key_id, signer.sign_bytes), key_id=signer.key_id, claims=claims)

    def public_keys(self) -> tuple[dict[str, str], ...]:
        """Return the public keys that verify receipts as JWKs, the current one first."""
        return tuple(encoded_key(each.public_key, each.key_id) for each in signers_of(self._keys))

    async def consume(self, caller: Caller, request_id: str, idempotency_key: str | None) -> tuple[Consumed, bool]:
        """Use an approval, once. Returns whether it is new: the same key of the same caller gets its answer again.

        Raises: Refused CONFLICT if it was used before, is not approved or is valid no more.
        """
        subject = await self._subjects.find_for(caller, Action.CONSUME, request_id)
        if why := self._held():
            raise Refused(Kind.UNAVAILABLE, why, retry_after=60)
        row, by = await self._proven(_approved(subject)), _consumer(caller, idempotency_key)
        until, now = instances.valid_until(row), self._clock()
        if until is not None and now >= until and row.consumed_at is None:
            raise Refused(Kind.CONFLICT, f"The approval was to be used before {until:%Y-%m-%d %H:%M} UTC. Ask again.")
        async with self._database.write() as connection:
            new = await instances.consume(connection, row.instance_id, by, now)
            if new:
                await audit.append(connection, self._entry(caller, row))
            used = await instances.get(connection, row.instance_id)
        return _use(used or row, by), new

    async def _proven(self, row: Instance) -> Instance:
        """Return the row as the sealed evidence in its history gives it (law: effects prove themselves).

        A person who can write in the database can write that a row is approved. Raises: Refused CONFLICT.
        """
        try:
            state = state_of(await self._engine.history(row.instance_id), self._keys, self._clock())
        except UnknownInstanceError:
            state = None
        if state is None or state.outcome is None or not state.outcome.approved or state.outcome.digest != row.digest:
            raise Refused(Kind.CONFLICT, NOT_PROVEN.format(row.instance_id))
        found = {"state": state, "request": state.request, "outcome": state.outcome}
        return row.model_copy(update=found | {"valid_until": instances.until_of(state)})

    def _entry(self, caller: Caller, row: Instance) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=AuditAction.REQUEST_CONSUMED,
            instance_id=row.instance_id,
            request_digest=row.digest or "",
            through=caller.through,
            policy_version=row.policy_version or "",
            correlation_id=correlation_id(),
            data={"email": caller.email, "kind": row.kind, "subject": row.subject},
        )


def _approved(subject: Subject) -> Instance:
    """Return the row of an approval. Raises: Refused CONFLICT."""
    row = subject.row
    if row is None or row.phase != "approved" or row.state is None or row.outcome is None:
        raise Refused(
            Kind.CONFLICT, f"{subject.name} is not approved, so there is nothing to use: it is {subject.standing}."
        )
    if row.state.origin != "door" and not row.state.approvals:
        raise Refused(
            Kind.CONFLICT,
            f"{subject.instance_id} was approved by a rule alone, and none of our doors has started it: nobody whom we "
            "know has asked for it.",
        )
    return row


def _use(row: Instance, by: str) -> Consumed:
    """Return the use that stands. Raises: Refused CONFLICT if it is another caller's, or another call's."""
    if row.consumed_at is None:
        raise Refused(Kind.CONFLICT, f"{row.instance_id} is not approved any more, so there is nothing to use.")
    if row.consumed_by != by:
        raise Refused(Kind.CONFLICT, f"{row.instance_id} was used at {row.consumed_at:%Y-%m-%d %H:%M:%S} UTC, once.")
    return Consumed(id=row.instance_id, consumed_at=row.consumed_at)


def _consumer(caller: Caller, idempotency_key: str | None) -> str:
    """Return whom the use belongs to: a call without a key is unlike every other."""
    said = idempotency_key if idempotency_key is not None else f"\n{uuid.uuid4().hex}"
    return f"{caller.actor}/{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _claims(row: Instance, entries: tuple[Chained, ...]) -> Claims:
    request, outcome, state = row.request, row.outcome, row.state
    ours = [each for each in entries if each.request_digest == row.digest]
    end = next((each for each in ours if each.action == AuditAction.REQUEST_APPROVED), None)
    if request is None or outcome is None or state is None or end is None:
        raise Refused(Kind.CONFLICT, f"The audit has no entry of the approval of {row.instance_id}: see /readyz.")
    accepted = [each.data for each in ours if each.action == AuditAction.REQUEST_ACCEPTED]
    matched = {str(each.get("decision_id")): str(each.get("matched", "")) for each in accepted}
    return Claims(
        id=row.instance_id,
        **request.model_dump(include={"kind", "subject", "description", "details", "requester"}),
        fields=request.fields,
        amount=None if request.amount is None else str(request.amount),
        currency=request.currency or None,
        digest=outcome.digest,
        rule=outcome.rule,
        policy_version=outcome.policy_version,
        decided_by=tuple(
            ReceiptDecision.model_validate(
                each.model_dump(include={"name", "at"})
                | {"person": each.person.key, "stage": each.stage + 1}
                | {"as": [matched[each.decision_id]] if matched.get(each.decision_id) else []}
            )
            for each in state.approvals
            if each.approved
        ),
        ended_at=outcome.at,
        valid_until=instances.valid_until(row),
        audit=AuditPlace(seq=end.seq, hash=end.hash),
    )
