"""From a request to its route: by the policy file as it stands at the asking, kept with the request from then on."""

from collections.abc import Callable
from datetime import datetime

from activities.inputs import RouteInput
from activities.policies import PolicyFile
from activities.slack.directory import Directory
from approvals.audit_actions import AuditAction
from approvals.decision import Reason
from approvals.machine import State, start
from approvals.people import Person
from approvals.policy.routing import NoRoute, PolicyError, route
from approvals.request import Route
from records import audit, instances, policies
from records.database import Database

UNREADABLE = "unreadable"


class Routing:
    """Finds routes. Raises: LookupFailedError if Slack does not say who the requester is: then try again."""

    def __init__(
        self, database: Database, directory: Directory, policy_file: PolicyFile, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._directory = directory
        self._policies = policy_file
        self._clock = clock
        self._noted = ""

    async def route(self, asked: RouteInput) -> State:
        """Return the machine's first state. An unusable policy gives a route without approvers (law: fail closed)."""
        requester, emails = await self._requester(asked)
        found = await self._route(asked, emails)
        state = start(asked.instance_id, asked.request, found, asked.run, requester=requester, requester_emails=emails)
        await self._begin(state)
        return state

    async def _route(self, asked: RouteInput, emails: tuple[str, ...]) -> Route:
        try:
            policy = await self._policies.current()
        except PolicyError as error:
            return Route(rule=UNREADABLE, why=str(error)[:600], policy_version=UNREADABLE)
        await self._note(policy.version)
        found = route(policy, asked.request, emails)
        if isinstance(found, NoRoute):
            rule = found.verdict.rule or Reason.NO_APPROVERS.value
            return Route(rule=rule, why=found.sentence, policy_version=policy.version)
        return found

    async def _note(self, version: str) -> None:
        """Keep a policy once for each version: an order must not wait for a write that says nothing new."""
        if version == self._noted:
            return
        async with self._database.write() as connection:
            changed, before = await policies.saw(connection, version, self._policies.text, self._clock())
            if changed:
                await audit.append(connection, _policy_seen(version, before, self._clock()))
        self._noted = version

    async def _requester(self, asked: RouteInput) -> tuple[Person | None, tuple[str, ...]]:
        """Everybody whose own request this is: who it is for, and who submitted it by an API key."""
        emails = {each.strip().lower() for each in (asked.request.requester, asked.request.submitted_by) if "@" in each}
        profile = await self._directory.find(asked.request.requester)
        if profile is None:
            return None, tuple(sorted(emails))
        return profile.person, tuple(sorted(emails | ({profile.email} if profile.email else set())))

    async def _begin(self, state: State) -> None:
        """Make sure that the read model has a row that runs: some are started without our REST endpoint."""
        known = instances.Known(
            instance_id=state.instance_id,
            name="",
            kind=state.request.kind,
            subject=state.request.subject,
            engine_status="RUNNING",
            amount=state.request.amount,
            currency=state.request.currency,
            description=state.request.description,
            requester=state.request.requester,
            request=state.request,
        )
        begun: tuple[instances.Phase, ...] = ("starting",)
        running = instances.Changes(engine_status="RUNNING")
        async with self._database.write() as connection:
            row, new = await instances.begin(connection, known, self._clock())
            if not new:
                await instances.project(connection, row.instance_id, running, self._clock(), while_in=begun)


def _policy_seen(version: str, before: str | None, at: datetime) -> audit.Entry:
    data = {"version": version, "before": before}
    return audit.Entry(at=at, actor="system", action=AuditAction.POLICY_CHANGED, policy_version=version, data=data)
