"""Workflows: one, a page, one's history. Reads only; leaves out what the caller may not see."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Literal

from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError
from approvals.audit_actions import AuditAction
from approvals.authority import Action, Resource, authorize
from approvals.values import Moment, Value
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.control.diagnosis.facts import Facts
from bot.control.diagnosis.gathering import FactFinder
from bot.control.diagnosis.rules import diagnose
from bot.control.reading import story
from bot.control.reading.delegated_requests import DelegatedRequests
from bot.control.reading.lines import Workflow, line_of, plain_status, workflow
from bot.control.reading.list_query import ListQuery
from bot.control.subjects import Subject, Subjects
from bot.engine.client import Engine, UnknownInstanceError
from bot.engine.history import EngineEvent, RecordedHistory
from cards.values import Diagnosis
from records import audit, instances, keys, listing, statistics
from records.database import Database

BULK_WORKFLOW = "bulk_workflow"

END_LOOK_AGAIN_S = 0.5
"""Seconds between two looks for a request's end."""

MOST_NAMES = 50
NAMES_AGE_S = 3600.0
"""Names are for the eye, so they may be an hour old."""

Source = Literal["business", "engine"]


class TimeLineEvent(Value):
    """One event of an instance's history: the engine's own, or one of the business (from the audit).

    `what` says in plain words what happened, and `actor_name` who did it; both are empty for the engine's.
    """

    at: Moment
    source: str
    type: str
    name: str = ""
    event_id: int | None = None
    text: str = ""
    what: str = ""
    actor: str = ""
    actor_name: str = ""
    payload: str | None = None


class Listed(Value):
    """One page of a list: lines number `before` + 1 and following of `total`, which is exact up to MOST_COUNTED.

    `cursor` gives the next page, `previous` the one before; None if there is none. `sees_all`: the caller may see
    all requests, as operators do; they see the engine's status too.
    """

    lines: tuple[Workflow, ...] = ()
    total: int = 0
    before: int = 0
    cursor: str | None = None
    previous: str | None = None
    sees_all: bool = False

    @property
    def place(self) -> str:
        """`11-20 of 185`, or `more than 10,000` of them."""
        many = f"more than {listing.MOST_COUNTED:,}" if self.total > listing.MOST_COUNTED else f"{self.total:,}"
        return f"{self.before + 1:,}-{self.before + len(self.lines):,} of {many}" if self.lines else f"0 of {many}"


