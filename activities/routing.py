"""From a request to its route: by the policy file as it stands at the asking, kept with the request from then on."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from activities.inputs import Routed, RouteInput
from activities.observer import ActivityObserver
from activities.policies import PolicyFile
from activities.recording import append_once
from activities.requesters import resolve
from activities.slack.directory import Directory
from activities.stepping import Steps, write_step
from approvals.audit_actions import AuditAction
from approvals.decision import Reason
from approvals.digest import content_digest
from approvals.evidence import Stepped, is_ours, opened, opening_of
from approvals.machine import State, start, step
from approvals.orders import is_order_instance
from approvals.people import Person
from approvals.policy.kinds import FieldsError
from approvals.policy.routing import NoRoute, Policy, PolicyError, route
from approvals.request import ApprovalRequest, Route
from approvals.requesters import UnknownRequesterError, canonical
from approvals.signing import KeyRing
from approvals.state import Origin, Started
from records import audit, instances, notifications, policies
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)

log = structlog.get_logger(__name__)

UNREADABLE = "unreadable"

BAD_SEAL = (
    "This start carries a seal that none of this app's doors made for this request and instance. Nothing was asked. "
    "Start it with POST /orders/{order_id}/start or POST /workflows."
)
TAKEN = (
    "The id {instance_id} belongs to a request that is started at a door of this app, or was started before. Nothing "
    "was asked. Start a workflow of your own under another id."
)


NOT_A_WORKFLOWS = (
    "The policy says who may ask for a request of the kind {}, and a workflow is none of them. Nothing was asked. Ask "
    "by POST /requests with the key of a person who may."
)


class StartRefusedError(Exception):
    """A start is no start of ours, or takes another's id. The text is a message."""


