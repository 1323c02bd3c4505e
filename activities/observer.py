"""The ports through which lower rooms notify the process around them: they call no higher one."""

from collections.abc import Iterable
from typing import Protocol

from approvals.decision import Verdict
from approvals.state import State
from records import notifications


class NotificationQueue(Protocol):
    """Sends what is committed. What it does not take is found in the database a moment later."""

    def take(self, rows: Iterable[notifications.Row]) -> None:
        """Send these now."""


class ActivityObserver(Protocol):
    """Hears what an activity has committed. Nothing depends on its hearing it: the database says the same."""

    def state_changed(self, state: State) -> None:
        """Hear that a request's state stands in the database now."""

    def decision_answered(self, decision_id: str, verdict: Verdict) -> None:
        """Hear that the workflow has answered a decision."""

    def notifications_added(self, rows: Iterable[notifications.Row]) -> None:
        """Hear that there is something to send."""

    async def card_posted(self, instance_id: str) -> None:
        """Hear that a request has a card. It may have ended meanwhile."""
