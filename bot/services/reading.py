"""Reads for people and programs: lists, details, the audit, the stream of news; and operations on many. Wiring only."""

from datetime import timedelta
from functools import cached_property

from bot.control.diagnosis.gathering import FactFinder
from bot.control.operations.bulk import Bulk
from bot.control.reading.audit_trail import AuditTrail
from bot.control.reading.decided import DecisionsSearch
from bot.control.reading.delegated_requests import DelegatedRequests
from bot.control.reading.event_stream import EventStream
from bot.control.reading.kinds import Kinds
from bot.control.reading.overview import Overview
from bot.control.reading.requests import Requests
from bot.control.reconciling.checkpoints import TrustedKeys
from bot.engine.worker import NAMES
from bot.services.operating import Operating
from bot.slack.details import Details


class Reading(Operating):
    """Lists, details, statistics, the audit, and what works on a list."""

    @cached_property
    def kinds(self) -> Kinds:
        """The kinds that can be asked for, and who would be asked."""
        return Kinds(self.asking, self.clock)

    @cached_property
    def requests(self) -> Requests:
        """Requests as their askers see them."""
        return Requests(self.database, self.overview, self.clock)

    @cached_property
    def details(self) -> Details:
        """Everything about one request."""
        return Details(self.overview, self.directory)

    @cached_property
    def decided(self) -> DecisionsSearch:
        """The search for decisions, for auditors."""
        return DecisionsSearch(self.database, self.directory, self.access, self.clock)

    @cached_property
    def overview(self) -> Overview:
        """Lists, one instance, statistics."""
        return Overview(
            database=self.database,
            engine=self.engine,
            access=self.access,
            subjects=self.subjects,
            directory=self.directory,
            facts=FactFinder(
                self.database, self.engine, (*NAMES, *self.extensions.workflows), self._connected, self.clock
            ),
            stand_ins=DelegatedRequests(
                database=self.database,
                directory=self.directory,
                judge=self.judge,
                subjects=self.subjects,
                clock=self.clock,
            ),
            clock=self.clock,
        )

    @cached_property
    def audit_trail(self) -> AuditTrail:
        """The audit, for auditors."""
        every = timedelta(minutes=self.settings.checkpoint_every_minutes)
        return AuditTrail(self.database, self.access, TrustedKeys(self.keys), self.clock, every)

    @cached_property
    def bulk(self) -> Bulk:
        """Many at once."""
        return Bulk(
            database=self.database,
            engine=self.engine,
            access=self.access,
            overview=self.overview,
            keys=self.keys,
            clock=self.clock,
        )

    @cached_property
    def following(self) -> EventStream:
        """The stream of news."""
        return EventStream(self.database, self.access, self.overview, self.clock)
