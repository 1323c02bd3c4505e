"""The ports through which lower rooms notify the process around them: they call no higher one."""

from collections.abc import Iterable
from typing import Protocol

from approvals.decision import Verdict
from approvals.state import State
from records import notifications


class NotificationQueue(Protocol):
    """Sends committed notifications. Those it does not take are found by the next poll."""

    def take(self, rows: Iterable[notifications.NotificationRow]) -> None:
        """Send these now."""


class CardRewriter(Protocol):
    """Rewrites cards. Raises: SlackUnavailableError, SlackRefusedError."""

    async def rewrite(self, instance_id: str) -> None:
        """Rewrite one request's cards if they lag behind."""


class ActivityObserver(Protocol):
    """Notified after an activity's commit. An optimization only: the database says the same."""

    def state_changed(self, state: State) -> None:
        """Take note of a committed state."""

    def decision_answered(self, decision_id: str, verdict: Verdict) -> None:
        """Take note of the workflow's answer to a decision."""

    def notifications_added(self, rows: Iterable[notifications.NotificationRow]) -> None:
        """Take note of committed notifications."""

    async def card_posted(self, instance_id: str) -> None:
        """Take note of a posted card. The request may have ended in between."""
