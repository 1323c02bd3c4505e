"""Taking a submission in, a decision or a withdrawal: its receipt, the receipt's deadline, the check at the door."""

import asyncio
from datetime import datetime

import structlog

from approvals.decision import Reason, Verdict
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.decisions.delivery import DELIVERER_LEASE
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
    database: Database, kept: intake.Submission, verdict: Verdict, entry: audit.Entry, now: datetime
) -> intake.Row | None:
    """Record a refusal, answered in the intake, so that the same signed bytes again have no second effect.

    Returns the row of before if the id was submitted already, None if the refusal is recorded.
    """
    row, new = await database.transact(_refused, kept, verdict, entry, now)
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
    transaction: Transaction, kept: intake.Submission, verdict: Verdict, entry: audit.Entry, now: datetime
) -> tuple[intake.Row, bool]:
    row, new = intake.submit.on(transaction, kept, now)
    if new:
        intake.answer.on(transaction, kept.id, verdict.model_dump(mode="json"), now)
        audit.append.on(transaction, entry)
    return row, new


def is_open(row: instances.Instance) -> bool:
    """Return whether a workflow is there that may answer."""
    return row.state is not None and row.phase not in ENDED_FROM_OUTSIDE
