"""The JSON contract of the registered child workflow `request_approval_workflow`: what any app-id sends, and gets back.

Public: fields are only added, with defaults. What changes its meaning is a new `contract` number beside the old one.
"""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from approvals.decision import Outcome
from approvals.ends import EndCode
from approvals.output import end_of_outcome
from approvals.request import ApprovalRequest
from approvals.values import Moment, Value


class ContractRequest(Value):
    """A request of another app's workflow. The fields are those of `POST /requests`; a requester has to be named."""

    contract: Literal[1] = 1
    kind: str = Field(pattern="^[a-z][a-z0-9_-]{0,49}$")
    subject: str
    amount: Decimal | str | None = None
    currency: str = ""
    description: str = ""
    requester: str
    fields: dict[str, str] = Field(default_factory=dict)
    details: dict[str, str] = Field(default_factory=dict)

    def request(self) -> ApprovalRequest:
        """Return the request. Raises: ValidationError."""
        return ApprovalRequest.model_validate(self.model_dump(exclude={"contract"}))


class Said(Value):
    """One decision that counted."""

    person: str
    name: str
    approved: bool
    reason: str
    stage: int
    at: Moment


class ContractAnswer(Value):
    """How a request ended. `status` is an end's code; `digest` is the SHA-256 of what was asked."""

    contract: Literal[1] = 1
    id: str
    status: EndCode
    approved: bool
    reason: str = ""
    rule: str = ""
    policy_version: str = ""
    digest: str = ""
    decided_by: tuple[Said, ...] = ()
    ended_at: Moment | None = None


def answer_of(instance_id: str, outcome: Outcome) -> ContractAnswer:
    """Return the answer to the workflow that asked. An outcome without a digest is a start that was refused."""
    said = tuple(
        Said(
            person=one.person.key,
            name=one.name,
            approved=one.approved,
            reason=one.reason,
            stage=one.stage + 1,
            at=one.at,
        )
        for one in outcome.by
    )
    return ContractAnswer(
        id=instance_id,
        status=end_of_outcome(outcome),
        approved=outcome.approved,
        reason=outcome.reason,
        rule=outcome.rule,
        policy_version=outcome.policy_version,
        digest=outcome.digest,
        decided_by=said,
        ended_at=outcome.at if outcome.digest else None,
    )
