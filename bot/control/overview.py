"""Seeing workflows: one, many, and what happened to one. Reads only; what a caller may not see is not in the answer."""

from collections.abc import Callable, Sequence
from datetime import datetime

from dapr.ext.workflow._durabletask.internal import protos

from approvals.authority import Action, Resource, authorize
from approvals.decision import Reason, Verdict
from approvals.values import Moment, Value, in_utc
from bot.access import Access, Caller
from bot.control.subjects import Subject, Subjects
from bot.engine import Engine, UnknownInstanceError
from bot.rest.problems import refused
from records import audit, listing
from records.database import Database


class TimeLineEvent(Value):
    """One event of an instance's history: the engine's own, or one of the business (from the audit)."""

    at: Moment
    source: str
    type: str
    name: str = ""
    event_id: int | None = None
    text: str = ""
    actor: str = ""
    payload: str | None = None


class Overview:
    """What operators, requesters and approvers see. Errors: NotFoundError, Problem 403, EngineUnavailableError."""

    def __init__(
        self,
        *,
        database: Database,
        engine: Engine,
        access: Access,
        subjects: Subjects,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._access = access
        self._subjects = subjects
        self._clock = clock

    async def one(self, caller: Caller, reference: str) -> Subject:
        """Return one instance."""
        subject = await self._subjects.find(reference)
        await self._subjects.demand(caller, Action.SEE_REQUEST, subject)
        return subject

    async def page(  # noqa: PLR0913 a list's parameters
        self,
        caller: Caller,
        wanted: listing.Filter,
        *,
        sort: listing.Sort = "created",
        cursor: str | None = None,
        limit: int = 50,
        mine: bool = False,
    ) -> listing.Page:
        """Return one page of the list. Who may not see all sees their own requests only.

        `mine` is what the caller has asked for. Errors: BadCursorError.
        """
        everything = authorize(caller.as_actor, Action.LIST).allowed
        if not everything and not authorize(caller.as_actor, Action.LIST, Resource(own=True)).allowed:
            verdict = Verdict(allowed=False, reason=Reason.NOT_PERMITTED, rule="list")
            await self._access.audit_refusal(caller, Action.LIST, verdict)
            raise refused(verdict)
        if mine or not everything:
            wanted = wanted.model_copy(update={"requester": caller.email})
        async with self._database.read() as connection:
            return await listing.page(connection, wanted, sort=sort, cursor=cursor, limit=limit)

    async def waiting_for(self, caller: Caller, limit: int = 50) -> tuple[listing.Line, ...]:
        """Return what waits for the caller's own decision, the next deadline first."""
        async with self._database.read() as connection:
            known = await listing.principals(connection)
        found: list[listing.Line] = []
        for principal in sorted(await self._subjects.principals(caller, set(known))):
            async with self._database.read() as connection:
                page = await listing.page(connection, listing.Filter(waiting_on=principal), limit=limit)
            found += [line for line in page.lines if line not in found]
        return tuple(sorted(found, key=lambda line: line.deadline or line.created_at))[:limit]

    async def history(self, caller: Caller, reference: str) -> tuple[TimeLineEvent, ...]:
        """Return the engine's and the business's events on one time line. Payloads only for those who may see them."""
        subject = await self._subjects.find(reference)
        await self._subjects.demand(caller, Action.SEE_HISTORY, subject)
        resource = await self._subjects.resource(caller, subject)
        payloads = authorize(caller.as_actor, Action.SEE_PAYLOADS, resource).allowed
        try:
            events = await self._engine.history(subject.instance_id) if subject.engine else ()
        except UnknownInstanceError:
            events = ()
        async with self._database.read() as connection:
            entries = await audit.of_instance(connection, subject.instance_id, limit=1000)
        business = [_business_event(entry) for entry in entries]
        return tuple(sorted([*engine_events(events, payloads=payloads), *business], key=lambda event: event.at))


def engine_events(events: Sequence[protos.HistoryEvent], *, payloads: bool) -> list[TimeLineEvent]:
    """Return the engine's history as time line events. A timer says which event it waits for (`origin`)."""
    return [_engine_event(event, payloads=payloads) for event in events]


def _engine_event(event: protos.HistoryEvent, *, payloads: bool) -> TimeLineEvent:
    kind = event.WhichOneof("eventType") or "unknown"
    body = getattr(event, kind, None)
    text = ""
    if kind == "timerCreated":
        fires = in_utc(event.timerCreated.fireAt.ToDatetime())
        waits = event.timerCreated.externalEvent.name if event.timerCreated.HasField("externalEvent") else ""
        text = f"fires at {fires:%Y-%m-%d %H:%M:%S} UTC" + (f", waits for the event {waits}" if waits else "")
    failure = getattr(body, "failureDetails", None)
    if failure is not None and failure.errorMessage:
        text = f"{failure.errorType}: {failure.errorMessage}"
    return TimeLineEvent(
        at=in_utc(event.timestamp.ToDatetime()),
        source="engine",
        type=kind[:1].upper() + kind[1:],
        name=str(getattr(body, "name", "") or ""),
        event_id=event.eventId if event.eventId >= 0 else None,
        text=text[:2000],
        payload=_payload(body) if payloads else None,
    )


def _payload(body: object) -> str | None:
    for field in ("input", "result"):
        found = getattr(body, field, None)
        value = getattr(found, "value", "")
        if value:
            return str(value)
    return None


def _business_event(entry: audit.Chained) -> TimeLineEvent:
    return TimeLineEvent(
        at=entry.at, source="business", type=entry.action, text=entry.reason, actor=entry.actor, name=entry.verdict
    )
