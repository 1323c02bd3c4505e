"""What `approval_workflow` returns: a public contract, so fields are only added, with defaults."""

from typing import Literal

from approvals.decision import Approval, Outcome
from approvals.ends import EndCode
from approvals.values import Value

OutputStatus = Literal["completed", "approved", "rejected", "withdrawn"]


class OrderOutput(Value):
    """How a request ended and who said so. `outcome` is an end's code (`approvals.ends`).

    `approvers` are the people who said yes, in their order; nobody for a rule that approves by itself.
    """

    status: OutputStatus
    reason: str | None = None
    outcome: EndCode
    approvers: tuple[str, ...] = ()
    rejected_by: str | None = None
    rule: str


def output_of(status: OutputStatus, outcome: Outcome) -> OrderOutput:
    """Return the output of a request that ended like this."""
    rejected = [_name(one) for one in outcome.by if not one.approved]
    return OrderOutput(
        status=status,
        reason=None if outcome.approved else outcome.reason,
        outcome=end_of_outcome(outcome),
        approvers=tuple(_name(one) for one in outcome.by if one.approved),
        rejected_by=rejected[-1] if rejected else None,
        rule=outcome.rule,
    )


def _name(one: Approval) -> str:
    return one.name or next(iter(one.emails), one.person.key)


def end_of_outcome(outcome: Outcome) -> EndCode:
    """Return the code of the end that an outcome is."""
    if outcome.end is not None:
        return outcome.end
    if outcome.approved:
        return "approved"
    return "timed_out" if outcome.reason == "approval_timeout" else "rejected"
