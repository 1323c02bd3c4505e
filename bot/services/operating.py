"""Changes to workflows: starts, management calls, and the worker that does the effects. Wiring only."""

import asyncio
from functools import cached_property

from activities import Activities
from activities.bulk import BulkActivities
from activities.processing import Processing
from bot.control.observing import Observer
from bot.control.operations.asking import Asking
from bot.control.operations.bulk_items import BulkItems
from bot.control.operations.calls import Parts
from bot.control.operations.quotas import QuotaGuard
from bot.control.operations.receipts import Receipts
from bot.control.operations.single import Operations
from bot.control.operations.starting import Starting, StartParts
from bot.control.operations.webhooks import Deliveries
from bot.control.subjects import Subjects
from bot.engine.traces import ActivityTraces
from bot.engine.worker import STARTABLE, Worker
from bot.services.deciding import Deciding


class Operating(Deciding):
    """Starts, management calls, and the worker."""

    @cached_property
    def subjects(self) -> Subjects:
        """Finds the instance of a management call."""
        return Subjects(self.database, self.engine, self.access, self.directory, self.clock)

    @cached_property
    def asking(self) -> Asking:
        """Makes requests of what callers ask."""
        return Asking(self.policies, self.access, self.subjects, self.callbacks, self.clock)

    @cached_property
    def starting(self) -> Starting:
        """The one starter."""
        return Starting(
            StartParts(
                database=self.database,
                engine=self.engine,
                policies=self.policies,
                directory=self.directory,
                keys=self.keys,
                callbacks=self.callbacks,
                quotas=QuotaGuard(self.policies),
                names=(*STARTABLE, *self.extensions.workflows),
                clock=self.clock,
            )
        )

    @cached_property
    def deliveries(self) -> Deliveries:
        """What other systems were told."""
        return Deliveries(self.database, self.access, self.webhooks, self.callbacks, self.clock)

    @cached_property
    def receipts(self) -> Receipts:
        """Receipts of approvals, and their use."""
        return Receipts(
            self.database,
            self.engine,
            self.subjects,
            self.keys,
            lambda: self.restoration.message if self.restoration.held else "",
            self.clock,
        )

    @cached_property
    def operations(self) -> Operations:
        """The management calls."""
        parts = Parts(self.database, self.engine, self.notifier, self.clock)
        return Operations(parts, self.access, self.subjects, self.starting)

    @cached_property
    def processing(self) -> Processing:
        """Does what an approval is for."""
        return Processing(
            self.database,
            self.http,
            self.prover,
            self.clock,
            order_url=self.settings.process_order_url,
            callbacks=self.callbacks,
            gate=self.restoration,
        )

    @cached_property
    def activities(self) -> Activities:
        """The effects of the approval workflow."""
        return Activities(
            database=self.database,
            slack=self.slack,
            directory=self.directory,
            policies=self.policies,
            judge=self.judge,
            processing=self.processing,
            prover=self.prover,
            clock=self.clock,
            observer=Observer(self.states, self.answers, self.notifier, self.card_repair),
        )

    @cached_property
    def worker(self) -> Worker:
        """The Dapr worker of this process."""
        bulk_activities = BulkActivities(self.database, BulkItems(self.operations, self.database).act, self.clock)
        loop = asyncio.get_running_loop()
        address, own = self.settings.sidecar_address, self.extensions
        traces = ActivityTraces(self.database)
        return Worker(
            address,
            self.activities,
            bulk_activities,
            loop,
            self._approvals,
            own,
            traces,
            lambda: self.engine.metadata,
        )

    def _connected(self) -> bool:
        """Whether the engine can hand this process work, if it takes any."""
        return not self.works or self.worker.ready
