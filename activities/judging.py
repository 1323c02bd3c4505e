"""Judging a decision against what only the outside knows: is it signed, who is this, which groups are they in now.

One judge for the early check, before the intake, and for the workflow's own check. A lookup that fails means no
(law: fail closed).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from activities import turns
from activities.slack.directory import MAX_AGE, Directory
from activities.slack.failures import LookupFailedError
from approvals import judgement
from approvals.decision import Decision, Judgement, Reason, Submission, Submitted, Verdict
from approvals.evidence import SealedJudgement, seal_judgement
from approvals.judgement import Failure, Home, Membership, Payload, PlainRaise, asked_of, read_payload
from approvals.mailbox import plain
from approvals.people import EmailAddress, Person, Principal, Profile, UserGroup
from approvals.request import Route
from approvals.signing import KeyRing
from approvals.state import State, approvers_of, binding_of

log = structlog.get_logger(__name__)

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the attempts of a lookup; after the last one it counts as a no."""

MOST_OF_A_CROWD = 4
CROWD_S = 0.5
"""Lookups under way, and seconds that a click waits for its own, for people whose id alone says that they may not
decide. Slack is called for fewer of them than a method has places (SLACK_CALLS_AT_ONCE): a true approver gets one."""

NOW = 0.0
"""Seconds that a lookup may be old if the rule says `risk: high`."""


class Events(NamedTuple):
    """The events of one turn: those with our signature by the decision's id, and the count of the others by reason."""

    trusted: dict[str, Payload]
    dropped: Counter[Reason]


Judgements = tuple[tuple[SealedJudgement, ...], Counter[Reason]]


