"""The ends of a request, one table: the code that programs read, the words that people read, a command's exit code."""

from typing import Final, Literal

from approvals.values import Value

EndCode = Literal["approved", "overridden", "rejected", "timed_out", "withdrawn", "terminated", "failed", "expired"]

STILL_WAITING: Final = 13
"""The exit code of a command that waits for an end and gives up before there is one."""


class End(Value):
    """One way in which a request ends. `shown` begins a sentence; `exit_code` is that of `watch` and its like."""

    code: EndCode
    shown: str
    exit_code: int
    meaning: str


ENDS: Final[dict[EndCode, End]] = {
    end.code: end
    for end in (
        End(code="approved", shown="Approved", exit_code=0, meaning="Everybody whose yes was needed gave it."),
        End(
            code="overridden",
            shown="Approved by override",
            exit_code=0,
            meaning="It was approved outside the usual route, for a reason that stands in the audit.",
        ),
        End(code="rejected", shown="Rejected", exit_code=10, meaning="An approver, or the policy, said no."),
        End(
            code="timed_out",
            shown="Nobody answered",
            exit_code=11,
            meaning="Not enough people answered before the deadline. This is not a no.",
        ),
        End(code="withdrawn", shown="Withdrawn", exit_code=12, meaning="The requester took it back."),
        End(code="terminated", shown="Stopped", exit_code=14, meaning="An operator stopped it before it was decided."),
        End(code="failed", shown="Failed", exit_code=15, meaning="It broke off with an error."),
        End(code="expired", shown="Expired", exit_code=16, meaning="It was approved and not used in time."),
    )
}


def end_of(code: str | None) -> End | None:
    """Return the end of a code; None for a request that is not over, and for a code of a later release."""
    return next((end for end in ENDS.values() if end.code == code), None)


def shown(code: str | None) -> str:
    """Return an end in words; a code of a later release as it is, and nothing for a request that is not over."""
    end = end_of(code)
    return end.shown if end else (code or "").replace("_", " ").capitalize()
