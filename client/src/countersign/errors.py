"""Everything that is not a yes. Each message says what happened and what to do."""

from typing import Final

from countersign.values import Request


class CountersignError(Exception):
    """The base of all errors of this package."""


class Misconfigured(CountersignError):  # noqa: N818 an answer, named as people say it
    """No address or no key is set, or they cannot be used."""


class Unreachable(CountersignError):  # noqa: N818 an answer, named as people say it
    """The app did not answer for as long as the caller was ready to wait."""


class Refused(CountersignError):  # noqa: N818 an answer, named as people say it
    """The app has refused the call. `status` is the HTTP status; quote `correlation_id` to its operator."""

    def __init__(self, message: str, status: int, correlation_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.correlation_id = correlation_id


class NotVerified(CountersignError):  # noqa: N818 an answer, named as people say it
    """A webhook or a receipt is not what it claims to be. Nothing in it may be believed."""


class NotApproved(CountersignError):  # noqa: N818 an answer, named as people say it
    """There is no yes. `request` says where it stands."""

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message)
        self.request = request


class Rejected(NotApproved):
    """An approver has said no."""


class TimedOut(NotApproved):
    """Nobody has answered before the deadline."""


class Withdrawn(NotApproved):
    """The requester has taken it back."""


class Terminated(NotApproved):
    """An operator has stopped it."""


class Failed(NotApproved):
    """Something broke on the way to a decision."""


class Expired(NotApproved):
    """It was approved and not used in time: ask again under another key."""


class StillWaiting(NotApproved):
    """The time to wait is over, and the request goes on. Call again with the same key to wait on."""


ENDS: Final[dict[str, tuple[type[NotApproved], str]]] = {
    "rejected": (Rejected, "was rejected"),
    "timed_out": (TimedOut, "was not answered in time"),
    "withdrawn": (Withdrawn, "was withdrawn"),
    "terminated": (Terminated, "was stopped by an operator"),
    "failed": (Failed, "failed before it was decided"),
    "expired": (Expired, "was approved and not used in time; ask again under another key"),
}


def error_of(request: Request) -> NotApproved:
    """Return the error for a request that is over without a yes, or not over."""
    kind, what = ENDS.get(request.status, (StillWaiting, "still waits; call again with the same key to wait on"))
    who = f" by {request.decided_by[-1].name}" if kind is Rejected and request.decided_by else ""
    why = f": {request.reason}" if request.reason else ""
    return kind(f"{request.subject} ({request.id}) {what}{who}{why}.", request)
