"""Taking a withdrawal: the requester takes the request back. The way of a decision, for Slack, REST and commands.

Checked at once so that the person gets an answer, committed to the intake, and raised as the one event. The workflow
takes it in its order among the decisions: what was approved before it stays approved.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from activities.judging import Judge
from approvals.audit_actions import AuditAction
from approvals.checks import refusal_of
from approvals.decision import Transport, Verdict, Withdrawal
from approvals.people import Person
from approvals.request import Binding
from approvals.signing import KeyRing
from approvals.state import State, binding_of
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.decisions.answers import Answers
from bot.decisions.delivery import Deliverer
from bot.decisions.receipts import (
    OVER,
    QUICK_S,
    TAKEN,
    UNDECIDED_HERE,
    SubmissionReceipt,
    in_time,
    is_open,
    refuse,
    take_in,
)
from bot.process.background import Background
from bot.process.correlation import correlation_id
from cards.text import clean
from records import audit, instances, intake
from records.database import Database


class WithdrawalSubmission(Value):
    """A withdrawal. Its `id` makes it idempotent; without a binding it is of the request as it stands now."""

    id: str
    instance_id: str
    binding: Binding | None = None
    person: Person
    reason: str = ""
    through: Transport


class Withdrawals:
    """Takes withdrawals in."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        judge: Judge,
        keys: KeyRing,
        deliverer: Deliverer,
        answers: Answers,
        background: Background,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._judge = judge
        self._keys = keys
        self._deliverer = deliverer
        self._answers = answers
        self._background = background
        self._clock = clock

    async def take(self, wanted: WithdrawalSubmission) -> SubmissionReceipt:
        """Check a withdrawal and take it in. A refusal is audited; nothing is raised for it.

        Raises: NotConfirmed if it is not known in time whether it was written; Refused CONFLICT for an id of another.
        """
        work = self._background.begin(self._take(wanted), f"withdraw {wanted.id[:12]}")
        return await in_time(work)

    async def answer(self, receipt: SubmissionReceipt, seconds: float) -> Verdict | None:
        """Wait for the workflow's answer; None when it has not answered in time."""
        return await self._answers.of(receipt.decision_id, seconds, look_first=receipt.repeated)

    async def _take(self, wanted: WithdrawalSubmission) -> SubmissionReceipt:
        async with self._database.read() as connection:
            row = await instances.get(connection, wanted.instance_id)
            first = await intake.get(connection, wanted.id)
        if first is not None:
            return _again(first, wanted)
        state = row.state if row is not None and is_open(row) else None
        withdrawal = self._withdrawal(wanted, state)
        refusal = OVER if state is None or withdrawal is None else await self._refusal(withdrawal, state)
        if refusal is not None or withdrawal is None:
            return await self._refuse(wanted, refusal or OVER)
        return await self._commit(withdrawal, wanted)

    def _withdrawal(self, wanted: WithdrawalSubmission, state: State | None) -> Withdrawal | None:
        binding = wanted.binding or (binding_of(state) if state else None)
        if binding is None:
            return None
        return Withdrawal(
            id=wanted.id,
            binding=binding,
            person=wanted.person,
            reason=clean(wanted.reason),
            through=wanted.through,
            at=self._clock(),
            correlation_id=correlation_id(),
        )

    async def _refusal(self, withdrawal: Withdrawal, state: State) -> Verdict | None:
        """Return why it cannot count, as far as that can be said at once."""
        try:
            async with asyncio.timeout(QUICK_S):
                judgement = await self._judge.submission(withdrawal, state)
        except TimeoutError:
            return None  # the workflow's own check looks the person up
        found = refusal_of(state, judgement, withdrawal, self._clock())
        return None if found is None or found.reason in UNDECIDED_HERE else found

    async def _commit(self, withdrawal: Withdrawal, wanted: WithdrawalSubmission) -> SubmissionReceipt:
        """Make it durable together with its audit entry, then let it be raised."""
        payload = self._keys.sign_submission(withdrawal).model_dump(mode="json")
        kept = _kept(wanted, payload)
        entry = self._entry(wanted, AuditAction.WITHDRAWAL_SUBMITTED, withdrawal.binding.digest)
        row, new = await self._database.transact(take_in, kept, entry)
        if not new:
            return _again(row, wanted)
        self._deliverer.deliver(row)
        return SubmissionReceipt(decision_id=withdrawal.id, verdict=TAKEN, taken=True)

    async def _refuse(self, wanted: WithdrawalSubmission, verdict: Verdict) -> SubmissionReceipt:
        entry = self._entry(wanted, AuditAction.WITHDRAWAL_REFUSED, "", verdict)
        before = await refuse(self._database, _kept(wanted, {}), verdict, entry, entry.at)
        return (
            _again(before, wanted) if before else SubmissionReceipt(decision_id=wanted.id, verdict=verdict, taken=False)
        )

    def _entry(
        self, wanted: WithdrawalSubmission, action: AuditAction, digest: str, verdict: Verdict | None = None
    ) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor=wanted.person.key,
            action=action,
            instance_id=wanted.instance_id,
            request_digest=digest,
            through=wanted.through,
            verdict=verdict.reason.value if verdict else "",
            reason=wanted.reason,
            correlation_id=correlation_id(),
            data={"decision_id": wanted.id} | ({"rule": verdict.rule} if verdict else {}),
        )


def _kept(wanted: WithdrawalSubmission, payload: dict[str, object]) -> intake.Submission:
    return intake.Submission(
        id=wanted.id,
        instance_id=wanted.instance_id,
        payload=payload,
        person=wanted.person.key,
        through=wanted.through,
    )


OTHER_CONTENT = (
    "This id was used before for something else, so nothing was withdrawn. Repeat an id only to repeat the same call."
)


def _again(row: intake.Row, wanted: WithdrawalSubmission) -> SubmissionReceipt:
    """Return what became of the first submission. Raises: Refused CONFLICT if this one is another."""
    is_decision = "decision" in row.payload
    if is_decision or (row.instance_id, row.person) != (wanted.instance_id, wanted.person.key):
        raise Refused(Kind.CONFLICT, OTHER_CONTENT)
    verdict = Verdict.model_validate(row.verdict) if row.verdict else TAKEN
    return SubmissionReceipt(decision_id=row.id, verdict=verdict, taken=verdict.allowed, repeated=True)
