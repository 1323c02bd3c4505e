"""The errors of the local workspace: Slack's own words for them, and nothing about HTTP beyond a status."""

from typing import Any


class SlackError(Exception):
    """A refusal that the Web API answers with `{"ok": false, "error": ...}`."""

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Slack's response body for this refusal."""
        return {"ok": False, "error": self.error, **self.extra}


class RateLimitedError(SlackError):
    """HTTP 429: the caller has to wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after


class UsageError(Exception):
    """Somebody drives the workspace in a way that no Slack client allows; the sentence says what to do instead."""