class Judge:
    """Looks up the facts of a judgement. `accept_unsigned` is the tutorials' mode: off by default, loudly logged."""

    def __init__(
        self, directory: Directory, keys: KeyRing, clock: Callable[[], datetime], *, accept_unsigned: bool = False
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._accept_unsigned = accept_unsigned
        self._crowd: set[asyncio.Task[Profile | Failure]] = set()

    def read(self, candidates: Sequence[str], state: State) -> Events:
        """Read the texts of `approval_decision` events."""
        plain_raise = PlainRaise(binding=binding_of(state), at=self._clock()) if self._accept_unsigned else None
        payloads = [read_payload(plain(text), self._keys, plain_raise) for text in candidates]
        dropped = Counter(payload.refused for payload in payloads if payload.refused is not None)
        submitted = [(each.submitted, each) for each in payloads if each.refused is None]
        trusted = {what.id: each for what, each in submitted if what is not None}
        return Events(trusted, dropped)

    async def events(self, events: Events, state: State, answered: Collection[str]) -> Judgements:
        """Judge events, but those that were answered before; returns also why others are dropped, with their count."""
        fresh = [payload for key, payload in events.trusted.items() if key not in answered]
        judged = await asyncio.gather(*(self._with_patience(each, state) for each in fresh))
        return tuple(seal_judgement(self._keys, each, state, self._clock()) for each in judged), events.dropped

    async def _with_patience(self, read: Payload, state: State) -> Judgement:
        if read.unsigned:
            log.warning("an unsigned decision is taken: accept_unsigned_decisions is on", instance_id=state.instance_id)
            home = judgement.DirectoryFacts(home=Home(team=""))
            return judgement.judge(read, asked_of(state), "unknown", home, self._clock())
        for pause in PAUSES:
            found = await self._judged(read, state)
            if found.verdict.reason is not Reason.LOOKUP_FAILED:
                return found
            async with turns.outside():
                await asyncio.sleep(pause)  # Slack may be back in a moment, and a person's decision hangs on it
        return await self._judged(read, state)

    async def at_the_door(self, submitted: Decision | Submission, state: State) -> Judgement:
        """Judge what was submitted, whose origin is proven."""
        decision = isinstance(submitted, Decision)
        payload = Payload(decision=submitted) if decision else Payload(submission=submitted)
        return await self._judged(payload, state)

    async def standing(self, person: Person, state: State) -> judgement.Standing:
        """Return whether a person may decide a request, for a list. Raises: LookupFailedError.

        Lookups may be MAX_AGE old whatever the risk: a decision is judged again when it comes.
        """
        profile, directory = await self._profile(person, MAX_AGE), await self._looked_up(state, MAX_AGE)
        return judgement.may_decide(person, profile, asked_of(state), directory, self._clock())

    async def _judged(self, payload: Payload, state: State) -> Judgement:
        decision = payload.submitted
        if decision is None:
            return Judgement(verdict=Verdict(allowed=False, reason=Reason.MALFORMED, rule="signature"))
        age = NOW if state.route.risk == "high" else MAX_AGE
        at = self._clock()
        profile: Profile | Failure
        try:
            directory = await self._looked_up(state, age)
            profile = await self._profile_for(decision, state, directory, age)
        except LookupFailedError:
            # Without our own team nobody's can be compared: that is a failed lookup, and no verdict on the person.
            profile, directory = "failed", judgement.DirectoryFacts(home=Home(team=""))
        evidence = {
            "checked_at": at.isoformat(),
            "key_id": payload.key_id,
            "profile": profile if isinstance(profile, str) else profile.person.key,
            "groups": {
                name: found if isinstance(found, str) else decision.person.user in found
                for name, found in directory.memberships.items()
            },
        }
        return judgement.judge(payload, asked_of(state), profile, directory, at, evidence)

    async def _profile_for(
        self, submitted: Submitted, state: State, directory: judgement.DirectoryFacts, age: float
    ) -> Profile | Failure:
        """Return the profile. For a person who may not decide by their id alone it only finds the reason's words.

        So it is waited for shortly and a few at a time: a crowd must not keep a true approver's lookup waiting.
        """
        person = submitted.person
        if person.team == judgement.PROGRAM:
            return "unknown"
        if not isinstance(submitted, Decision) or not judgement.is_no_approver(
            person, asked_of(state), directory, self._clock()
        ):
            return await self._profile(person, age)
        if len(self._crowd) >= MOST_OF_A_CROWD:
            return "failed"
        looking = asyncio.create_task(self._profile(person, age))
        self._crowd.add(looking)
        looking.add_done_callback(self._crowd.discard)  # one that nobody waits for still takes a place at Slack
        done, _ = await asyncio.wait({looking}, timeout=CROWD_S)
        return looking.result() if done else "failed"

    async def _profile(self, person: Person, age: float) -> Profile | Failure:
        try:
            return await self._directory.profile(person.user, age) or "unknown"
        except LookupFailedError:
            return "failed"

    async def _looked_up(self, state: State, age: float) -> judgement.DirectoryFacts:
        groups = {one.group for one in _principals(state) if isinstance(one, UserGroup)}
        team = await self._directory.team()
        home = Home(team=team.get("team_id") or "", enterprise=team.get("enterprise_id") or None)
        return judgement.DirectoryFacts(
            home=home,
            memberships={group: await self._members(group, age) for group in groups},
            approvers=await self._asked_by_email(state) | await self._delegating(state.route, age),
        )

    async def _members(self, group: str, age: float) -> Membership:
        try:
            found = await self._directory.members(group, age)
        except LookupFailedError:
            return "failed"
        return "unknown" if found is None else found

    async def _asked_by_email(self, state: State) -> dict[str, Profile | Failure]:
        """Return whose the e-mails are that are asked, if Slack says so soon: it tells a crowd from an approver."""
        emails = {one.email for one in _principals(state) if isinstance(one, EmailAddress)}
        try:
            async with asyncio.timeout(CROWD_S):
                return {email: await self._directory.by_email(email) or "unknown" for email in emails}
        except (TimeoutError, LookupFailedError):
            return {}

    async def _delegating(self, route: Route, age: float) -> dict[str, Profile | Failure]:
        found: dict[str, Profile | Failure] = {}
        for name in {each.approver for each in route.delegations}:
            try:
                found[name] = await self._directory.find(name, age) or "unknown"
            except LookupFailedError:
                found[name] = "failed"
        return found


def _principals(state: State) -> tuple[Principal, ...]:
    if state.stage >= len(state.route.stages):
        return ()
    return approvers_of(state.route.stages[state.stage], state.round)
