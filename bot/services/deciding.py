"""From a click to the workflow's answer: judging, taking in, delivering, telling people and systems. Wiring only."""

import ipaddress
from datetime import timedelta
from functools import cached_property

from activities.callbacks import Callbacks
from activities.judging import Judge
from activities.proving import Prover
from activities.slack.alarming import Alarms
from activities.slack.announcing import Announcer
from activities.slack.notifier import Notifier
from activities.slack.sending import NotificationSender
from activities.webhooks.addresses import LOOPBACK
from activities.webhooks.delivering import Webhooks
from activities.webhooks.sending import WebhookSender
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.reconciler import ReconcileIntervals
from bot.decisions.answers import CHANNEL, Answers
from bot.decisions.delivery import Deliverer
from bot.decisions.state_cache import StateCache
from bot.decisions.submitting import Decisions
from bot.services.outside import Outside
from records import slack_answers
from records.listening import Listener


class Deciding(Outside):
    """Judging, intake, delivery, notifications and webhooks."""

    @cached_property
    def prover(self) -> Prover:
        """Derives from sealed evidence what the engine claims."""
        return Prover(self.database, self.keys, self.clock)

    @cached_property
    def judge(self) -> Judge:
        """Judges decisions, at the door and for the workflow."""
        unsigned = self.settings.accept_unsigned_decisions
        return Judge(self.directory, self.keys, self.clock, accept_unsigned=unsigned)

    @cached_property
    def announcer(self) -> Announcer:
        """Tells people."""
        return Announcer(self.database, self.slack, self.directory, self.clock)

    @cached_property
    def reconcile_intervals(self) -> ReconcileIntervals:
        """The reconciler's intervals."""
        return ReconcileIntervals.sweep_every(self.settings.reconcile_every_seconds)

    @cached_property
    def card_repair(self) -> CardRepair:
        """Rewrites cards that lag behind."""
        return CardRepair(
            self.database,
            self.announcer,
            self.directory,
            self.clock,
            timedelta(seconds=self.reconcile_intervals.settled),
        )

    @cached_property
    def notifier(self) -> Notifier:
        """Sends notifications."""
        alarms = Alarms(self.database, self.slack, self.directory, self.policies, self.clock)
        sender = NotificationSender(self.database, self.slack, self.directory, self.announcer, self.card_repair, alarms)
        return Notifier(self.database, sender, self.clock)

    @cached_property
    def answers(self) -> Answers:
        """The answers of workflows that are waited for."""
        return Answers(self.database)

    @cached_property
    def deliverer(self) -> Deliverer:
        """Delivers the intake's decisions."""
        return Deliverer(self.database, self.engine, self.background, self.clock, self.notifier, self.answers)

    @cached_property
    def listener(self) -> Listener:
        """Listens to PostgreSQL's notifications of other processes: answers, and changes in Slack's directory."""
        return Listener(self.database, {CHANNEL: self.answers, slack_answers.CHANNEL: self.directory})

    @cached_property
    def states(self) -> StateCache:
        """The cache of requests' states."""
        return StateCache()

    @cached_property
    def decisions(self) -> Decisions:
        """Takes decisions in."""
        return Decisions(
            database=self.database,
            judge=self.judge,
            keys=self.keys,
            deliverer=self.deliverer,
            answers=self.answers,
            states=self.states,
            background=self.background,
            clock=self.clock,
        )

    @cached_property
    def callbacks(self) -> Callbacks:
        """The addresses that may be called back."""
        settings = self.settings
        return Callbacks(settings.callback_hosts, plain_to_loopback=settings.slack_is_local)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Tells other systems of ends."""
        networks = tuple(ipaddress.ip_network(each) for each in self.settings.callback_networks)
        allowed = (*networks, *LOOPBACK) if self.settings.slack_is_local else networks
        return Webhooks(self.database, WebhookSender(allowed), self.keys, self.clock)
