"""The requests that a person may decide as a delegate. Reads only.

A request keeps the delegations of the policy that chose its route, whatever the file says now. Which versions name the
caller today is known before any request is looked at, so an index finds the requests; each is then judged as a click
on it would be.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime

from activities.judging import Judge
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from approvals.judgement import Home, delegates_to, unfitness
from approvals.people import Person, Profile
from approvals.policy.routing import PolicyError, parse_policy
from approvals.request import Delegation
from bot.access.authenticating import Caller
from bot.control.subjects import Subjects
from records import instances, listing, policies
from records.database import Database

MOST_DELEGATED = 500
"""Requests that one person may decide as a delegate; each is judged, so a list of all would take seconds."""

DELEGATED_PER_PAGE = 100


class DelegatedRequests:
    """Finds requests that a delegate may decide. Delegations whose lookup fails are left out."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        judge: Judge,
        subjects: Subjects,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._judge = judge
        self._subjects = subjects
        self._clock = clock
        self._read: dict[str, tuple[Delegation, ...]] = {}

    async def waiting_for(self, caller: Caller, known: AbstractSet[str], own: AbstractSet[str]) -> tuple[str, ...]:
        """Return the instances that the caller may decide as a delegate only: MOST_DELEGATED, the next deadline first.

        `known` is whom anything waits for now, `own` the caller's own principals: those are listed without us.
        """
        standing = await self._standing()
        if not standing:
            return ()  # the caller need not be looked up
        try:
            return tuple(await self._found(caller, standing, known, own))[:MOST_DELEGATED]
        except LookupFailedError:
            return ()

    async def _found(
        self,
        caller: Caller,
        standing: dict[str, list[Delegation]],
        known: AbstractSet[str],
        own: AbstractSet[str],
    ) -> list[str]:
        profile = await self._fit(caller.person.user if caller.person else caller.email)
        if profile is None:
            return []
        person, found = caller.person or profile.person, list[str]()
        for approver, versions in delegated(standing, profile, self._clock()).items():
            delegating = await self._fit(approver)
            names = await self._subjects.names(delegating, known) - own if delegating else ()
            for name in sorted(names):
                wanted = listing.Filter(waiting_on=name, policy_versions=versions)
                found += await self._decidable(person, wanted)
        return found

    async def _fit(self, reference: str) -> Profile | None:
        """Return the person, None if they may decide nothing here at all."""
        profile = await self._directory.find(reference) if reference else None
        team = await self._directory.team()
        home = Home(team=team.get("team_id") or "", enterprise=team.get("enterprise_id") or None)
        return profile if profile and unfitness(profile.person, profile, home) is None else None

    async def _decidable(self, person: Person, wanted: listing.Filter) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            async with self._database.read() as connection:
                page = await listing.page(connection, wanted, sort="deadline", cursor=cursor, limit=DELEGATED_PER_PAGE)
                ids = tuple(line.instance_id for line in page.lines)
                states = {state.instance_id: state for state in await instances.states(connection, ids)}
            for line in page.lines:
                state = states.get(line.instance_id)
                if state and (await self._judge.standing(person, state)).verdict.allowed:
                    found.append(line.instance_id)
            cursor = page.cursor
            if cursor is None or len(found) >= MOST_DELEGATED:
                return found

    async def _standing(self) -> dict[str, list[Delegation]]:
        """Return the delegations that stand now, by the policy's version. A version never changes: it is read once."""
        async with self._database.read() as connection:
            versions = await policies.versions(connection)
            unread = [await policies.get(connection, version) for version in versions if version not in self._read]
        for policy in filter(None, unread):
            self._read[policy.version] = await asyncio.to_thread(delegations_of, policy.content)
        now = self._clock()
        standing = {
            version: [each for each in self._read.get(version, ()) if each.since <= now < each.until]
            for version in versions
        }
        return {version: found for version, found in standing.items() if found}


def delegations_of(content: str) -> tuple[Delegation, ...]:
    """Return a policy's delegations; none if an older release could read it and this one cannot."""
    try:
        return tuple(parse_policy(content, "policy.yml").delegations)
    except PolicyError:
        return ()


def delegated(standing: dict[str, list[Delegation]], profile: Profile, now: datetime) -> dict[str, tuple[str, ...]]:
    """Return who delegates to a person now, each with the versions of the policy that say so."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for version, delegations in standing.items():
        for each in delegations:
            if delegates_to(each, profile, now):
                found[each.approver].add(version)
    return {approver: tuple(sorted(versions)) for approver, versions in found.items()}
