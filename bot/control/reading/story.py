"""A request's story: what happened to it as people tell it, from the audit. Technical entries stay in the audit alone.

Left out is what is no event of the request: a call that its caller's role does not include, a card that was posted, a
decision on its way to the workflow.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from approvals.audit_actions import AuditAction
from approvals.decision import Reason
from approvals.messages import message_for
from approvals.values import Moment, Value
from records import audit

TOLD: Final[dict[str, str]] = {
    AuditAction.ORDER_STARTED: "started",
    AuditAction.REQUEST_ASKED: "asked",
    AuditAction.REQUEST_REMINDED: "reminded",
    AuditAction.REQUEST_ESCALATED: "passed on to more people",
    AuditAction.REQUEST_ACCEPTED: "approved",
    AuditAction.REQUEST_REFUSED: "answer refused",
    AuditAction.REQUEST_ADVANCED: "stage complete",
    AuditAction.REQUEST_APPROVED: "ended as approved",
    AuditAction.REQUEST_REJECTED: "ended as rejected",
    AuditAction.REQUEST_TIMED_OUT: "ended: too few answered in time",
    AuditAction.REQUEST_WITHDRAWN: "withdrawn",
    AuditAction.DECISION_REFUSED: "answer refused",
    AuditAction.WITHDRAWAL_REFUSED: "withdrawal refused",
    AuditAction.CARD_UNPOSTED: "card not posted so far",
    AuditAction.EFFECT_ORDER_PROCESSED: "carried out",
    AuditAction.EFFECT_SENT: "handed to the other system",
    AuditAction.EFFECT_REFUSED: "not handed to the other system",
    AuditAction.WORKFLOW_PAUSE: "paused",
    AuditAction.WORKFLOW_RESUME: "resumed",
    AuditAction.WORKFLOW_TERMINATE: "stopped",
    AuditAction.WORKFLOW_PURGE: "purged",
    AuditAction.WORKFLOW_RERUN: "run again",
    AuditAction.WORKFLOW_RAISE_EVENT: "event raised",
}
"""The title of each entry. For other actions the words of the name are shown."""

UNTOLD: Final = frozenset({
    AuditAction.ACCESS_REFUSED, AuditAction.DECISION_SUBMITTED, AuditAction.CARD_POSTED, AuditAction.POLICY_CHANGED,
    AuditAction.WITHDRAWAL_SUBMITTED,
})  # fmt: skip

PURGES: Final = frozenset({AuditAction.WORKFLOW_PURGE, AuditAction.WORKFLOW_FOUND_PURGED})

REFUSED: Final = frozenset({AuditAction.DECISION_REFUSED, AuditAction.REQUEST_REFUSED, AuditAction.WITHDRAWAL_REFUSED})

CODES: Final = {"approval_timeout": ""}
"""Reasons that are codes of the machine's, with what people are told in their place."""


class StoryEvent(Value):
    """One event. `actor` is a person's key, a key's id or empty for the workflow; `name` is theirs, if it is known."""

    at: Moment
    what: str
    actor: str = ""
    name: str = ""
    text: str = ""


def events(entries: Iterable[audit.Chained], names: Mapping[str, str]) -> tuple[StoryEvent, ...]:
    """Return a request's story, oldest first. `names` are of actors."""
    return tuple(event_of(entry, names) for entry in entries if entry.action not in UNTOLD)


def event_of(entry: audit.Chained, names: Mapping[str, str]) -> StoryEvent:
    """Return an audit entry as an event of the story."""
    person = entry.actor not in {"workflow", "system"}
    return StoryEvent(
        at=entry.at,
        what=_what(entry),
        actor=entry.actor if person else "",
        name=names.get(entry.actor, "") if person else "",
        text=text_of(entry),
    )


def _what(entry: audit.Chained) -> str:
    if entry.action == AuditAction.REQUEST_ACCEPTED and entry.data.get("approved") is False:
        return "rejected"
    if entry.action == AuditAction.WORKFLOW_RAISE_EVENT and entry.data.get("event"):
        return f"event {entry.data['event']} raised"
    plain = entry.action.partition(".")[2].replace("_", " ")
    return TOLD.get(entry.action, plain)


def text_of(entry: audit.Chained) -> str:
    """Return the words that were typed, or the message for a machine's reason."""
    if entry.action in REFUSED and entry.verdict in set(Reason):
        # What was typed with the answer is no reason of its refusal.
        return message_for(Reason(entry.verdict), withdrawal=entry.action == AuditAction.WITHDRAWAL_REFUSED)
    reason = CODES.get(entry.reason, entry.reason)
    return message_for(Reason(reason)) if reason in set(Reason) else reason
