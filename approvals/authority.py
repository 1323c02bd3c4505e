"""Authorization: one table for REST, dashboard, command line and slash commands. What it does not name is denied.

Roles are no ladder: an admin manages keys and cannot terminate, an operator terminates and cannot read the audit.
A person may have both. Deciding a request is `judgement`'s; this table only says who may try.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from approvals.decision import Reason, Verdict
from approvals.judgement import Membership
from approvals.people import EmailAddress, Person, Principal, Profile, SlackUser
from approvals.policy.model import Policy
from approvals.statuses import LIVE, Status
from approvals.values import Value
from approvals.verbs import VERBS, Action

__all__ = [
    "TABLE",
    "Action",
    "Actor",
    "Channel",
    "Grant",
    "Resource",
    "Role",
    "Status",
    "authorize",
    "fitting",
    "roles_of",
]


class Role(StrEnum):
    """A role that the policy or an API key gives."""

    REQUESTER = "requester"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"
    ASKER = "requests:ask"
    """A program's: it asks, and sees what it has asked. An API key gives it, the policy does not."""
    FOR_OTHERS = "requests:for_others"


Channel = Literal["slack", "rest", "dashboard", "cli"]
Relation = Literal["any", "own", "asked", "own_or_asked"]

EVERYWHERE: Final = frozenset[Channel]({"slack", "rest", "dashboard", "cli"})
NOT_IN_SLACK: Final = EVERYWHERE - {"slack"}
CONSOLE: Final = frozenset[Channel]({"rest", "cli"})


class Actor(Value):
    """The one who acts, and through which channel. `scopes` are an API key's: None means all that the roles give."""

    roles: frozenset[Role] = frozenset()
    through: Channel
    person: Person | None = None
    scopes: frozenset[Action] | None = None


class Resource(Value):
    """The object of an action. `status` is None if no instance is meant; `own` and `asked` are about the actor."""

    status: Status | None = None
    own: bool = Field(default=False, description="the actor is the requester")
    asked: bool = Field(default=False, description="the actor is or was an approver of the request")


class Grant(Value):
    """One row of the table: by which roles, on whose requests, through what, in which statuses (None: in any)."""

    roles: Mapping[Role, Relation]
    through: frozenset[Channel] = EVERYWHERE
    statuses: frozenset[Status] | None = None


def _grant(
    roles: str,
    through: AbstractSet[Channel] = EVERYWHERE,
    statuses: frozenset[Status] | None = None,
    asker: Relation | None = None,
    **relations: Relation,
) -> Grant:
    known: dict[Role, Relation] = dict.fromkeys(map(Role, roles.split()), "any")
    known |= {Role(role): relation for role, relation in relations.items()}
    known |= {Role.ASKER: asker} if asker else {}
    return Grant(roles=known, through=frozenset(through), statuses=statuses)


TABLE: Final[Mapping[Action, Grant]] = {
    Action.START_ORDER: _grant("requester operator requests:ask", NOT_IN_SLACK),
    Action.ASK_FOR_OTHERS: _grant("requester operator requests:for_others", NOT_IN_SLACK),
    Action.CONSUME: _grant("operator", NOT_IN_SLACK, requester="own", asker="own"),
    Action.WEBHOOKS: _grant("operator", NOT_IN_SLACK, requester="own", asker="own"),
    Action.START_WORKFLOW: _grant("operator", NOT_IN_SLACK),
    Action.DECIDE: _grant("", {"slack", "rest", "dashboard"}, LIVE, approver="asked"),
    Action.SEE_REQUEST: _grant("operator auditor admin", requester="own", approver="own_or_asked", asker="own"),
    Action.LIST: _grant("operator auditor admin", requester="own", approver="own_or_asked", asker="own"),
    Action.SEE_HISTORY: _grant("operator auditor", requester="own", approver="own_or_asked", asker="own"),
    Action.SEE_PAYLOADS: _grant(
        "operator auditor", NOT_IN_SLACK, requester="own", approver="own_or_asked", asker="own"
    ),
    Action.SEE_DIAGNOSIS: _grant("operator auditor", requester="own", approver="own_or_asked", asker="own"),
    Action.SEE_STATISTICS: _grant("operator auditor admin"),
    Action.BULK: _grant("operator"),
    Action.AUDIT_READ: _grant("auditor", NOT_IN_SLACK),
    Action.AUDIT_VERIFY: _grant("auditor admin", NOT_IN_SLACK),
    Action.POLICY_READ: _grant("operator auditor admin", NOT_IN_SLACK),
    Action.KEYS_MANAGE: _grant("admin", CONSOLE),
    Action.DOCTOR: _grant("operator", CONSOLE),
    **{
        verb.action: _grant("operator", EVERYWHERE if verb.usage else NOT_IN_SLACK, verb.statuses)
        for verb in VERBS.values()
    },
}


def fitting(action: Action) -> Status | None:
    """Return a status in which the action may be done: to ask for the role before the status. None: any does."""
    statuses = TABLE[action].statuses
    return None if statuses is None else min(statuses)


def authorize(actor: Actor, action: Action, resource: Resource = Resource()) -> Verdict:  # noqa: B008  # frozen
    """Return whether the actor may. Lists ask with neither own nor asked, and are filtered if that is denied."""
    grant = TABLE.get(action)
    if grant is None or actor.through not in grant.through:
        return _denied(Reason.NOT_PERMITTED, "transport")
    if actor.scopes is not None and action not in actor.scopes:
        return _denied(Reason.NOT_PERMITTED, "scope")
    role = next((role for role in Role if role in actor.roles and _reaches(grant.roles.get(role), resource)), None)
    if role is None:
        return _denied(Reason.NOT_PERMITTED, "role")
    if action is Action.DECIDE and resource.own:
        return _denied(Reason.OWN_REQUEST, "requester")
    if grant.statuses is not None and resource.status not in grant.statuses:
        return _denied(Reason.REQUEST_OVER if action is Action.DECIDE else Reason.NOT_IN_THIS_STATUS, "status")
    return Verdict(allowed=True, reason=Reason.ALLOWED, rule=f"role {role}")


def _reaches(relation: Relation | None, resource: Resource) -> bool:
    match relation:
        case None:
            return False
        case "any":
            return True
        case "own":
            return resource.own
        case "asked":
            return resource.asked
        case _:
            return resource.own or resource.asked


def _denied(reason: Reason, rule: str) -> Verdict:
    return Verdict(allowed=False, reason=reason, rule=rule)


OPEN_ROLES: Final = frozenset({Role.REQUESTER, Role.APPROVER})
"""All members of the workspace have these: the route says who may decide. A policy may name who requests."""


def roles_of(policy: Policy, profile: Profile, memberships: Mapping[str, Membership]) -> frozenset[Role]:
    """Return the roles the policy gives to a person who is fit to act here (see `judgement.unfitness`).

    `memberships` are by the group's id or handle as `groups` in the policy resolves it; what failed gives no role.
    """
    return frozenset(
        role
        for role in Role
        if (role in OPEN_ROLES and role not in policy.roles)
        or any(_is_named(policy, principal, profile, memberships) for principal in policy.roles.get(role, ()))
    )


def _is_named(policy: Policy, principal: Principal, profile: Profile, memberships: Mapping[str, Membership]) -> bool:
    match principal:
        case SlackUser():
            return principal.user == profile.person.user
        case EmailAddress():
            return (profile.email or "").strip().casefold() == principal.email.casefold()
        case _:
            members = memberships.get(policy.groups.get(principal.group, principal.group), "failed")
            return not isinstance(members, str) and profile.person.user in members
