"""The one error model: a refusal says what kind of no it is, and the message that people get.

No transport's words stand here. Each face maps the kinds once: REST to statuses (`web/answers`), the dashboard to
pages, Slack to a private message, a bulk operation to a result.
"""

from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError

from approvals.decision import Reason, Verdict
from approvals.messages import message_for
from approvals.mistakes import clause, first_mistake
from bot.engine.client import EngineRefusedError, EngineUnavailableError
from records.errors import BadCursorError, DatabaseUnavailableError, UnreadableRowError


class Kind(StrEnum):
    """The kind of refusal; each face has one answer for each."""

    NOT_SIGNED_IN = "not_signed_in"
    BAD_CREDENTIALS = "bad_credentials"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    BUSY = "busy"
    UNBOUND = "unbound"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    DAMAGED = "damaged"


CORRECTABLE: Final = frozenset({Kind.CONFLICT, Kind.BUSY, Kind.INVALID})
"""Refusals that the person can correct: the form is shown again with the message."""


class Refused(Exception):  # noqa: N818 a refusal is an answer, not a fault of the program
    """An answer other than yes. `retry_after` is in seconds; further fields say more to programs."""

    def __init__(self, kind: Kind, message: str, *, retry_after: float | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.fields = fields


KIND_OF: Final[dict[Reason, Kind]] = {
    Reason.WRONG_INSTANCE: Kind.CONFLICT,
    Reason.REUSED_ID: Kind.CONFLICT,
    Reason.CHANGED_REQUEST: Kind.CONFLICT,
    Reason.OLD_CARD: Kind.CONFLICT,
    Reason.REROUTED_CARD: Kind.CONFLICT,
    Reason.FORGED_CARD: Kind.CONFLICT,
    Reason.DUPLICATE: Kind.CONFLICT,
    Reason.ALREADY_DECIDED: Kind.CONFLICT,
    Reason.ALREADY_COUNTED: Kind.CONFLICT,
    Reason.SEATS_FILLED: Kind.CONFLICT,
    Reason.REQUEST_OVER: Kind.CONFLICT,
    Reason.UNDO_CLOSED: Kind.CONFLICT,
    Reason.BROKEN_OFF: Kind.CONFLICT,
    Reason.TOO_LATE: Kind.CONFLICT,
    Reason.REASON_MISSING: Kind.INVALID,
    Reason.LOOKUP_FAILED: Kind.UNAVAILABLE,
}
"""Reasons about the request or a part that is away. All others are about the person: not allowed."""


def refused(verdict: Verdict, kind: Kind | None = None, message: str = "") -> Refused:
    """Return the refusal for a verdict that says no: with the message that Slack and the audit have."""
    found = kind or KIND_OF.get(verdict.reason, Kind.NOT_ALLOWED)
    return Refused(found, message or message_for(verdict.reason), reason=verdict.reason.value, rule=verdict.rule)


def unusable(error: ValueError, what: str = "request") -> Refused:
    """Return the refusal for values that a model did not take: its first message, with the field that it is about."""
    if not isinstance(error, ValidationError):
        return Refused(Kind.INVALID, str(error))
    first = first_mistake(error)
    where = ".".join(str(part)[:100] for part in first["loc"]) or what
    return Refused(Kind.INVALID, f"The {where} is not usable: {clause(first)}.")


def unknown(reference: str) -> Refused:
    """Return the refusal for an id that neither the engine nor the read model knows."""
    return Refused(
        Kind.NOT_FOUND,
        f"No workflow is known as {reference[:100]}. Look at the id: an instance id or an order's id works, and 'list' "
        "shows what there is.",
    )


def unseen(reference: str) -> Refused:
    """Return the refusal for an id that is not known, and for one of a request that the caller may not see: the same.

    Otherwise a person who may see nothing could try which ids there are.
    """
    return Refused(
        Kind.NOT_FOUND,
        f"No request of yours, and none that asks you, is known as {reference[:100]}. Look at the id: an order's id or "
        "an instance id works, and 'list' shows what there is. Operators, auditors and admins see every request.",
    )


TRANSLATED: Final = (
    Refused,
    EngineRefusedError,
    EngineUnavailableError,
    BadCursorError,
    DatabaseUnavailableError,
    UnreadableRowError,
)
"""The errors that services raise: every face has a message for each of them."""


def as_refusal(error: Exception, *, reading: bool = False) -> Refused | None:  # noqa: PLR0911 one for each kind
    """Return the refusal for what a service raised, None for a fault. `reading`: the call can have changed nothing."""
    match error:
        case Refused():
            return error
        case BadCursorError():
            return Refused(Kind.INVALID, str(error))
        case EngineRefusedError():
            return Refused(Kind.CONFLICT, f"The workflow engine refused: {error}. Nothing was done.")
        case EngineUnavailableError():
            return Refused(Kind.UNAVAILABLE, UNREAD if reading else UNKNOWN, retry_after=5)
        case DatabaseUnavailableError():
            return Refused(Kind.UNAVAILABLE, error.public, retry_after=5)
        case UnreadableRowError():
            return Refused(Kind.DAMAGED, error.public)
        case _:
            return None


def message_of(error: Exception) -> str:
    """Return the message for what a service raised."""
    refusal = as_refusal(error)
    return refusal.message if refusal is not None else str(error)


UNREAD: Final = (
    "The workflow engine does not answer, so what it knows cannot be shown now. What waits keeps waiting: start the "
    "Dapr sidecar if it is down (/readyz names the part that is away), then ask again."
)
UNKNOWN: Final = (
    "The workflow engine does not answer, or no worker is connected to it. Whether the call took effect is not known: "
    "look at the workflow's status before you call again."
)
