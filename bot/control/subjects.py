"""The instance of a management call, by its id or an order's, from the engine and the read model together."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final, cast

from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from approvals import ends, statuses
from approvals.authority import Action, Resource, authorize, fitting
from approvals.decision import Reason, Verdict
from approvals.orders import instance_id_of, name_of
from approvals.people import Profile
from approvals.request import Route
from approvals.statuses import Status
from approvals.values import Value
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Refused, unknown, unseen
from bot.engine.client import Engine, EngineInstance
from records import instances
from records.database import Database

NOT_THEIRS: Final = Verdict(allowed=False, reason=Reason.NOT_PERMITTED, rule="role")


class Subject(Value):
    """An instance as both know it: `engine` is None if the engine has none (purged), `row` if we have none.

    `begun` is for one that is only about to start.
    """

    instance_id: str
    engine: EngineInstance | None
    row: instances.Instance | None
    begun: bool = False

    @property
    def name(self) -> str:
        """The name by which people know it: `order 42`; the instance id of what is no request."""
        return (
            f"{self.row.kind} {self.row.subject}"
            if self.row and self.row.kind and self.row.subject
            else self.instance_id
        )

    @property
    def end(self) -> str:
        """How the request ended, in words; empty while it goes on, and for what is no request."""
        return ends.shown(self.row.ended_as) if self.row else ""

    @property
    def standing(self) -> str:
        """The status as a sentence has it after "it is": `over: Rejected`, `paused`, `waiting`."""
        if self.row and self.row.phase in {"starting", "waiting"} and self.status == "RUNNING":
            return self.row.phase
        return statuses.standing(self.status, self.end)

    @property
    def status(self) -> Status:
        """One of Dapr's statuses; the read model's last one if the engine has forgotten the instance."""
        if self.engine is not None:
            return cast("Status", self.engine.status)
        if self.begun:
            return "PENDING"
        return self.row.engine_status if self.row else "TERMINATED"


class Subjects:
    """Finds subjects and authorizes actions on them."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        access: Access,
        directory: Directory,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._engine = engine
        self._access = access
        self._directory = directory
        self._clock = clock

    async def resolve(self, reference: str) -> str:
        """Return the instance id that is meant; the engine is asked only if no row is kept. Raises: as `find`."""
        async with self._database.read() as connection:
            row = await instances.find(connection, reference.strip())
        return row.instance_id if row else (await self.find(reference, payloads=False)).instance_id

    async def find(self, reference: str, *, payloads: bool = True) -> Subject:
        """Return the subject for an instance id or an order's id. Raises: Refused NOT_FOUND, EngineUnavailableError."""
        reference = reference.strip()
        async with self._database.read() as connection:
            row = await instances.find(connection, reference)
        instance_id = row.instance_id if row else reference
        found = await self._engine.state(instance_id, payloads=payloads)
        if found is None and row is None:
            instance_id = instance_id_of(reference)
            found = await self._engine.state(instance_id, payloads=payloads)
        if found is None and row is None:
            raise unknown(reference)
        return Subject(instance_id=instance_id, engine=found, row=row)

    async def knows(self, reference: str) -> bool:
        """Return whether the read model has an instance or an order of this id."""
        async with self._database.read() as connection:
            return await instances.find(connection, reference) is not None

    async def find_for(self, caller: Caller, action: Action, reference: str, *, in_any_status: bool = False) -> Subject:
        """Return the subject of an action that the caller may do. `in_any_status` checks only the role.

        Of a request that they may not see they hear the same as of an id that is not known.
        Raises: Refused NOT_ALLOWED; as `find`.
        """
        await self._demand_role(caller, action, reference)
        try:
            subject = await self.find(reference)
        except Refused:
            await self.demand_sight(caller, reference)
            raise
        await self.demand_sight(caller, reference, subject)
        await self.demand(caller, action, subject, in_any_status=in_any_status)
        return subject

    async def demand_sight(self, caller: Caller, reference: str, subject: Subject | None = None) -> None:
        """Refuse an id to a caller who may not see its request, and an unknown one alike. Raises: Refused NOT_FOUND."""
        # A key's scopes say what it is used for; its roles say what its person may know.
        actor = caller.as_actor.model_copy(update={"scopes": None})
        if authorize(actor, Action.SEE_REQUEST).allowed:
            return
        if subject is None:
            async with self._database.read() as connection:
                row = await instances.find(connection, reference.strip())
            subject = Subject(instance_id=row.instance_id, engine=None, row=row) if row else None
        if subject is not None and authorize(actor, Action.SEE_REQUEST, await self.resource(caller, subject)).allowed:
            return
        instance_id = subject.instance_id if subject else ""
        await self._access.audit_refusal(caller, Action.SEE_REQUEST, NOT_THEIRS, instance_id)
        raise unseen(name_of(reference))

    async def _demand_role(self, caller: Caller, action: Action, reference: str) -> None:
        """Refuse a caller who may do this to no request at all, before one is looked for. Raises: Refused."""
        status = fitting(action)
        some = Resource(status=status, own=True), Resource(status=status, asked=True)
        if any(authorize(caller.as_actor, action, each).allowed for each in some):
            return
        async with self._database.read() as connection:
            row = await instances.find(connection, reference.strip())
        about = {"instance_id": row.instance_id if row else "", "about": name_of(reference[:100])}
        await self._access.demand(caller, action, Resource(status=status), **about)

    async def demand(self, caller: Caller, action: Action, subject: Subject, *, in_any_status: bool = False) -> None:
        """Authorize an action on the subject. `in_any_status` checks only the role. Raises: Refused."""
        status = (fitting(action) or subject.status) if in_any_status else subject.status
        anybodys = Resource(status=status)
        if authorize(caller.as_actor, action, anybodys).allowed:
            return  # whose request it is makes no difference: Slack need not be asked
        resource = await self.resource(caller, subject)
        resource = resource.model_copy(update={"status": status})
        await self._access.demand(caller, action, resource, instance_id=subject.instance_id, about=subject.name)

    async def resource(self, caller: Caller, subject: Subject) -> Resource:
        """Return the subject as the authority sees it for this caller."""
        row = subject.row
        own = row is not None and await self._is_own(caller, row)
        return Resource(status=subject.status, own=own, asked=row is not None and await self._is_asked(caller, row))

    async def _is_own(self, caller: Caller, row: instances.Instance) -> bool:
        mine = {caller.email.casefold()} - {""}
        if caller.person is not None:
            mine |= {caller.person.user.casefold(), caller.person.key.casefold()}
        submitter = row.request.submitted_by if row.request else ""
        names = (row.requester, row.requester_person or "", submitter)
        return not mine.isdisjoint({each.casefold() for each in names})

    async def _is_asked(self, caller: Caller, row: instances.Instance) -> bool:
        """Whether the caller is, or was, one of the people whom the request asked. A failed lookup is no."""
        named = set(row.waiting_on)
        if row.state is not None:
            named |= {
                f"{each.type}:{getattr(each, each.type)}"
                for stage in row.state.route.stages
                for each in stage.approvers
            }
        if not named.isdisjoint(await self.principals(caller, named)):
            return True
        if row.state is not None and await self._stands_in(caller, row.state.route, named):
            return True
        acted = row.outcome.by if row.outcome else ()
        return caller.person is not None and any(each.person == caller.person for each in acted)

    async def _stands_in(self, caller: Caller, route: Route, named: set[str]) -> bool:
        """Whether an approver of the request has delegated to the caller, at this moment."""
        now = self._clock()
        standing = [each for each in route.delegations if each.since <= now < each.until]
        if not standing:
            return False  # nobody need be asked who the caller is
        mine = {caller.email.casefold(), (await self._user_of(caller)).casefold()} - {""}
        approvers = [each.approver for each in standing if each.delegate.strip().casefold() in mine]
        return any([not named.isdisjoint(await self._names(each, named)) for each in approvers])

    async def _names(self, approver: str, candidates: set[str]) -> set[str]:
        try:
            profile = await self._directory.find(approver)
        except LookupFailedError:
            return set()
        return await self.names(profile, candidates) if profile else set()

    async def names(self, profile: Profile, candidates: AbstractSet[str]) -> set[str]:
        """Return the names by which a policy may name a person: e-mail, id, those of the candidates' groups."""
        emails = {f"email:{profile.email}"} if profile.email else set[str]()
        return await self._named(profile.person.user, emails, candidates)

    async def principals(self, caller: Caller, candidates: set[str] | None = None) -> set[str]:
        """Return the names under which a policy may mean the caller: e-mail, id, those of the candidates' groups."""
        emails = {f"email:{caller.email}"} if caller.email else set[str]()
        return await self._named(await self._user_of(caller), emails, candidates or set())

    async def _named(self, user: str, emails: set[str], candidates: AbstractSet[str]) -> set[str]:
        found = set(emails)
        if user:
            found.add(f"user:{user}")
            for name in candidates:
                kind, _, group = name.partition(":")
                if kind == "group" and user in await self._members(group):
                    found.add(name)
        return found

    async def _user_of(self, caller: Caller) -> str:
        return caller.person.user if caller.person else await self._user_with(caller.email)

    async def _user_with(self, email: str) -> str:
        try:
            profile = await self._directory.by_email(email) if email else None
        except LookupFailedError:
            return ""
        return profile.person.user if profile else ""

    async def _members(self, group: str) -> frozenset[str]:
        try:
            return await self._directory.members(group) or frozenset()
        except LookupFailedError:
            return frozenset()
