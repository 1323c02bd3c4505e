"""Background work on read model, cards and audit: reconciling, checkpoints, retention. Wiring only."""

from datetime import timedelta
from functools import cached_property

from bot.control.reconciling.checkpoints import Checkpointing, signers_of
from bot.control.reconciling.reaching import REACH_EVERY_S, Reach
from bot.control.reconciling.reconciler import Reconciler
from bot.control.reconciling.retention import Retention
from bot.services.reading import Reading
from bot.slack.replay import ReplayGuard


class Keeping(Reading):
    """Reconciling, checkpoints, retention."""

    @cached_property
    def reconciler(self) -> Reconciler:
        """Keeps read model and cards true."""
        return Reconciler(
            database=self.database,
            engine=self.engine,
            card_repair=self.card_repair,
            keys=self.keys,
            clock=self.clock,
            intervals=self.reconcile_intervals,
            engine_keeps=_days(self.settings.engine_retention_days),
        )

    @cached_property
    def retention(self) -> Retention:
        """Forgets what ended long ago."""
        return Retention(self.database, self.engine, self.clock, _days(self.settings.retention_days))

    @cached_property
    def reach(self) -> Reach:
        """Checks that the people who are asked can still decide."""
        every_s = min(REACH_EVERY_S, self.settings.reconcile_every_seconds)
        return Reach(self.database, self.slack, self.directory, self.clock, self.settings.link_base, every_s)

    @cached_property
    def checkpointing(self) -> Checkpointing:
        """Signs the audit's end."""
        settings = self.settings
        every = settings.checkpoint_every_minutes * 60
        return Checkpointing(
            self.database,
            lambda: signers_of(self.keys)[0],
            settings.checkpoint_dir,
            self.clock,
            every,
            restoration=self.restoration,
        )

    @cached_property
    def replays(self) -> ReplayGuard:
        """The same signed bytes again."""
        return ReplayGuard(self.database, self.clock)


def _days(number: float) -> timedelta | None:
    return timedelta(days=number) if number else None