class Overview:
    """Reads for operators, requesters and approvers. Raises: Refused, EngineUnavailableError."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        engine: Engine,
        access: Access,
        subjects: Subjects,
        directory: Directory,
        facts: FactFinder,
        stand_ins: DelegatedRequests,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._access = access
        self._subjects = subjects
        self._directory = directory
        self._facts = facts
        self._stand_ins = stand_ins
        self._clock = clock

    async def get(self, caller: Caller, reference: str) -> Subject:
        """Return one instance."""
        return await self._subjects.find_for(caller, Action.SEE_REQUEST, reference)

    async def row(self, instance_id: str) -> instances.Instance | None:
        """Return a request's row, None if it is unknown. Rights are the caller's to check."""
        return await self._database.look(instances.get.on, instance_id)

    async def ended(self, instance_id: str, seconds: float) -> None:
        """Return when a request has ended, at the latest after so many seconds. Rights are the caller's to check."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            row = await self.row(instance_id)
            if row is None or row.ended_as is not None:
                return
            await asyncio.sleep(min(END_LOOK_AGAIN_S, max(0.0, end - time.monotonic())))

    async def page(  # noqa: PLR0913 a list's parameters
        self,
        caller: Caller,
        wanted: listing.Filter,
        *,
        sort: listing.Sort = "created",
        cursor: str | None = None,
        limit: int = 50,
        mine: bool = False,
    ) -> Listed:
        """Return one page of the list. A caller who may not see all sees their own requests only.

        `mine` is what the caller has asked for. Raises: BadCursorError.
        """
        everything = may_list_all(caller)
        if not everything:
            await self._access.demand(caller, Action.LIST, Resource(own=True))
        if wanted.name is None and wanted.q is None:
            wanted = wanted.model_copy(update={"not_named": BULK_WORKFLOW})  # operators' own work is no request
        if mine or not everything:
            wanted = wanted.model_copy(update={"requesters": await self._own_names(caller)})
        page = await self._listed(wanted, sort, cursor, limit)
        return page.model_copy(update={"sees_all": everything})

    async def waiting_for(
        self,
        caller: Caller,
        wanted: listing.Filter | None = None,
        *,
        sort: listing.Sort = "deadline",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Listed:
        """Return what waits for the caller's own decision, the next deadline first; nothing if none may be theirs.

        As a delegate they decide in another's place: what they may decide so is here too. Left out is what they asked
        for themselves, and what they have answered. Being named by a rule is not enough: a caller who may not list what
        they are asked is shown none of it here either. Raises: BadCursorError.
        """
        if not authorize(caller.as_actor, Action.LIST, Resource(asked=True)).allowed:
            await self._access.demand(caller, Action.LIST, Resource(own=True))
            return Listed()
        async with self._database.read() as connection:
            known = set(await listing.principals(connection))
        own = await self._subjects.principals(caller, known)
        also = await self._stand_ins.waiting_for(caller, known, own)
        decider = listing.Decider(principals=tuple(sorted(own)), identities=identities(caller, own), also=also)
        wanted = (wanted or listing.Filter()).model_copy(update={"decider": decider})
        return await self._listed(wanted, sort, cursor, limit)

    async def _listed(self, wanted: listing.Filter, sort: listing.Sort, cursor: str | None, limit: int) -> Listed:
        async with self._database.read() as connection:
            page = await listing.page(connection, wanted, sort=sort, cursor=cursor, limit=limit)
            total = await listing.count(connection, wanted, at_most=listing.MOST_COUNTED + 1)
        return Listed(
            lines=await self.lines(page.lines),
            total=max(total, page.before + len(page.lines)),
            before=page.before,
            cursor=page.cursor,
            previous=page.previous,
        )

    async def _own_names(self, caller: Caller) -> tuple[str, ...]:
        """Return how the caller's own requests may name them: by e-mail, or by Slack user id."""
        named = (name.partition(":")[2] for name in await self._subjects.principals(caller))
        return tuple(sorted({own_name(caller), *named}))

    async def lines(self, found: Sequence[listing.Line]) -> tuple[Workflow, ...]:
        """Return lines of a list with the links to their cards, and who has decided."""
        if not found:
            return ()
        slack_url = await self._slack_url() if any(line.cards for line in found) else None
        async with self._database.read() as connection:
            progress = await instances.progress(connection, [line.instance_id for line in found])
        return tuple(workflow(line, slack_url, progress.get(line.instance_id)) for line in found)

    async def line(self, subject: Subject) -> Workflow:
        """Return one instance as lists show it; what only the engine knows is taken from the engine."""
        row = subject.row or unknown_row(subject, self._clock())
        if subject.engine is not None:
            row = row.model_copy(
                update={"engine_status": subject.status, "custom_status": plain_status(subject.engine.custom_status)}
            )
        return (await self.lines((line_of(row),)))[0]

    async def payloads(self, caller: Caller, subject: Subject) -> bool:
        """Return whether the caller may see what went into the instance and came out."""
        resource = await self._subjects.resource(caller, subject)
        return authorize(caller.as_actor, Action.SEE_PAYLOADS, resource).allowed

    async def diagnosis(self, caller: Caller, reference: str) -> tuple[Diagnosis, ...]:
        """Return why an instance does not go on, the most likely answer first; what to do next stands with each."""
        try:
            subject = await self._subjects.find_for(caller, Action.SEE_DIAGNOSIS, reference)
        except Refused as refusal:
            if refusal.kind is not Kind.NOT_FOUND or not authorize(caller.as_actor, Action.SEE_DIAGNOSIS).allowed:
                raise
            return diagnose(await self._facts.unknown(reference))
        everything = authorize(caller.as_actor, Action.SEE_DIAGNOSIS).allowed
        return diagnose(await self._named(await self._facts.find(subject, neighbours=everything)))

    async def _named(self, facts: Facts) -> Facts:
        if facts.refused is None:
            return facts
        names = await self.actor_names([facts.refused.who])
        who = names.get(facts.refused.who, facts.refused.who)
        return facts.model_copy(update={"refused": facts.refused.model_copy(update={"who": who})})

    async def statistics(self, caller: Caller, since: datetime) -> statistics.Statistics:
        """Return what waits now, and the figures of decisions since a moment."""
        await self._access.demand(caller, Action.SEE_STATISTICS)
        async with self._database.read() as connection:
            return await statistics.gather(connection, since, self._clock())

    async def _slack_url(self) -> str | None:
        try:
            return str((await self._directory.team()).get("url") or "") or None
        except (LookupFailedError, SlackRefusedError):
            return None  # a list without links is better than none

    async def history(self, caller: Caller, reference: str, source: Source | None = None) -> tuple[TimeLineEvent, ...]:
        """Return the engine's and the business's events on one time line, or those of one `source`, oldest first.

        Payloads only for those who may see them.
        """
        subject = await self._subjects.find_for(caller, Action.SEE_HISTORY, reference)
        engine = () if source == "business" else await self._engine_events(caller, subject)
        business = () if source == "engine" else await self._business_events(subject)
        return tuple(sorted([*engine, *business], key=lambda event: event.at))

    async def _engine_events(self, caller: Caller, subject: Subject) -> Sequence[TimeLineEvent]:
        payloads = await self.payloads(caller, subject)
        try:
            history = await self._engine.history(subject.instance_id) if subject.engine else RecordedHistory()
        except UnknownInstanceError:
            return ()
        return [engine_event(event, payloads=payloads) for event in history.events()]

    async def _business_events(self, subject: Subject) -> Sequence[TimeLineEvent]:
        async with self._database.read() as connection:
            entries = await audit.of_instance(connection, subject.instance_id, limit=1000)
        names = await self.actor_names(entry.actor for entry in entries)
        told = [business_event(entry, names) for entry in entries if entry.action not in story.UNTOLD]
        return [*told, *forgotten(subject.row, entries)]

    async def story(self, instance_id: str) -> tuple[story.StoryEvent, ...]:
        """Return what happened to a request as people tell it, oldest first. Whether it may be seen is not asked."""
        async with self._database.read() as connection:
            entries = await audit.of_instance(connection, instance_id, limit=1000)
            row = await instances.get(connection, instance_id)
        told = story.events(entries, await self.actor_names(entry.actor for entry in entries))
        gone = [story.StoryEvent(at=each.at, what=each.what, text=each.text) for each in forgotten(row, entries)]
        return (*told, *gone)

    async def actor_names(self, actors: Iterable[str]) -> dict[str, str]:
        """Return the names of those the audit names by id: people as Slack knows them, keys by whose they are."""
        found: dict[str, str] = {}
        for actor in list(dict.fromkeys(actors))[:MOST_NAMES]:
            name = await self._actor_name(actor)
            found |= {actor: name} if name else {}
        return found

    async def _actor_name(self, actor: str) -> str:
        if actor.startswith("key:"):
            async with self._database.read() as connection:
                key = await keys.get(connection, actor.removeprefix("key:"))
            return key.person or key.name if key else ""
        _, slash, user = actor.partition("/")
        try:
            profile = await self._directory.profile(user, NAMES_AGE_S) if slash else None
        except (LookupFailedError, SlackRefusedError):
            return ""
        return profile.name if profile else ""


async def listed(overview: Overview, caller: Caller, query: ListQuery, now: datetime) -> Listed:
    """Return the page that a query asks for. Raises: BadCursorError."""
    wanted = query.filter(now)
    if not query.for_me:
        return await overview.page(
            caller, wanted, sort=query.sort, cursor=query.cursor, limit=query.limit, mine=query.mine
        )
    sort = query.sort if "sort" in query.model_fields_set else "deadline"
    return await overview.waiting_for(caller, wanted, sort=sort, cursor=query.cursor, limit=query.limit)


def unknown_row(subject: Subject, now: datetime) -> instances.Instance:
    """Return what is known of an instance that has no row: what the engine says."""
    engine = subject.engine
    created = engine.created_at if engine is not None and engine.created_at.year > 1 else now
    return instances.Instance(
        instance_id=subject.instance_id,
        name=engine.name if engine else "",
        engine_status=subject.status,
        phase="unknown",
        created_at=created,
        updated_at=engine.updated_at if engine is not None and engine.updated_at.year > 1 else now,
        finished_at=engine.updated_at if engine is not None and engine.finished else None,
    )


def may_list_all(caller: Caller) -> bool:
    """Whether the caller sees every request, and Dapr's words beside ours."""
    return authorize(caller.as_actor, Action.LIST).allowed


def identities(caller: Caller, principals: AbstractSet[str]) -> tuple[str, ...]:
    """Return who the caller is, as a request's bars name them: user id, person key and e-mail, in lower case."""
    named = {name.partition(":")[2] for name in principals if name.startswith(("user:", "email:"))}
    return tuple(sorted(each.casefold() for each in named | ({caller.person.key} if caller.person else set())))


def own_name(caller: Caller) -> str:
    """Return how the caller's own requests name them. An empty name would show what nobody requested."""
    if caller.email:
        return caller.email
    return caller.person.user if caller.person else caller.actor


def engine_event(event: EngineEvent, *, payloads: bool) -> TimeLineEvent:
    """Return an event of the engine's history as an event of the time line."""
    shown = event if payloads else event.model_copy(update={"payload": None})
    return TimeLineEvent(source="engine", **shown.model_dump())


def forgotten(row: instances.Instance | None, entries: Sequence[audit.Chained]) -> list[TimeLineEvent]:
    """Return the event of a request that retention has forgotten: its sweep has one entry for all of them."""
    if row is None or row.phase != "purged" or any(entry.action in story.PURGES for entry in entries):
        return []
    what, text = "forgotten", "Its content was forgotten when the time was over for which requests are kept."
    return [TimeLineEvent(at=row.updated_at, source="business", type=AuditAction.RETENTION_SWEPT, what=what, text=text)]


def business_event(entry: audit.Chained, names: Mapping[str, str] | None = None) -> TimeLineEvent:
    """Return an audit entry as an event of the time line."""
    event = story.event_of(entry, names or {})
    return TimeLineEvent(
        at=entry.at,
        source="business",
        type=entry.action,
        what=event.what,
        text=event.text,
        actor=entry.actor,
        actor_name=event.name,
        name=entry.verdict,
    )
