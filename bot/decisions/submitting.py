"""Taking a decision or a withdrawal: the same path for Slack, REST, the dashboard and the command line.

Checked at once so that the person gets an answer, committed to the intake before anyone is told "recorded",
and raised. What is accepted here may still be refused there (law: the workflow is the only authority).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from activities.judging import Judge
from activities.recording import phase_of
from approvals.checks import refusal_of
from approvals.decision import Decision, Judgement, Reason, Verdict, Withdrawal
from approvals.people import Person
from approvals.request import Binding
from approvals.signing import KeyRing
from approvals.state import State, binding_of
from bot.access.refusals import Kind, Refused
from bot.decisions.answers import Answers
from bot.decisions.delivery import Deliverer
from bot.decisions.state_cache import CachedState, StateCache
from bot.decisions.submissions import (
    OVER,
    QUICK_S,
    TAKEN,
    UNDECIDED_HERE,
    DecisionSubmission,
    SubmissionReceipt,
    Wanted,
    again,
    in_time,
    is_open,
    refuse,
    submission_of,
    take_in,
)
from bot.engine.traces import INSTANCE, known_of
from bot.process.background import Background
from bot.process.correlation import correlation_id
from bot.process.tracing import TRACING
from records import audit, instances, intake
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)

DIGEST_NEEDED = (
    "{} is under a rule of high risk, so a decision on it has to say what was seen: send the `digest` that "
    "`countersign status` and GET /workflows/{{id}} show beside the request. Nothing was decided."
)


class Decisions:
    """Takes decisions and withdrawals in."""

    def __init__(  # noqa: PLR0913 the parts it is made of
        self,
        *,
        database: Database,
        judge: Judge,
        keys: KeyRing,
        deliverer: Deliverer,
        answers: Answers,
        states: StateCache,
        background: Background,
        clock: Callable[[], datetime],
    ) -> None:
        self._background = background
        self._database = database
        self._judge = judge
        self._keys = keys
        self._deliverer = deliverer
        self._answers = answers
        self._states = states
        self._clock = clock

    async def bound(self, instance_id: str, digest: str | None) -> Binding:
        """Return what a decision is bound to: the card as it stands, with the digest that the caller saw.

        Raises: Refused NOT_FOUND, CONFLICT while nobody is asked yet, UNBOUND if a digest is needed.
        """
        row = await self._database.look(instances.get.on, instance_id)
        if row is None:
            raise Refused(
                Kind.NOT_FOUND, f"No request has started as {instance_id}. Look at the id, or start it first."
            )
        if row.state is None:
            raise Refused(
                Kind.CONFLICT,
                "It is starting and has not asked anybody yet. Try again in a moment.",
                retry_after=1,
            )
        binding = binding_of(row.state)
        if digest is None and row.state.route.risk == "high":
            raise Refused(Kind.UNBOUND, DIGEST_NEEDED.format(instance_id))
        return binding.model_copy(update={"digest": digest}) if digest else binding

    async def take(self, wanted: Wanted) -> SubmissionReceipt:
        """Check a submission and take it in. A refusal is audited; nothing is raised for it.

        Raises: NotConfirmed after DEADLINE_S, and then what is written late counts once; Refused CONFLICT for an id
        that was used for something else.
        """
        work = self._background.begin(self._take(wanted), f"take {wanted.id[:12]}")
        return await in_time(work)

    async def _take(self, wanted: Wanted) -> SubmissionReceipt:
        """Take it in, in a span that is linked to the asking: that may be days ago, and in another process."""
        if not TRACING.on:
            return await self._taken(wanted)
        known = await known_of(self._database, wanted.instance_id)
        about = {INSTANCE: wanted.instance_id, "countersign.decision_id": wanted.id}
        name = "decide" if isinstance(wanted, DecisionSubmission) else "withdraw"
        with TRACING.span(name, key=wanted.id, links=(known.asked,), attributes=about):
            return await self._taken(wanted)

    async def _taken(self, wanted: Wanted) -> SubmissionReceipt:
        """Take it by the cached state; if that is stale, once more by the state that is read."""
        cached = self._states.of(wanted.instance_id)
        if cached is not None:
            try:
                return await self._submit(wanted, cached, cached=True)
            except intake.StaleError:
                self._states.forget(wanted.instance_id)
        row, first = await self._database.look(_found, wanted)
        if first is not None:
            return again(first, wanted)
        known = _open(row)
        if known is None:
            return await self._refuse(wanted, None, OVER)
        return await self._submit(wanted, known)

    async def _submit(self, wanted: Wanted, known: CachedState, *, cached: bool = False) -> SubmissionReceipt:
        """Check it against a state, and commit or refuse it.

        Optimistic: never refuse from the cache; the commit's transaction compares a cached state again.
        Raises: intake.StaleError, with nothing written.
        """
        submitted = submission_of(wanted, known.binding, self._clock())
        refusal = await self._refusal(submitted, *known)
        if refusal is None:
            return await self._commit(wanted, submitted, expected=known.state if cached else None)
        if cached:
            raise intake.StaleError
        return await self._refuse(wanted, known.state, refusal)

    async def refusal(self, binding: Binding, person: Person) -> Verdict | None:
        """Say beforehand whether this person's decision on this card would be refused; nothing is recorded."""
        known = _open(await self._database.look(instances.get.on, binding.instance_id))
        if known is None:
            return OVER
        wanted = DecisionSubmission(
            id="", instance_id=binding.instance_id, binding=binding, person=person, approved=True, through="slack"
        )
        return await self._refusal(submission_of(wanted, binding, self._clock()), *known)

    async def _refusal(self, submitted: Decision | Withdrawal, state: State, ours: Binding) -> Verdict | None:
        """Return why it cannot count, as far as that can be said at once.

        If Slack is slow to answer, it is still taken: the workflow's own check looks the person up, and whose request
        it is can be unknown until then.
        """
        undecided = UNDECIDED_HERE
        try:
            async with asyncio.timeout(QUICK_S):
                judgement = await self._judge.at_the_door(submitted, state)
        except TimeoutError:
            unchecked = Verdict(allowed=True, reason=Reason.ALLOWED, rule="unchecked")
            judgement, undecided = Judgement(verdict=unchecked), UNDECIDED_HERE | {Reason.NOT_THE_REQUESTER}
        found = refusal_of(state, judgement, submitted, self._clock(), ours)
        return None if found is None or found.reason in undecided else found

    async def _commit(
        self, wanted: Wanted, submitted: Decision | Withdrawal, *, expected: State | None = None
    ) -> SubmissionReceipt:
        """Make it durable together with its audit entry, then let it be raised.

        Raises: intake.StaleError, with nothing written, if the database has another state than the `expected` one.
        """
        keys = self._keys
        signed = keys.sign(submitted) if isinstance(submitted, Decision) else keys.sign_submission(submitted)
        kept = _kept(wanted, signed.model_dump(mode="json"))
        entry = audit.Entry(
            at=self._clock(),
            actor=wanted.person.key,
            action=wanted.submitted,
            instance_id=submitted.binding.instance_id,
            request_digest=submitted.binding.digest,
            through=wanted.through,
            reason=submitted.reason,
            correlation_id=submitted.correlation_id,
            data=wanted.about | {"nonce": submitted.binding.nonce},
        )
        standing = None if expected is None else _standing_of(expected)
        row, new = await self._database.transact(take_in, kept, entry, standing)
        if not new:
            return again(row, wanted)
        self._deliverer.deliver(row)
        return SubmissionReceipt(decision_id=wanted.id, verdict=TAKEN, taken=True)

    async def _refuse(self, wanted: Wanted, state: State | None, verdict: Verdict) -> SubmissionReceipt:
        entry = audit.Entry(
            at=self._clock(),
            actor=wanted.person.key,
            action=wanted.refused,
            instance_id=wanted.instance_id,
            request_digest=binding_of(state).digest if state else "",
            through=wanted.through,
            verdict=verdict.reason.value,
            reason=wanted.reason,
            policy_version=state.route.policy_version if state else "",
            correlation_id=correlation_id(),
            data=wanted.about | {"rule": verdict.rule},
        )
        before = await refuse(self._database, _kept(wanted, {}), verdict, entry)
        if before is not None:
            return again(before, wanted)
        return SubmissionReceipt(decision_id=wanted.id, verdict=verdict, taken=False)

    async def answer(self, receipt: SubmissionReceipt, seconds: float) -> Verdict | None:
        """Wait for the workflow's answer; None when it has not answered in time."""
        return await self._answers.of(receipt.decision_id, seconds, look_first=receipt.repeated)

    def knows_card(self, instance_id: str, ts: str) -> bool:
        """Return whether the cached state has this card; a False says nothing."""
        known = self._states.of(instance_id)
        return known is not None and ts in {each.ts for each in known.state.cards}


def _open(row: instances.Instance | None) -> CachedState | None:
    if row is None or row.state is None or not is_open(row):
        return None
    return CachedState(row.state, binding_of(row.state))


def _found(transaction: Transaction, wanted: Wanted) -> tuple[instances.Instance | None, intake.Row | None]:
    return instances.get.on(transaction, wanted.instance_id), intake.get.on(transaction, wanted.id)


def _standing_of(state: State) -> intake.RequestPosition:
    return intake.RequestPosition(phase_of(state), state.run, state.stage, state.round)


def _kept(wanted: Wanted, payload: dict[str, object]) -> intake.Submission:
    return intake.Submission(
        id=wanted.id,
        instance_id=wanted.instance_id,
        payload=payload,
        person=wanted.person.key,
        through=wanted.through,
    )
