"""The audit's actions, one table: the name that stands in the entry, and its meaning.

The names are a public contract: entries keep them for ever, and exports are filtered by them. They are only added.
"""

from enum import StrEnum
from typing import Self


class AuditAction(StrEnum):
    """One kind of entry.

    A management call is written down before it is made; its `_failed` follows if the engine said no.
    """

    meaning: str

    def __new__(cls, name: str, meaning: str = "") -> Self:
        """Return a member that is its name, with its meaning."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.meaning = meaning
        return made

    ORDER_STARTED = "order.started", "An order's approval was started."
    POLICY_CHANGED = "policy.changed", "A policy with another version routed a request for the first time."

    REQUEST_ASKED = "request.asked", "A stage asked its approvers."
    REQUEST_REMINDED = "request.reminded", "The approvers of a stage were reminded."
    REQUEST_ESCALATED = "request.escalated", "A stage was passed on to more people."
    REQUEST_ACCEPTED = "request.accepted", "The workflow counted a decision."
    REQUEST_REFUSED = "request.refused", "The workflow refused a decision; the verdict says why."
    REQUEST_ADVANCED = "request.advanced", "A stage is complete and the next one begins."
    REQUEST_APPROVED = "request.approved", "The request ended as approved."
    REQUEST_REJECTED = "request.rejected", "The request ended as rejected."
    REQUEST_TIMED_OUT = "request.timed_out", "The request ended because nobody answered in time."

    REQUEST_WITHDRAWN = "request.withdrawn", "The request ended because the requester took it back."

    REQUEST_TAKEN_BACK = "request.taken_back", "A person took back their yes before the approval took effect."

    DECISION_SUBMITTED = "decision.submitted", "A decision was taken in; the workflow has not answered yet."
    WITHDRAWAL_SUBMITTED = "withdrawal.submitted", "A withdrawal was taken in; the workflow has not answered yet."
    WITHDRAWAL_REFUSED = "withdrawal.refused", "A withdrawal was refused before it reached the workflow."
    DECISION_REFUSED = "decision.refused", "A decision was refused before it reached the workflow."
    CARD_POSTED = "card.posted", "Slack took a card."
    CARD_UNPOSTED = "card.unposted", "Slack has not taken a card so far."
    EFFECT_ORDER_PROCESSED = "effect.order_processed", "An approved order stands in the ledger."
    EFFECT_SENT = "effect.sent", "Another system took an approved request."
    EFFECT_REFUSED = "effect.refused", "An approved request may not be sent to the address that it names."

    REQUEST_CONSUMED = "request.consumed", "An approval was used; it can be used once."
    WEBHOOK_GIVEN_UP = "webhook.given_up", "A receiver did not take the end of a request in three days, or wants none."
    WEBHOOK_REDRIVEN = "webhook.redriven", "A delivery to another system was begun again."
    WEBHOOK_ROTATED = "webhook.rotated", "A key's webhook secret was replaced; the one before it signs too."

    EVIDENCE_REFUSED = "evidence.refused", "The engine asked for what does not follow from sealed evidence."
    EVIDENCE_MISSING = "evidence.missing", "A decision counted that none of our doors took in."
    START_UNSIGNED = "start.unsigned", "A workflow asked that none of our doors has started; its card says so."
    START_REFUSED = "start.refused", "A workflow asked under an id, or with a seal, that is not its own."

    WORKFLOW_START_WORKFLOW = "workflow.start_workflow", "An operator started a workflow by its name."
    WORKFLOW_START_WORKFLOW_FAILED = "workflow.start_workflow_failed", "The engine did not start the workflow."
    WORKFLOW_PAUSE = "workflow.pause", "An operator paused a workflow."
    WORKFLOW_PAUSE_FAILED = "workflow.pause_failed", "The engine did not pause the workflow."
    WORKFLOW_RESUME = "workflow.resume", "An operator resumed a workflow."
    WORKFLOW_RESUME_FAILED = "workflow.resume_failed", "The engine did not resume the workflow."
    WORKFLOW_TERMINATE = "workflow.terminate", "An operator ended a workflow for good."
    WORKFLOW_TERMINATE_FAILED = "workflow.terminate_failed", "The engine did not end the workflow."
    WORKFLOW_PURGE = "workflow.purge", "An operator let the engine forget a workflow's history."
    WORKFLOW_PURGE_FAILED = "workflow.purge_failed", "The engine did not forget the workflow's history."
    WORKFLOW_RERUN = "workflow.rerun", "An operator ran a workflow again from one of its events."
    WORKFLOW_RERUN_FAILED = "workflow.rerun_failed", "The engine did not run the workflow again."
    WORKFLOW_RAISE_EVENT = "workflow.raise_event", "An operator raised an event at a workflow."
    WORKFLOW_RAISE_EVENT_FAILED = "workflow.raise_event_failed", "The event did not reach the workflow."
    WORKFLOW_NOTE = "workflow.note", "An operator wrote a note about a workflow; the reason is its text."

    WORKFLOW_FOUND_TERMINATED = "workflow.found_terminated", "A workflow was ended outside Countersign."
    WORKFLOW_FOUND_FAILED = "workflow.found_failed", "A workflow broke off with an error."
    WORKFLOW_FOUND_AHEAD = "workflow.found_ahead", "A row was behind its workflow and was rebuilt from its history."
    WORKFLOW_FOUND_VANISHED = "workflow.found_vanished", "A workflow ended and nothing of ours had written it down."
    WORKFLOW_FOUND_PURGED = "workflow.found_purged", "A workflow's history was purged outside Countersign."
    RETENTION_SWEPT = "retention.swept", "What ended before a moment is forgotten: how many requests, and the moment."
    BULK_PLANNED = "bulk.planned", "A dry run listed what a bulk operation would hit."
    BULK_STARTED = "bulk.started", "A bulk operation began."
    BULK_CONTINUED = "bulk.continued", "A bulk operation went on with what had failed or was left."
    DOCTOR_HEALED_WEDGED = "doctor.healed_wedged", "The doctor purged a workflow that every worker loops on."
    DOCTOR_HEALED_ORPHANED = "doctor.healed_orphaned", "The doctor added a row for a workflow of the engine's."
    DOCTOR_HEALED_DIVERGED = "doctor.healed_diverged", "The doctor let a row follow the engine."
    DOCTOR_HEALED_VANISHED = "doctor.healed_vanished", "The doctor noted the end of a workflow that is gone."
    DOCTOR_HEALED_CARD_LIES = "doctor.healed_card_lies", "The doctor rewrote a card."
    DOCTOR_HEALED_UNANSWERED = "doctor.healed_unanswered", "The doctor made a decision due again."

    DOCTOR_RESTORE_ACKNOWLEDGED = (
        "doctor.restore_acknowledged",
        "An operator acknowledged that the database was restored; effects went on.",
    )

    ACCESS_REFUSED = "access.refused", "A call was refused; the entry says of whom and for what."
    SESSION_BEGAN = "session.began", "A person signed in to the dashboard."
    SESSION_ENDED = "session.ended", "A person signed out of the dashboard."
    KEY_CREATED = "key.created", "An API key was made."
    KEY_CHANGED = "key.changed", "The hosts that an API key's callbacks may name were changed."
    KEY_REVOKED = "key.revoked", "An API key was revoked."
    AUDIT_UNSIGNED = "audit.unsigned", "Signed checkpoints were missing when the app took its next one."
    AUDIT_VERIFIED = "audit.verified", "The audit's chain was checked from the dashboard."


STARTED_AT_A_DOOR = frozenset({AuditAction.ORDER_STARTED, AuditAction.WORKFLOW_START_WORKFLOW})
"""A door has sealed a request and started it."""

ASKED = frozenset({AuditAction.REQUEST_ASKED})
EFFECTS = frozenset({AuditAction.EFFECT_ORDER_PROCESSED, AuditAction.EFFECT_SENT})
