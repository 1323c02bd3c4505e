"""Profiles and group members from Slack, cached for seconds.

A lookup that fails raises: it never reads as "nobody".
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from activities import turns
from activities.slack.client import Slack
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError
from approvals.people import Person, Profile
from records.slack_answers import GROUPS

MAX_AGE = 60.0
"""Seconds that a membership or a profile may be old."""

RENEWAL_S = 0.05
"""Seconds until an ageing answer is asked again: the click that used it has been acknowledged by then."""

MOST_PROFILES = 2_000
"""Cached answers of one kind. Requests name people by e-mail, so any text can be a key."""

UNKNOWN = frozenset({"user_not_found", "users_not_found", "user_not_visible"})
NO_GROUP = frozenset({"no_such_subteam", "subteam_not_found"})

T = TypeVar("T")


class Fresh(Generic[T]):
    """Answers no older than asked for. Callers who ask for the same thing at once share one lookup.

    An answer that is used past half its age is asked again behind the caller, so that where people are at work nobody
    waits for Slack once a minute.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[Hashable, tuple[float, asyncio.Task[T]]] = {}
        self._renewals: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, max_age: float, lookup: Callable[[], Awaitable[T]]) -> T:
        """Return the answer for key, asked at most `max_age` seconds ago."""
        began, task = self._known.get(key, (float("-inf"), None))
        age = self._clock() - began
        if task is None or age > max_age or (task.done() and _failed(task)):
            began, task = self._clock(), asyncio.ensure_future(_awaited(lookup))
            self._keep(key, began, task)
        elif age > max_age / 2 and key not in self._renewals:
            self._renew(key, lookup)
        if task.done():
            return task.result()  # the common case, without a turn of the loop
        async with turns.outside():
            return await asyncio.shield(task)

    def _renew(self, key: Hashable, lookup: Callable[[], Awaitable[T]]) -> None:
        """Ask again while the answer still stands. If that fails, it is asked once more when it has grown too old."""
        began, task = self._clock(), asyncio.ensure_future(_awaited(lookup, RENEWAL_S))
        self._renewals[key] = task

        def over(_: asyncio.Task[T]) -> None:
            if self._renewals.get(key) is not task:
                return  # forgotten meanwhile
            del self._renewals[key]
            if not _failed(task) and began > self._known.get(key, (float("-inf"),))[0]:
                self._keep(key, began, task)

        task.add_done_callback(over)

    def forget(self, wanted: Callable[[Hashable, T | None], bool] = lambda _key, _answer: True) -> None:
        """Forget the answers of which `wanted` says so; what is being asked has no answer yet."""
        for key, (_, task) in tuple(self._known.items()):
            if wanted(key, None if not task.done() or _failed(task) else task.result()):
                del self._known[key]
                self._renewals.pop(key, None)  # it was asked before the change

    def _keep(self, key: Hashable, began: float, task: asyncio.Task[T]) -> None:
        self._make_room()
        self._known[key] = (began, task)

    def _make_room(self) -> None:
        if len(self._known) >= MOST_PROFILES:
            newest = sorted(self._known.items(), key=lambda item: item[1][0])[MOST_PROFILES // 2 :]
            self._known = dict(newest)


async def _awaited(lookup: Callable[[], Awaitable[T]], pause: float = 0.0) -> T:
    if pause:
        await asyncio.sleep(pause)
    return await lookup()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


class Shared(Protocol):
    """Answers about groups that other processes have got."""

    async def get(self, key: str, max_age_s: float, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return an answer no older than that, as JSON; `ask` if nobody has one. Raises what `ask` raises."""


class Alone:
    """One process asks Slack by itself."""

    async def get(self, key: str, max_age_s: float, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask."""
        del key, max_age_s
        return await ask()


class Directory:
    """Profiles and memberships by Slack's users.* and usergroups.* methods, at most `max_age` seconds old."""

    def __init__(self, slack: Slack, clock: Callable[[], float] = time.monotonic, shared: Shared | None = None) -> None:
        self._slack = slack
        self._shared = shared or Alone()
        self._profiles: Fresh[Profile | None] = Fresh(clock)
        self._handles: Fresh[dict[str, str]] = Fresh(clock)
        self._members: Fresh[frozenset[str] | None] = Fresh(clock)
        self._team: Fresh[Mapping[str, Any]] = Fresh(clock)

    async def team(self) -> Mapping[str, Any]:
        """Return auth.test's answer: team_id, enterprise_id, user_id, bot_id, url. It stays for the process's life."""
        return await self._team.get("team", float("inf"), self._team_now)

    async def profile(self, user: str, max_age: float = MAX_AGE) -> Profile | None:
        """Return the profile of a user id, None if there is none. Raises: LookupFailedError."""
        return await self._profiles.get(user, max_age, lambda: self._look_up("users.info", user=user))

    async def by_email(self, email: str, max_age: float = MAX_AGE) -> Profile | None:
        """Return the profile of an e-mail's owner, None if there is none. Raises: LookupFailedError."""
        wanted = email.strip().lower()
        return await self._profiles.get(wanted, max_age, lambda: self._look_up("users.lookupByEmail", email=wanted))

    async def find(self, reference: str, max_age: float = MAX_AGE) -> Profile | None:
        """Return the profile for an e-mail or a user id, as a request names its requester."""
        return await (self.by_email(reference, max_age) if "@" in reference else self.profile(reference, max_age))

    async def members(self, group: str, max_age: float = MAX_AGE) -> frozenset[str] | None:
        """Return the user ids in a group named by id or handle, None if there is none. Raises: LookupFailedError."""
        return await self._members.get(group, max_age, lambda: self._members_now(group, max_age))

    async def group_id(self, group: str, max_age: float = MAX_AGE) -> str | None:
        """Return the id (S…) for a group's id or handle; None if no such group exists."""
        handles = await self._handles.get(
            "handles", max_age, lambda: self._shared.get("handles", max_age, self._handles_now)
        )
        wanted = group.lstrip("@")
        return wanted if wanted in handles.values() else handles.get(wanted)

    def on_notification(self, what: str) -> None:
        """Forget the groups, or this person and all lookups that found no one: one of them may be this person."""
        if what == GROUPS:
            self._handles.forget()
            self._members.forget()
        else:
            self._profiles.forget(lambda key, profile: key == what or profile is None or profile.person.user == what)

    async def _team_now(self) -> Mapping[str, Any]:
        try:
            return await self._ask("auth.test")
        except SlackRefusedError as error:  # a revoked token: no person can be looked up
            raise LookupFailedError(str(error)) from error

    async def _members_now(self, group: str, max_age: float) -> frozenset[str] | None:
        found = await self.group_id(group, max_age)
        if found is None:
            return None
        users = await self._shared.get(f"members {found}", max_age, lambda: self._users_now(found))
        return None if users is None else frozenset(users)

    async def _users_now(self, group: str) -> list[str] | None:
        try:
            answer = await self._ask("usergroups.users.list", usergroup=group)
        except SlackRefusedError as error:
            if error.error in NO_GROUP:
                return None
            raise LookupFailedError(str(error)) from error
        return sorted(answer.get("users", ()))

    async def _handles_now(self) -> dict[str, str]:
        try:
            answer = await self._ask("usergroups.list")
        except SlackRefusedError as error:
            raise LookupFailedError(str(error)) from error
        return {each["handle"]: each["id"] for each in answer.get("usergroups", ()) if not each.get("date_delete")}

    async def _look_up(self, method: str, **arguments: str) -> Profile | None:
        try:
            answer = await self._ask(method, **arguments)
        except SlackRefusedError as error:
            if error.error in UNKNOWN:
                return None
            raise LookupFailedError(str(error)) from error
        return _profile(answer["user"])

    async def _ask(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        try:
            return await self._slack.call(method, **arguments)
        except SlackUnavailableError as error:
            raise LookupFailedError(str(error)) from error


def _profile(user: Mapping[str, Any]) -> Profile:
    """Read users.info's user. A missing flag is false; a missing team is "", which is refused later."""
    about = user.get("profile", {})
    enterprise = (user.get("enterprise_user") or {}).get("enterprise_id")
    return Profile(
        person=Person(team=user.get("team_id", ""), user=user["id"]),
        email=(about.get("email") or "").lower() or None,
        name=about.get("display_name") or user.get("real_name") or about.get("real_name") or user.get("name") or "",
        time_zone=user.get("tz") or "UTC",
        enterprise=enterprise,
        bot=bool(user.get("is_bot")) or user["id"] == "USLACKBOT",
        deactivated=bool(user.get("deleted")),
        guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        stranger=bool(user.get("is_stranger")),
        invited=bool(user.get("is_invited_user")),
    )
