"""What people submit, what became of it, and every reason for which a submission is refused.

All of it comes as the one event `approval_decision`, whose order decides every race
(docs/decisions/0007-one-mailbox.md).
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from approvals.ends import EndCode
from approvals.people import Person, Principal
from approvals.request import ApprovalRequest, Binding
from approvals.values import Moment, Value, absent

Transport = Literal["slack", "rest", "dashboard", "cli", "sidecar", "policy"]

APPROVAL_DECISION = "approval_decision"
"""The one event by which all of it arrives."""


class Submitted(Value):
    """What one person submits to one request. `id` is the intake's key: the workflow counts each id once."""

    id: str
    binding: Binding
    person: Person
    reason: str = Field(default="", max_length=3000)
    through: Transport
    at: Moment
    correlation_id: str = ""


class Decision(Submitted):
    """One person's answer to one card."""

    approved: bool


# ---- everything else: a tagged union. An event without a tag is a decision.


class Question(Submitted):
    """An approver asks; `reason` is the question."""

    type: Literal["question"] = "question"


class Reply(Submitted):
    """The requester answers a question; `reason` is the answer, `question` the id of what was asked."""

    type: Literal["answer"] = "answer"
    question: str


class Edit(Submitted):
    """The requester changes what is asked: the whole of it, as it is from now on."""

    type: Literal["edit"] = "edit"
    request: ApprovalRequest


class Withdrawal(Submitted):
    """The requester takes the request back, before it has ended."""

    type: Literal["withdraw"] = "withdraw"


class HandOver(Submitted):
    """An approver names another person to decide in their place."""

    type: Literal["hand_over"] = "hand_over"
    to: Principal


class Undo(Submitted):
    """A person takes back their own yes; `decision` is its id."""

    type: Literal["undo"] = "undo"
    decision: str


class Override(Submitted):
    """A person named for emergencies approves outside the route, for a reason."""

    type: Literal["override"] = "override"


Submission = Annotated[Question | Reply | Edit | Withdrawal | HandOver | Undo | Override, Field(discriminator="type")]


class SignedSubmission(Value):
    """The payload of the `approval_decision` event for all but a decision, with its HMAC-SHA256 (hex)."""

    submission: Submission
    key_id: str
    mac: str


class SignedDecision(Value):
    """The payload of the `approval_decision` event.

    The decision with an HMAC-SHA256 (hex) by the key that `key_id` names.
    """

    decision: Decision
    key_id: str
    mac: str


class Reason(StrEnum):
    """Why something was allowed or refused. `approvals.messages` has one message for each."""

    ALLOWED = "allowed"
    UNSIGNED = "unsigned"
    BAD_SIGNATURE = "bad_signature"
    MALFORMED = "malformed"
    WRONG_INSTANCE = "wrong_instance"
    REUSED_ID = "reused_id"
    CHANGED_REQUEST = "changed_request"
    OLD_CARD = "old_card"
    REROUTED_CARD = "rerouted_card"
    FORGED_CARD = "forged_card"
    DUPLICATE = "duplicate"
    ALREADY_DECIDED = "already_decided"
    ALREADY_COUNTED = "already_counted"
    SEATS_FILLED = "seats_filled"
    REQUEST_OVER = "request_over"
    BROKEN_OFF = "broken_off"
    TOO_LATE = "too_late"
    OWN_REQUEST = "own_request"
    NOT_AN_APPROVER = "not_an_approver"
    NOT_THE_REQUESTER = "not_the_requester"
    NOT_OFFERED = "not_offered"
    NOT_THEIR_YES = "not_their_yes"
    UNDO_CLOSED = "undo_closed"
    NO_APPROVERS = "no_approvers"
    UNKNOWN_PERSON = "unknown_person"
    UNKNOWN_GROUP = "unknown_group"
    UNKNOWN_REQUESTER = "unknown_requester"
    OTHER_TEAM = "other_team"
    BOT = "bot"
    GUEST = "guest"
    DEACTIVATED = "deactivated"
    STRANGER = "stranger"
    INVITED = "invited"
    LOOKUP_FAILED = "lookup_failed"
    REASON_MISSING = "reason_missing"
    NOT_PERMITTED = "not_permitted"
    MEMBERS_ONLY = "members_only"
    ROLES_UNKNOWN = "roles_unknown"
    NOT_IN_THIS_STATUS = "not_in_this_status"


class Verdict(Value):
    """Whether something may be done, why, and by which rule. `rule` names the policy rule or the check that decided."""

    allowed: bool
    reason: Reason
    rule: str = ""


class Judgement(Value):
    """The result of judge_decision: everything about a decision that depends on a key, a clock or Slack.

    `emails` are all addresses known of the person (lower case), `matched` the principal or delegation that makes the
    person an approver, `submission` what was submitted if it is no decision, `acting_for` the person (user id,
    e-mails) in whose place the person decides by delegation, `evidence` what was looked up and when, for the audit.
    """

    verdict: Verdict
    decision: Decision | None = None
    emails: tuple[str, ...] = ()
    matched: str = ""
    acting_for: tuple[str, ...] = ()
    name: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)
    submission: Submission | None = Field(default=None, exclude_if=absent)
    matches: tuple[str, ...] = Field(
        default=(), exclude_if=absent, description="all principals that match the person, where seats are to be filled"
    )

    @property
    def submitted(self) -> Decision | Submission | None:
        """Whatever was submitted; None if it cannot be read."""
        return self.decision or self.submission


class Approval(Value):
    """An accepted decision, as it counts in a request's state."""

    decision_id: str
    person: Person
    name: str = ""
    emails: tuple[str, ...] = ()
    acting_for: tuple[str, ...] = ()
    stage: int
    approved: bool
    reason: str = ""
    at: Moment
    through: Transport
    matches: tuple[str, ...] = Field(default=(), exclude_if=absent)


class Outcome(Value):
    """A request's end. `reason` is the person's own words, or `approval_timeout`, or a Reason's value.

    `end` names an end that the other fields do not tell; `approvals.output.end_of_outcome` tells all.
    """

    approved: bool
    reason: str = ""
    rule: str
    policy_version: str
    digest: str
    by: tuple[Approval, ...] = ()
    at: Moment
    end: EndCode | None = Field(default=None, exclude_if=absent)
