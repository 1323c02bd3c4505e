"""The composition root: the only place that picks implementations and wires them. Nothing happens at import.

Each file adds its parts to those of the file before: outside, deciding, operating, reading, keeping, Slack's side.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cached_property

from activities.slack.notifier import NOTIFICATIONS_POLL_S
from activities.webhooks.delivering import WEBHOOKS_POLL_S
from bot.control.reading.figures import GatheredFigures
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.doctor import Doctor
from bot.engine.worker import STARTABLE
from bot.process.leadership import Job
from bot.process.periodic import Loops, Periodic
from bot.process.settings import Settings
from bot.rest.health import Health
from bot.rest.metrics import Metrics
from bot.services.slack_side import SlackSide
from records.errors import RecordsError, public_message
from records.listening import LISTEN_S


class Services(SlackSide):
    """Everything that the app is made of, with its background loops, its health and its end."""

    def leave(self) -> None:
        """Take no new work, at the beginning of an end: the sockets to Slack close first, and other replicas lead."""
        if self.leaving:
            return
        self.leaving = True
        self.background.start(self.leadership.hand_back(), "handing the jobs back")
        if self.socket is not None:
            self.background.start(self.socket.stop(), "closing the socket to Slack")

    async def drain(self) -> None:
        """Let running activities and messages to Slack end at an orderly shutdown."""
        working = [self.worker.drain()] if self.works else []
        await asyncio.gather(*working, self.notifier.stop(), self.webhooks.stop())

    @cached_property
    def loops(self) -> Loops:
        """The background loops."""
        return Loops(*self._beside)

    @cached_property
    def watched(self) -> Loops:
        """All loops whose failures are shown; those that look for followers and answers run only while some wait."""
        return Loops(*self._beside, self.following.loop, self.answers.loop)

    @cached_property
    def _beside(self) -> tuple[Periodic, ...]:
        telling = Periodic(
            "notifications", self.notifier.look, NOTIFICATIONS_POLL_S, passing=(RecordsError,), public=public_message
        )
        hearing = Periodic("listening", self.listener.look, LISTEN_S, passing=(RecordsError,), public=public_message)
        hooks = Periodic(
            "webhooks", self.webhooks.look, WEBHOOKS_POLL_S, passing=(RecordsError,), public=public_message
        )
        always = self.secrets.loop, self.deliverer.loop, self.restoration.loop
        working = (self.leadership.loop, telling, hooks, *self._led) if self.works else ()
        return *always, hearing, *working

    @cached_property
    def _led(self) -> tuple[Periodic, ...]:
        """The loops that one process at a time runs, each under its job's lease."""
        reconciler = self.reconciler.loops
        led = {
            Job.RECONCILER: (reconciler.follow, reconciler.look, reconciler.sweep),
            Job.CARDS: (reconciler.cards,),
            Job.CHECKPOINTS: (self.checkpointing.loop,),
            Job.PRUNING: (self.replays.loop,),
            Job.RETENTION: (self.retention.loop,),
            Job.REACH: (self.reach.loop,),
        }
        return tuple(loop.led_by(self.leadership.lease(job)) for job, loops in led.items() for loop in loops)

    @cached_property
    def health(self) -> Health:
        """The checks of /readyz."""
        return Health(
            database=self.database,
            engine=self.engine,
            worker=self.worker if self.works else None,
            socket=self.socket,
            loops=self.watched,
            raises=self.deliverer.raises,
            leadership=self.leadership,
            restoration=self.restoration,
            leaving=lambda: self.leaving,
        )

    @cached_property
    def metrics(self) -> Metrics:
        """The figures of /metrics."""
        return Metrics(
            gathered=GatheredFigures(self.database, self.clock),
            worker=self.worker if self.works else None,
            deliverer=self.deliverer,
            loops=self.watched,
            leadership=self.leadership,
            reconciler=self.reconciler,
            restoration=self.restoration,
            clock=self.clock,
        )


def doctor(services: Services, young: timedelta) -> Doctor:
    """Return the doctor of these parts; it ignores what moved less than `young` ago."""
    return Doctor(
        database=services.database,
        engine=services.engine,
        reconciler=services.reconciler,
        restoration=services.restoration,
        reach=services.reach,
        card_repair=CardRepair(
            services.database, services.announcer, services.directory, services.clock, settled=young
        ),
        clock=services.clock,
        own=STARTABLE,
        young=young,
    )


@asynccontextmanager
async def doctor_of(settings: Settings, young: timedelta) -> AsyncIterator[Doctor]:
    """Give what `countersign doctor` works with: the app's parts without its web server and its worker."""
    services = Services(settings)
    async with AsyncExitStack() as stack:
        for closing in (services.database.close, services.engine.close, services.slack.close):
            stack.push_async_callback(closing)
        await services.database.migrate()
        yield doctor(services, young)