class Routing:
    """Finds routes. Raises: LookupFailedError if Slack does not say who the requester is: then try again."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        directory: Directory,
        policy_file: PolicyFile,
        keys: KeyRing,
        observer: ActivityObserver,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._keys = keys
        self._observer = observer
        self._directory = directory
        self._policies = policy_file
        self._clock = clock
        self._noted = ""

    async def route(self, asked: RouteInput) -> Routed:
        """Return the machine's first state, sealed, after recording what follows from it: an ask, or an end.

        An unusable policy gives a route without approvers.
        """
        try:
            row = await self._row(asked)
        except StartRefusedError as error:
            await self._refuse(asked, str(error))
            return Routed(refused=str(error))
        if row is not None and row.state is not None and row.run == asked.run:
            return self._sealed(opening_of(row.state))  # this activity's first answer was lost
        try:
            await self._demand_kind(asked)
            requester, emails = await self._requester(asked)
        except StartRefusedError as error:
            await self._refuse(asked, str(error))
            return Routed(refused=str(error))
        origin: Origin = "workflow" if asked.sealed is None else "door"
        state = start(
            asked.instance_id,
            asked.request,
            await self._route(asked, emails, origin),
            asked.run,
            requester=requester,
            requester_emails=emails,
            origin=origin,
            nonce=asked.sealed.nonce if asked.sealed else "",
        )
        await self._begin(state, row)
        return self._sealed(state)

    async def _demand_kind(self, asked: RouteInput) -> None:
        """Hold a workflow's request against its kind: a door has done it for its own. Raises: StartRefusedError."""
        if asked.sealed is not None:
            return
        try:
            kind = (await self._policies.current()).kinds.get(asked.request.kind)
        except PolicyError:
            return  # its route says so, and has no approvers
        if kind is None:
            return
        if kind.who:
            raise StartRefusedError(NOT_A_WORKFLOWS.format(asked.request.kind))
        try:
            kind.checked(asked.request.fields, self._clock().date())
        except FieldsError as error:
            raise StartRefusedError(f"{error} Nothing was asked.") from error

    def _sealed(self, state: State) -> Routed:
        return Routed(state=state, evidence=opened(self._keys, state))

    async def _row(self, asked: RouteInput) -> instances.Instance | None:
        """Return what is on record under this id. Raises: StartRefusedError if the id is not this request's."""
        if asked.sealed is not None and not is_ours(self._keys, asked.request, asked.instance_id, asked.sealed):
            raise StartRefusedError(BAD_SEAL)
        row = await self._database.look(instances.get.on, asked.instance_id)
        ran_before = row is not None and row.run is not None and row.run != asked.run and row.phase != "starting"
        anothers = is_order_instance(asked.instance_id) or _is_anothers(row, asked.request)
        if ran_before or (asked.sealed is None and anothers):
            raise StartRefusedError(TAKEN.format(instance_id=asked.instance_id))
        return row

    async def _refuse(self, asked: RouteInput, message: str) -> None:
        log.error("a start was refused", instance_id=asked.instance_id, why=message)
        entry = audit.Entry(
            at=self._clock(),
            actor="sidecar",
            action=AuditAction.START_REFUSED,
            instance_id=asked.instance_id,
            request_digest=content_digest(asked.request),
            through="sidecar",
            reason=message,
            data={"subject": asked.request.subject, "amount": str(asked.request.amount)},
        )
        await self._database.transact(append_once, asked.run.isoformat(), entry)

    async def _route(self, asked: RouteInput, emails: tuple[str, ...], origin: Origin) -> Route:
        try:
            policy = await self._policies.current()
        except PolicyError as error:
            return Route(rule=UNREADABLE, why=str(error)[:600], policy_version=UNREADABLE)
        await self._note(policy.version)
        found = route(policy, asked.request, emails, from_a_door=origin == "door")
        if isinstance(found, NoRoute):
            rule = found.verdict.rule or Reason.NO_APPROVERS.value
            return Route(rule=rule, why=found.sentence, policy_version=policy.version)
        return found

    async def _note(self, version: str) -> None:
        """Keep a policy once for each version: an order must not wait for a write that says nothing new."""
        if version == self._noted:
            return
        async with self._database.write() as connection:
            changed, before = await policies.record_seen(connection, version, self._policies.text, self._clock())
            if changed:
                await audit.append(connection, _policy_seen(version, before, self._clock()))
        self._noted = version

    async def _requester(self, asked: RouteInput) -> tuple[Person | None, tuple[str, ...]]:
        """Return whose own request this is: who it is for, and who submitted it by an API key.

        Raises: StartRefusedError for a requester who is nobody; LookupFailedError, and then it is tried again.
        """
        try:
            policy: Policy | None = await self._policies.current()
        except PolicyError:
            policy = None  # it has no rule either: nobody can approve this
        try:
            found = await resolve(asked.request.requester, policy, self._directory)
        except UnknownRequesterError as error:
            raise StartRefusedError(str(error)) from error
        submitter = canonical(asked.request.submitted_by)
        return found.person, tuple(sorted({*found.emails, *([submitter] if "@" in submitter else [])}))

    async def _begin(self, state: State, row: instances.Instance | None) -> None:
        """Record the first step. Some are started without our REST endpoint, and have no row yet."""
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
        first, now = Stepped(*step(state, Started(at=state.run))), self._clock()
        running: dict[str, Any] = {"engine_status": "RUNNING"} if row is None or row.phase == "starting" else {}

        def begin(transaction: Transaction) -> Sequence[notifications.NotificationRow]:
            if row is None:
                instances.insert.on(transaction, known, now)
            elif row.request is None:
                instances.replace.on(transaction, known.model_copy(update={"name": row.name}), now)
            if state.origin == "workflow":
                append_once(transaction, state.run.isoformat(), _unsigned(state, now))
            return write_step(transaction, Steps(state, ((first, state.run),), first.state), now, running)

        rows = await self._database.transact(begin)
        self._observer.state_changed(first.state)
        self._observer.notifications_added(rows)


def _unsigned(state: State, at: datetime) -> audit.Entry:
    """Return the entry of a start that no door has signed: every program at the sidecar's port can make one."""
    log.warning("a workflow asks that none of our doors has started", instance_id=state.instance_id)
    return audit.Entry(
        at=at,
        actor="sidecar",
        action=AuditAction.START_UNSIGNED,
        instance_id=state.instance_id,
        request_digest=content_digest(state.request),
        through="sidecar",
        policy_version=state.route.policy_version,
        data={"kind": state.request.kind, "subject": state.request.subject},
    )


def _is_anothers(row: instances.Instance | None, request: ApprovalRequest) -> bool:
    """Return whether an id belongs to another request; a workflow that has asked nothing yet has a row without one."""
    if row is None:
        return False
    return row.phase == "purged" if row.request is None else row.request != request


def _policy_seen(version: str, before: str | None, at: datetime) -> audit.Entry:
    data = {"version": version, "before": before}
    return audit.Entry(at=at, actor="system", action=AuditAction.POLICY_CHANGED, policy_version=version, data=data)
