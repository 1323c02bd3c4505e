"""Resolve a requester: one Slack person, or a service or agent that the policy names. The same on every channel."""

from activities.slack.directory import Directory
from approvals import requesters
from approvals.people import Person
from approvals.policy.model import Policy
from approvals.values import Value


class Requester(Value):
    """The requester. `emails` are all addresses that belong to them."""

    name: str
    person: Person | None = None
    emails: tuple[str, ...] = ()


async def resolve(written: str, policy: Policy | None, directory: Directory) -> Requester:
    """Return who is meant. A Slack person goes before a service of the same name.

    Raises: UnknownRequesterError; LookupFailedError if Slack does not say.
    """
    name, known = requesters.canonical(written), policy.programs if policy else ()
    if requesters.is_address(name):
        profile = await directory.find(name)
        if profile is not None and not profile.bot:
            emails = {each for each in (profile.email, name if "@" in name else "") if each}
            return Requester(name=name, person=profile.person, emails=tuple(sorted(emails)))
    service = requesters.named(name, known)
    if service is None:
        raise requesters.unknown(name, known)
    return Requester(name=service, emails=(name,) if "@" in name else ())
