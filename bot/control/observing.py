"""Forwards the activities' notices to this process's caches and loops: the one implementation of their port."""

from collections.abc import Iterable
from typing import NamedTuple

from activities.slack.notifier import Notifier
from approvals.decision import Verdict
from approvals.state import State
from bot.control.reconciling.card_repair import CardRepair
from bot.decisions.answers import Answers
from bot.decisions.state_cache import StateCache
from records import notifications


class Observer(NamedTuple):
    """Caches states, wakes callers that wait for an answer, sends notifications, repairs late cards."""

    states: StateCache
    answers: Answers
    notifier: Notifier
    repair: CardRepair

    def state_changed(self, state: State) -> None:
        """Cache the state: the next click need not read it."""
        self.states.keep(state)

    def decision_answered(self, decision_id: str, verdict: Verdict) -> None:
        """Wake the call of this process that waits for the answer."""
        self.answers.answered(decision_id, verdict)

    def notifications_added(self, rows: Iterable[notifications.NotificationRow]) -> None:
        """Send them now, not at the next poll."""
        self.notifier.take(rows)

    async def card_posted(self, instance_id: str) -> None:
        """Repair the card if the request ended while it was posted."""
        await self.repair.show(instance_id)
