"""Authentication and authorization for REST, the dashboard, the command line and slash commands.

Identity comes from an API key, a session or Slack's signature (law: identity comes from signatures alone). Roles come
from the key, or from the policy's groups.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from activities.policies import PolicyFile
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from approvals.audit_actions import AuditAction
from approvals.authority import Action, Actor, Channel, Resource, Role, authorize, roles_of
from approvals.decision import Reason, Verdict
from approvals.judgement import PROGRAM, Home, Membership, unfitness
from approvals.people import Person, Profile, UserGroup
from approvals.policy.routing import PolicyError
from approvals.requesters import canonical
from approvals.signing import KeyRing, Purpose
from approvals.values import Value
from bot.access.denials import denial
from bot.access.oidc import BadTokenError, Oidc, ProviderUnavailableError, is_jwt
from bot.access.refusals import Kind, Refused, refused
from bot.access.throttle import Throttle
from bot.access.workloads import Workloads
from bot.process.correlation import correlation_id
from records import audit, keys
from records.database import Database
from records.errors import RecordsError

log = structlog.get_logger(__name__)


NOTE_S = 0.5
KEY_ID_END = len("cs_") + 12
"""The first characters of a token name the key; the rest is its secret."""


class Caller(Value):
    """A person or program whose identity is proven. `actor` is its name in the audit.

    `roles_known` is False if the roles could not be looked up: then there are none (law: fail closed), and a refusal
    says so. `member` is False for a guest and for others whom no policy can give a role. `kinds` are those that a
    workload may ask for: None means all.
    """

    actor: str
    email: str
    roles: frozenset[Role]
    through: Channel
    person: Person | None = None
    key_id: str = ""
    scopes: frozenset[Action] | None = None
    callback_hosts: tuple[str, ...] = ()
    roles_known: bool = True
    member: bool = True
    kinds: tuple[str, ...] | None = None

    @property
    def initiator(self) -> "Initiator":
        """The caller as the audit names them."""
        return Initiator(actor=self.actor, email=self.email, through=self.through, person=self.person)

    @property
    def own_ids(self) -> str:
        """The namespace of ids that this caller chooses: the key, or the person who has a token and no key."""
        return self.key_id or self.actor

    @property
    def as_actor(self) -> Actor:
        """The caller as the authority knows them."""
        return Actor(roles=self.roles, through=self.through, person=self.person, scopes=self.scopes)


class Initiator(Value):
    """By whom, and through what, something is done. May they was asked before: there are no roles here."""

    actor: str
    email: str
    through: Channel
    person: Person | None = None


class Access:
    """Authenticates and authorizes."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        directory: Directory,
        policies: PolicyFile,
        key_ring: KeyRing,
        clock: Callable[[], datetime],
        throttle: Throttle,
        oidc: Oidc | None = None,
        workloads: Workloads | None = None,
    ) -> None:
        self._database = database
        self._directory = directory
        self._policies = policies
        self._key_ring = key_ring
        self._clock = clock
        self._throttle = throttle
        self._oidc = oidc
        self._workloads = workloads

    async def identify(self, token: str, source: str) -> Caller:
        """Return whom an API key or a bearer token belongs to. `source` is the client's address.

        Raises: Refused NOT_SIGNED_IN, BAD_CREDENTIALS, RATE_LIMITED, UNAVAILABLE.
        """
        if not token:
            raise Refused(
                Kind.NOT_SIGNED_IN,
                "This call needs an API key: send it as 'Authorization: Bearer cs_…'. "
                "Create one with: countersign keys create.",
            )
        if is_jwt(token) and (found := await self._by_workload(token, source)) is not None:
            return found
        if self._oidc is not None and is_jwt(token):
            return await self.by_oidc(self._oidc, token, source)
        return await self.by_key(token, source)

    async def _by_workload(self, token: str, source: str) -> Caller | None:
        """Return the program whose platform signed the token; None for a token of an issuer of no workload.

        Raises: Refused BAD_CREDENTIALS, RATE_LIMITED, UNAVAILABLE.
        """
        try:
            known = (await self._policies.current()).workloads
        except PolicyError as error:
            log.warning("no workload is known: the policy cannot be used", why=str(error))
            return None
        if self._workloads is None or not self._workloads.claimed(token, known):
            return None
        try:
            found = await self._workloads.of(token, known)
        except BadTokenError as error:
            self._demand_patience(source)
            log.warning("a workload's token was refused", why=str(error), source=source)
            raise Refused(Kind.BAD_CREDENTIALS, str(error)) from error
        except ProviderUnavailableError as error:
            raise Refused(Kind.UNAVAILABLE, str(error), retry_after=10) from error
        roles = frozenset({Role.ASKER})
        return Caller(
            actor=f"workload:{found.name}", email=found.name, roles=roles, through="rest", kinds=found.may_ask
        )

    async def by_oidc(self, oidc: Oidc, token: str, source: str) -> Caller:
        """Return who a bearer token of the identity provider names, with the roles the policy gives them now.

        Raises: Refused BAD_CREDENTIALS, RATE_LIMITED, and UNAVAILABLE while the provider's keys cannot be had.
        """
        try:
            email = await oidc.email_of(token)
        except BadTokenError as error:
            self._demand_patience(source)
            log.warning("a bearer token was refused", why=str(error), source=source)
            raise Refused(Kind.BAD_CREDENTIALS, str(error)) from error
        except ProviderUnavailableError as error:
            raise Refused(Kind.UNAVAILABLE, str(error), retry_after=10) from error
        try:
            profile = await self._directory.by_email(email)
        except LookupFailedError as error:
            raise refused(Verdict(allowed=False, reason=Reason.LOOKUP_FAILED, rule="access")) from error
        if profile is None:
            raise refused(Verdict(allowed=False, reason=Reason.UNKNOWN_PERSON, rule="access"))
        caller = await self.by_slack(profile.person)
        return caller.model_copy(update={"through": "rest", "email": email})

    def _demand_patience(self, *names: str) -> None:
        """Count a failure of each of these names; refuse to say more while one of them has too many.

        Counts failures only. So guessing delays only further failures: a right key is never
        refused, even if others tried its id or share the proxy.
        """
        now = time.monotonic()
        wait = max(self._throttle.wait_s(name, now) for name in names)
        if wait > 0:
            raise Refused(
                Kind.RATE_LIMITED, "Too many failed keys from here. Wait before trying again.", retry_after=wait
            )
        for name in names:
            self._throttle.failed(name, now)

    async def by_key(self, token: str, source: str) -> Caller:
        """Return whose API key this is. A right and a wrong key cost the same work.

        Raises: Refused BAD_CREDENTIALS, or RATE_LIMITED for a wrong key after too many failures of its id or source.
        """
        secrets = [self._key_ring.subkey(Purpose.API_KEY, key_id) for key_id in self._key_ring.ids]
        found = await self._database.look(keys.authenticate.on, token, secrets, self._clock())
        if found.key is None:
            self._demand_patience(source, f"key {token[:KEY_ID_END]}")
            log.warning("an API key was refused", why=found.reason.value, key=found.key_id, source=source)
            raise Refused(
                Kind.BAD_CREDENTIALS,
                "This API key is not valid: it is unknown, expired or revoked. Ask an administrator for a new one.",
            )
        if found.stale:
            await self._note_use(found.key.id)
        return of_key(found.key, "rest")

    async def _note_use(self, key_id: str) -> None:
        """Note a key's last use, if that can be written at once: nobody waits or is refused for it."""
        try:
            async with asyncio.timeout(NOTE_S), self._database.write() as connection:
                await keys.used(connection, key_id, self._clock())
        except (TimeoutError, RecordsError):
            log.info("a key's use is not noted: the database is slow", key=key_id)

    async def demand(
        self,
        caller: Caller,
        action: Action,
        resource: Resource | None = None,
        *,
        instance_id: str = "",
        about: str = "",
    ) -> None:
        """Refuse what the caller may not do; the refusal is audited. Raises: Refused NOT_ALLOWED.

        `about` is the name of what it is done to, such as `order 42`.
        """
        verdict = authorize(caller.as_actor, action, resource or Resource())
        if not verdict.allowed:
            if not caller.roles_known:
                verdict = Verdict(allowed=False, reason=Reason.ROLES_UNKNOWN, rule="access")
            elif not caller.member:
                verdict = Verdict(allowed=False, reason=Reason.MEMBERS_ONLY, rule="access")
            await self.audit_refusal(caller, action, verdict, instance_id)
            raise refused(verdict, Kind.NOT_ALLOWED, denial(verdict, action, about))

    async def audit_refusal(self, caller: Caller, action: Action, verdict: Verdict, instance_id: str = "") -> None:
        """Audit a refusal."""
        entry = audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=AuditAction.ACCESS_REFUSED,
            instance_id=instance_id,
            through=caller.through,
            verdict=verdict.reason.value,
            correlation_id=correlation_id(),
            data={"action": action.value, "email": caller.email},
        )
        await self._database.transact(audit.append.on, entry)

    async def slack_person(self, caller: Caller) -> Person:
        """Return the Slack person of a caller: a key belongs to a person by e-mail.

        Raises: Refused NOT_ALLOWED, UNAVAILABLE.
        """
        if caller.person is not None:
            return caller.person
        try:
            profile = await self._directory.by_email(caller.email)
        except LookupFailedError as error:
            raise refused(Verdict(allowed=False, reason=Reason.LOOKUP_FAILED, rule="access")) from error
        if profile is None:
            raise refused(Verdict(allowed=False, reason=Reason.UNKNOWN_PERSON, rule="access"))
        return profile.person

    async def submitter(self, caller: Caller) -> Person:
        """Return who a caller is for a request of their own: a Slack person, or the program that the key belongs to.

        Raises: Refused UNAVAILABLE if Slack cannot be asked.
        """
        try:
            return await self.slack_person(caller)
        except Refused as error:
            if error.fields.get("reason") != Reason.UNKNOWN_PERSON.value or not caller.email:
                raise
            return Person(team=PROGRAM, user=canonical(caller.email))

    async def by_slack(self, person: Person) -> Caller:
        """Return the caller for a person whom Slack's signature names, with the roles that the policy gives them now.

        A role that cannot be looked up is not granted (law: fail closed).
        """
        try:
            profile = await self._directory.profile(person.user)
            member = profile is not None and unfitness(person, profile, await self._home()) is None
            roles = await self._roles(profile) if profile and member else frozenset[Role]()
        except (LookupFailedError, PolicyError) as error:
            log.warning("roles could not be looked up", why=str(error))
            return Caller(
                actor=person.key, email="", roles=frozenset(), through="slack", person=person, roles_known=False
            )
        email = (profile.email or "") if profile else ""
        return Caller(actor=person.key, email=email, roles=roles, through="slack", person=person, member=member)

    async def _home(self) -> Home:
        us = await self._directory.team()
        return Home(team=us.get("team_id") or "", enterprise=us.get("enterprise_id") or None)

    async def _roles(self, profile: Profile) -> frozenset[Role]:
        policy = await self._policies.current()
        groups = {
            policy.groups.get(principal.group, principal.group)
            for principals in policy.roles.values()
            for principal in principals
            if isinstance(principal, UserGroup)
        }
        memberships: dict[str, Membership] = {}
        for group in groups:
            found = await self._directory.members(group)
            memberships[group] = "unknown" if found is None else found
        return roles_of(policy, profile, memberships)


def of_key(key: keys.ApiKey, through: Channel) -> Caller:
    """Return the caller whom a good key names, with what it may be used for: the same for REST and for a session."""
    return Caller(
        actor=f"key:{key.id}",
        email=key.person,
        roles=frozenset(Role(role) for role in key.roles),
        through=through,
        key_id=key.id,
        scopes=_scopes(key.scopes),
        callback_hosts=key.callback_hosts or (),
    )


def _scopes(names: tuple[str, ...] | None) -> frozenset[Action] | None:
    """Return a key's scopes. A name that this program does not know gives nothing, and never everything."""
    return None if names is None else frozenset(each for each in Action if each.value in names)
