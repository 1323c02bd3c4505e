"""Decisions and withdrawals as people submit them: their values, receipts and deadline, and the write to the intake."""

import asyncio
from typing import ClassVar

import structlog

from approvals.audit_actions import AuditAction
from approvals.decision import Decision, Reason, Transport, Verdict, Withdrawal
from approvals.people import Person
from approvals.request import Binding
from approvals.values import Moment, Value
from bot.access.refusals import Kind, Refused
from bot.decisions.delivery import DELIVERER_LEASE
from bot.process.correlation import correlation_id
from cards.text import clean
from records import audit, instances, intake
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)

QUICK_S = 1.5
"""Seconds the check at the door may take. Slack wants its answer within 3; the workflow's own check has time."""

DEADLINE_S = 2.5
"""Seconds until the person who submits is told whether it was taken in: Slack shows an error after 3."""

TAKEN = Verdict(allowed=True, reason=Reason.ALLOWED, rule="intake")
OVER = Verdict(allowed=False, reason=Reason.REQUEST_OVER, rule="intake")

UNDECIDED_HERE = frozenset({Reason.LOOKUP_FAILED, Reason.TOO_LATE})
"""Not refused early: Slack may answer the workflow's check, and deadlines are the engine's."""

ENDED_FROM_OUTSIDE = frozenset({"terminated", "purged", "failed"})
"""Phases in which no workflow is left to answer, though its state still says that it waits."""

NOT_CONFIRMED = (
    "Your decision is not confirmed yet: our database is slow. It may still count, and it counts once. Look at the "
    "card before you click again."
)

OTHER_CONTENT = (
    "This id was used before for something else, so nothing was done now. Repeat an id only to repeat the same call; "
    "give everything else an id of its own."
)


class PersonsSubmission(Value):
    """One person's decision or withdrawal. Its `id` makes it idempotent; without a binding the current one holds."""

    id: str
    instance_id: str
    binding: Binding | None = None
    person: Person
    reason: str = ""
    through: Transport

    @property
    def about(self) -> dict[str, object]:
        """The data of its audit entry."""
        return {"decision_id": self.id}


class DecisionSubmission(PersonsSubmission):
    """A decision."""

    submitted: ClassVar[AuditAction] = AuditAction.DECISION_SUBMITTED
    refused: ClassVar[AuditAction] = AuditAction.DECISION_REFUSED

    approved: bool

    @property
    def about(self) -> dict[str, object]:
        """The data of its audit entry."""
        return super().about | {"approved": self.approved}


class WithdrawalSubmission(PersonsSubmission):
    """A withdrawal: the requester takes the request back. What was approved before it stays approved."""

    submitted: ClassVar[AuditAction] = AuditAction.WITHDRAWAL_SUBMITTED
    refused: ClassVar[AuditAction] = AuditAction.WITHDRAWAL_REFUSED


Wanted = DecisionSubmission | WithdrawalSubmission


def submission_of(wanted: Wanted, ours: Binding, at: Moment) -> Decision | Withdrawal:
    """Return what is signed and raised. A reason that cannot be seen is none, by whatever way it comes."""
    common = {
        "id": wanted.id,
        "binding": wanted.binding or ours,
        "person": wanted.person,
        "reason": clean(wanted.reason),
        "through": wanted.through,
        "at": at,
        "correlation_id": correlation_id(),
    }
    if isinstance(wanted, DecisionSubmission):
        return Decision(approved=wanted.approved, **common)
    return Withdrawal(**common)


class SubmissionReceipt(Value):
    """The result of a submission so far. `taken`: it is durable, and the workflow will answer for it."""

    decision_id: str
    verdict: Verdict
    taken: bool
    repeated: bool = False


class NotConfirmed(Refused):
    """It is not known in time whether a submission was written. `late` gives its receipt, or why there is none."""

    def __init__(self, late: "asyncio.Task[SubmissionReceipt]") -> None:
        super().__init__(Kind.UNAVAILABLE, NOT_CONFIRMED, retry_after=5)
        self.late = late
        late.add_done_callback(lambda done: done.cancelled() or done.exception())  # its caller may be gone


async def in_time(work: "asyncio.Task[SubmissionReceipt]") -> SubmissionReceipt:
    """Return the receipt. Raises: NotConfirmed after DEADLINE_S; the work goes on, and written late it counts once."""
    done, _ = await asyncio.wait({work}, timeout=DEADLINE_S)
    if not done:
        log.warning("a submission is not confirmed in time", work=work.get_name())
        raise NotConfirmed(work)
    return work.result()


async def refuse(
    database: Database, kept: intake.Submission, verdict: Verdict, entry: audit.Entry
) -> intake.Row | None:
    """Record a refusal, answered in the intake, so that the same signed bytes again have no second effect.

    Returns the row of before if the id was submitted already, None if the refusal is recorded.
    """
    row, new = await database.transact(_refused, kept, verdict, entry)
    return None if new else row


def take_in(
    transaction: Transaction,
    submission: intake.Submission,
    entry: audit.Entry,
    expected: intake.RequestPosition | None = None,
) -> tuple[intake.Row, bool]:
    """Write a submission and its entry. Returns the row that stands and whether it is new. Raises: StaleError."""
    row, new = intake.submit.on(transaction, submission, entry.at, lease=DELIVERER_LEASE, expected=expected)
    if new:
        audit.append.on(transaction, entry)
    return row, new


def _refused(
    transaction: Transaction, kept: intake.Submission, verdict: Verdict, entry: audit.Entry
) -> tuple[intake.Row, bool]:
    row, new = intake.submit.on(transaction, kept, entry.at)
    if new:
        intake.answer.on(transaction, kept.id, verdict.model_dump(mode="json"), entry.at)
        audit.append.on(transaction, entry)
    return row, new


def is_open(row: instances.Instance) -> bool:
    """Return whether a workflow is there that may answer."""
    return row.state is not None and row.phase not in ENDED_FROM_OUTSIDE


def again(row: intake.Row, wanted: Wanted) -> SubmissionReceipt:
    """Return what became of the first submission. Raises: Refused CONFLICT if this one says something else.

    Of a first one that was refused only the request and the person are kept: nobody is told "accepted" for it.
    """
    said = row.payload.get("decision" if isinstance(wanted, DecisionSubmission) else "submission")
    same = (row.instance_id, row.person) == (wanted.instance_id, wanted.person.key) and (said or not row.payload)
    if same and said and isinstance(wanted, DecisionSubmission):
        same = (said["approved"], clean(said["reason"])) == (wanted.approved, clean(wanted.reason))
    if not same:
        raise Refused(Kind.CONFLICT, OTHER_CONTENT)
    verdict = Verdict.model_validate(row.verdict) if row.verdict else TAKEN
    return SubmissionReceipt(decision_id=row.id, verdict=verdict, taken=True, repeated=True)
