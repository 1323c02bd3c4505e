"""Looks whether those who are asked can still decide: an emptied group, a person who left, an archived channel.

Nothing is decided here. What is found is told to the operators, the requester and, if they can be reached another way,
the approvers, once a day while it lasts; `doctor` names it too.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import quote

import structlog

from activities.slack.alarming import alarm
from activities.slack.channels import joined, problem_of
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError
from approvals.people import EmailAddress, Principal, Profile, UserGroup
from approvals.seats import filled, key_of, seats_of
from approvals.state import State, approvers_now, binding_of, current_stage, yeses_of
from approvals.values import Value
from bot.control.reading.figures import UNPOSTED_AFTER
from bot.process.periodic import Periodic
from records import listing, notifications
from records.database import Database
from records.errors import RecordsError, public_message
from records.instances import Instance
from records.notifications import Notification

log = structlog.get_logger(__name__)

REACH_EVERY_S = 60.0
ROWS_PER_REACH = 200
MOST_TOLD = 20
"""Approvers of one request who are told directly, and requests of one cause whose people are told, in one round."""


AWAY = (SlackUnavailableError, SlackRefusedError, LookupFailedError)


class Unreached(Value):
    """A request that waits where nobody can decide it. `why` is the cause, which several requests may share."""

    instance_id: str
    what: Literal["people", "channel"]
    why: str
    named: str
    place: str
    requester: str = ""
    approvers: tuple[str, ...] = ()
    channel: str = ""
    card: str = ""


HELP: Mapping[str, str] = {
    "people": (
        "Who is added to the Slack group can decide at once. Otherwise stop the request (/approval terminate) and let "
        "it be asked again, under a rule that names people who are there."
    ),
    "channel": (
        "Unarchive the channel or invite the app to it, or name another channel in the policy for new requests. "
        "Meanwhile the request can be decided on its page and through REST."
    ),
}


class Reach:
    """Examines what waits. Raises: what Slack and the database raise; the next round tries again."""

    def __init__(  # noqa: PLR0913, PLR0917 the parts it is made of
        self,
        database: Database,
        slack: Slack,
        directory: Directory,
        clock: Callable[[], datetime],
        link_base: str,
        every_s: float = REACH_EVERY_S,
    ) -> None:
        self._database = database
        self._slack = slack
        self._directory = directory
        self._clock = clock
        self._link_base = link_base
        self._every_s = every_s
        self.loop = Periodic("reach", self.look, every_s, passing=(*AWAY, RecordsError), gentle=True, public=_public)

    async def look(self) -> None:
        """Look once and tell what is new."""
        found = [each async for each in self.find()]
        wanted = [*_to_operators(found, self._day()), *self._to_people(found)]
        if not wanted:
            return
        async with self._database.write() as connection:
            new = await notifications.enqueue(connection, wanted, self._clock())
        for each in new:
            if not each.content.get("user") and not each.content.get("thread"):
                log.error("requests wait where nobody can decide them", why=each.content["text"])

    async def find(self) -> AsyncIterator[Unreached]:
        """Give each waiting request that nobody can decide, or whose card cannot be reached."""
        channels, people = await self._channels(), _People(self._directory, self._every_s)
        async for row in listing.each_unfinished(self._database, ROWS_PER_REACH):
            state = row.state
            if row.phase != "waiting" or state is None or state.phase != "waiting":
                continue
            if why := await people.problem(state, self._clock()):
                yield _unreached(row, state, "people", why)
            if channels is not None and (why := self._channel_problem(row, state, channels)):
                approvers = await people.users(approvers_now(state))
                yield _unreached(row, state, "channel", why, approvers)

    async def _channels(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Return the channels that the bot is in; None without the scopes for it: people are looked at then."""
        try:
            return await joined(self._slack)
        except SlackRefusedError as error:
            if error.error != "missing_scope":
                raise
            return None

    def _channel_problem(self, row: Instance, state: State, channels: Mapping[str, Mapping[str, Any]]) -> str:
        posted = row.posted == binding_of(state).nonce and len(row.cards) > state.stage
        if posted:
            return problem_of(row.cards[state.stage].channel, channels)
        asked = state.asked_at or row.created_at
        late = asked < self._clock() - UNPOSTED_AFTER
        name = state.route.channel.lstrip("#")
        elsewhere = [card.channel for card in row.cards if card.channel]
        if not late or any(not problem_of(channel, channels) for channel in elsewhere):
            return ""
        return problem_of(name, channels)

    def _day(self) -> str:
        return f"{self._clock():%Y-%m-%d}"

    def _to_people(self, found: Sequence[Unreached]) -> list[Notification]:
        told: list[Notification] = []
        for each in _few_of_each_cause(found):
            key = f"reach/{each.what}/{each.instance_id}/{each.place}/{_digest(each.why)}/{self._day()}"
            text = f"{each.named} waits, and nobody can decide it there. {each.why} The operators know."
            if each.requester:
                told.append(alarm(f"{key}/requester", text, each.instance_id, user=each.requester))
            if each.what == "people" and each.card:
                told.append(alarm(f"{key}/thread", text, each.instance_id, channel=each.channel, thread=each.card))
            if each.what == "channel":
                page = f"{self._link_base}/w/{quote(each.instance_id, safe='')}"
                text = f"{each.named} waits for your decision. {each.why} Decide it on its page: {page}"
                told += [
                    alarm(f"{key}/{user}", text, each.instance_id, user=user) for user in each.approvers[:MOST_TOLD]
                ]
        return told


