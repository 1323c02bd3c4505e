"""Refusals: the answers other than yes, with the message that people get."""

from http import HTTPStatus
from typing import Any

from approvals.decision import Verdict
from approvals.messages import sentence


class Problem(Exception):  # noqa: N818 RFC 9457 calls it a problem
    """An answer other than yes. `detail` is the sentence; further fields say more to programs."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **fields: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.fields = fields


def refused(verdict: Verdict, status: int = HTTPStatus.FORBIDDEN) -> Problem:
    """Return the problem for a verdict that says no: the same sentence that Slack and the audit have."""
    return Problem(status, sentence(verdict.reason), reason=verdict.reason.value, rule=verdict.rule)


class RefusedError(Exception):
    """The call makes no sense for this instance as it stands. The text is a sentence."""
