"""DisplayNames of people and groups for the eye, as Slack has them. A name proves nothing.

One that is not found in time is shown as an id: no page waits for Slack.
"""

import asyncio
from collections.abc import Iterable, Mapping

from activities.policies import PolicyFile
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError
from approvals.policy.routing import PolicyError
from bot.dashboard.words import principal

NAMES_PATIENCE_S = 0.7
NAMES_PER_PAGE = 40
AGE_S = 3600.0


class DisplayNames:
    """Finds names."""

    def __init__(self, directory: Directory, policies: PolicyFile) -> None:
        self._directory = directory
        self._policies = policies

    async def of(self, found: Iterable[str]) -> Mapping[str, str]:
        """Return a name for each: `user:U1`, `group:S1`, `email:…`, a bare user id or `T1/U1`."""
        wanted = tuple(dict.fromkeys(found))
        names = {each: principal(each) for each in wanted}
        try:
            async with asyncio.timeout(NAMES_PATIENCE_S):
                names |= await self._groups(wanted)
                for each in wanted[:NAMES_PER_PAGE]:
                    names[each] = await self._person(each) or names[each]
        except (TimeoutError, LookupFailedError, SlackRefusedError):
            pass
        return names

    async def keys_of(self, reference: str) -> tuple[str, ...]:
        """Return the person key of an e-mail; none if it is no e-mail, or if Slack does not answer."""
        if "@" not in reference:
            return ()
        try:
            profile = await self._directory.by_email(reference, AGE_S)
        except (LookupFailedError, SlackRefusedError):
            return ()
        return (profile.person.key,) if profile else ()

    async def _person(self, name: str) -> str:
        user = name.removeprefix("user:").rpartition("/")[2]
        if not (user[:1] in {"U", "W"} and user.isupper() and user.isalnum()):
            return ""
        profile = await self._directory.profile(user, AGE_S)
        return profile.name if profile else ""

    async def _groups(self, wanted: tuple[str, ...]) -> dict[str, str]:
        if not any(each.startswith("group:S") for each in wanted):
            return {}
        try:
            policy = await self._policies.current()
        except PolicyError:
            return {}
        ids = {await self._directory.group_id(handle, AGE_S): name for name, handle in policy.groups.items()}
        return {each: f"@{ids[each[6:]]}" for each in wanted if each[6:] in ids}