def _to_operators(found: Sequence[Unreached], day: str) -> list[Notification]:
    """Return one alarm for each cause: many requests may share it."""
    causes: dict[tuple[str, str], list[Unreached]] = {}
    for each in found:
        causes.setdefault((each.what, each.why), []).append(each)
    return [
        alarm(f"reach/{what}/{_digest(why)}/{day}", f"{why} {_count(those)} {HELP[what]}")
        for (what, why), those in causes.items()
    ]


def _count(those: Sequence[Unreached]) -> str:
    if len(those) == 1:
        return f"One request waits for it: {those[0].named} ({those[0].instance_id})."
    return f"{len(those)} requests wait for it, such as {those[0].named} ({those[0].instance_id})."


def _few_of_each_cause(found: Iterable[Unreached]) -> list[Unreached]:
    seen: dict[tuple[str, str], int] = {}
    few = []
    for each in found:
        seen[each.what, each.why] = number = seen.get((each.what, each.why), 0) + 1
        if number <= MOST_TOLD:
            few.append(each)
    return few


def _public(error: Exception) -> str:
    return public_message(error) if isinstance(error, RecordsError) else "Slack does not answer"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def _unreached(
    row: Instance,
    state: State,
    what: Literal["people", "channel"],
    why: str,
    approvers: frozenset[str] = frozenset(),
) -> Unreached:
    card = row.cards[state.stage] if len(row.cards) > state.stage else None
    return Unreached(
        instance_id=row.instance_id,
        what=what,
        why=why,
        named=f"{state.request.kind.capitalize()} {state.request.subject}",
        place=f"{state.run.isoformat()}/{state.stage}/{state.round}",
        requester=state.requester.user if state.requester else "",
        approvers=tuple(sorted(approvers)),
        channel=card.channel if card else "",
        card=card.ts if card else "",
    )


class _People:
    """Who is there, asked once for each principal of a round."""

    def __init__(self, directory: Directory, max_age_s: float) -> None:
        self._directory = directory
        self._max_age_s = max_age_s
        self._known: dict[Principal, tuple[frozenset[str], str]] = {}

    async def users(self, principals: Iterable[Principal]) -> frozenset[str]:
        """Return the user ids of all who are there."""
        return frozenset().union(*[(await self._of(each))[0] for each in principals])

    async def problem(self, state: State, now: datetime) -> str:
        """Return why too few are there to decide a stage, nothing if there are enough."""
        stage = current_stage(state)
        asked = [await self._of(each) for each in approvers_now(state)]
        stand_ins = [each for each in state.route.delegations if each.since <= now < each.until]
        there = await self.users(
            [*approvers_now(state), *(EmailAddress(email=each.delegate) for each in stand_ins if "@" in each.delegate)]
        )
        answered = {each.person.user for each in state.approvals if each.stage == state.stage}
        barred = answered | ({state.requester.user} if state.requester else set())
        yeses = yeses_of(state)
        needed = stage.needed - len(yeses)
        if stage.seats and not stand_ins:
            names = [(key_of(one), (await self._of(one))[0]) for one in approvers_now(state)]
            left = [tuple(name for name, users in names if user in users) for user in there - barred]
            may = filled(seats_of(stage, state.round), [*(each.matches for each in yeses), *left]) - len(yeses)
        else:
            may = len(there - barred)
        if may >= needed:
            return ""
        causes = [why for _, why in asked if why]
        if causes:
            return " ".join(dict.fromkeys(causes))
        return f"Too few of those who are asked are left: {needed} must still approve, and {may} may."

    async def _of(self, principal: Principal) -> tuple[frozenset[str], str]:
        if principal not in self._known:
            self._known[principal] = await self._looked_up(principal)
        return self._known[principal]

    async def _looked_up(self, principal: Principal) -> tuple[frozenset[str], str]:
        if isinstance(principal, UserGroup):
            members = await self._directory.members(principal.group, self._max_age_s)
            if members is None:
                return frozenset(), f"There is no user group {principal.group} in Slack any more."
            return members, "" if members else f"The user group {principal.group} has no member any more."
        email = isinstance(principal, EmailAddress)
        name = principal.email if isinstance(principal, EmailAddress) else principal.user
        look_up = self._directory.by_email if email else self._directory.profile
        profile = await look_up(name, self._max_age_s)
        if profile is None or profile.deactivated:
            return frozenset(), f"{_called(profile, name)} has no active account in Slack any more."
        return frozenset({profile.person.user}), ""


def _called(profile: Profile | None, name: str) -> str:
    return name if "@" in name or profile is None or not profile.name else profile.name
