"""The traces of activities: below the asking or the deciding that the audit's correlation ids name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from approvals.audit_actions import STARTED_AT_A_DOOR, AuditAction
from bot.process.tracing import TRACING, SpanRef, ref
from records import audit
from records.database import Database
from records.errors import RecordsError

ASKING: Final = frozenset({"route_request", "request_approval", "report_unposted"})
COMPLETING: Final = frozenset({"process_order", "call_back"})
INSTANCE: Final = "countersign.instance_id"


class RequestSpans(NamedTuple):
    """The spans of one request that are over: its asking, and each deciding, oldest first."""

    asked: SpanRef | None = None
    decided: tuple[SpanRef, ...] = ()


async def known_of(database: Database, instance_id: str) -> RequestSpans:
    """Return a request's spans as the audit names them; none while the database is away."""
    try:
        async with database.read() as connection:
            entries = await audit.of_instance(connection, instance_id)
    except RecordsError:
        return RequestSpans()
    asked = [ref(each.correlation_id, instance_id) for each in entries if each.action in STARTED_AT_A_DOOR]
    decided = [
        ref(each.correlation_id, str(each.data.get("decision_id")))
        for each in entries
        if each.action == AuditAction.DECISION_SUBMITTED
    ]
    return RequestSpans(next(iter(asked), None), tuple(each for each in decided if each is not None))


class ActivityTraces:
    """Makes a span of each activity. Completing is a trace of its own: it may be days later, and be tried again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def around(self, activity: str, instance_id: str) -> AsyncIterator[None]:
        """Trace the block."""
        if not TRACING.on:
            yield
            return
        known, about = await known_of(self._database, instance_id), {INSTANCE: instance_id}
        if activity in COMPLETING:
            links = (known.asked, *known.decided)
            with TRACING.span(f"complete {activity}", root=True, links=links, kind="consumer", attributes=about):
                yield
            return
        parent = known.asked if activity in ASKING or not known.decided else known.decided[-1]
        with TRACING.span(activity, parent=parent, root=parent is None, kind="consumer", attributes=about):
            yield
