"""Taking a decision: the same path for Slack, REST, the dashboard and the command line.

Checked at once so that the person gets an answer, committed to the intake before anyone is told "recorded",
and raised. What is accepted here may still be refused there (law: the workflow is the only authority).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from activities.judging import Judge
from activities.recording import phase_of
from approvals.audit_actions import AuditAction
from approvals.checks import refusal_of
from approvals.decision import Decision, Judgement, Reason, Transport, Verdict
from approvals.people import Person
from approvals.request import Binding
from approvals.signing import KeyRing
from approvals.state import State, binding_of
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.decisions.answers import Answers
from bot.decisions.delivery import Deliverer
from bot.decisions.receipts import (
    OVER,
    QUICK_S,
    TAKEN,
    UNDECIDED_HERE,
    SubmissionReceipt,
    in_time,
    is_open,
    refuse,
    take_in,
)
from bot.decisions.state_cache import CachedState, StateCache
from bot.engine.traces import INSTANCE, known_of
from bot.process.background import Background
from bot.process.correlation import correlation_id
from bot.process.tracing import TRACING
from cards.text import clean
from records import audit, instances, intake
from records.database import Database
from records.plain import Transaction

log = structlog.get_logger(__name__)

DIGEST_NEEDED = (
    "{} is under a rule of high risk, so a decision on it has to say what was seen: send the `digest` that "
    "`countersign status` and GET /workflows/{{id}} show beside the request. Nothing was decided."
)


class DecisionSubmission(Value):
    """A submission. Its `id` makes it idempotent."""

    id: str
    instance_id: str
    binding: Binding | None = None
    person: Person
    approved: bool
    reason: str = ""
    through: Transport


class Decisions:
    """Takes decisions in."""

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

    async def take(self, wanted: DecisionSubmission) -> SubmissionReceipt:
        """Check a submission and take it in. A refusal is audited; nothing is raised for it.

        Raises: NotConfirmed after DEADLINE_S. The work goes on: what is written late counts once.
        """
        work = self._background.begin(self._take(wanted), f"take {wanted.id[:12]}")
        return await in_time(work)

    async def _take(self, wanted: DecisionSubmission) -> SubmissionReceipt:
        """Take it in, in a span that is linked to the asking: that may be days ago, and in another process."""
        if not TRACING.on:
            return await self._taken(wanted)
        known = await known_of(self._database, wanted.instance_id)
        about = {INSTANCE: wanted.instance_id, "countersign.decision_id": wanted.id}
        with TRACING.span("decide", key=wanted.id, links=(known.asked,), attributes=about):
            return await self._taken(wanted)

    async def _taken(self, wanted: DecisionSubmission) -> SubmissionReceipt:
        """Take it by the cached state; if that is stale, once more by the state that is read."""
        cached = self._states.of(wanted.instance_id)
        if cached is not None:
            try:
                return await self._submit(wanted, cached, cached=True)
            except intake.StaleError:
                self._states.forget(wanted.instance_id)
        row, first = await self._database.look(_found, wanted)
        if first is not None:
            return _again(first, wanted)
        known = _open(row)
        if known is None:
            return await self._refuse(wanted, None, OVER)
        return await self._submit(wanted, known)

    async def _submit(
        self, wanted: DecisionSubmission, known: CachedState, *, cached: bool = False
    ) -> SubmissionReceipt:
        """Check it against a state, and commit or refuse it.

        Optimistic: never refuse from the cache; the commit's transaction compares a cached state again.
        Raises: intake.StaleError, with nothing written.
        """
        decision = self._decision(wanted, known.binding)
        refusal = await self._refusal(decision, *known)
        if refusal is None:
            return await self._commit(wanted, decision, expected=known.state if cached else None)
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
        return await self._refusal(self._decision(wanted, binding), *known)

    def _decision(self, wanted: DecisionSubmission, ours: Binding) -> Decision:
        return Decision(
            id=wanted.id,
            binding=wanted.binding or ours,
            person=wanted.person,
            approved=wanted.approved,
            reason=clean(wanted.reason),  # one that cannot be seen is none, by whatever way it comes
            through=wanted.through,
            at=self._clock(),
            correlation_id=correlation_id(),
        )

    async def _refusal(self, decision: Decision, state: State, ours: Binding) -> Verdict | None:
        """Return why the decision cannot count, as far as that can be said at once.

        If Slack is slow to answer, the decision is still taken: the workflow's own check looks the person up.
        """
        try:
            async with asyncio.timeout(QUICK_S):
                judgement = await self._judge.decision(decision, state)
        except TimeoutError:
            judgement = Judgement(
                verdict=Verdict(allowed=True, reason=Reason.ALLOWED, rule="unchecked"), decision=decision
            )
        found = refusal_of(state, judgement, decision, self._clock(), ours)
        return None if found is None or found.reason in UNDECIDED_HERE else found

    async def _commit(
        self, wanted: DecisionSubmission, decision: Decision, *, expected: State | None = None
    ) -> SubmissionReceipt:
        """Make the decision durable together with its audit entry, then let it be raised.

        Raises: intake.StaleError, with nothing written, if the database has another state than the `expected` one.
        """
        signed = self._keys.sign(decision)
        payload = signed.model_dump(mode="json")
        submission = intake.Submission(
            id=decision.id,
            instance_id=decision.binding.instance_id,
            payload=payload,
            person=decision.person.key,
            through=decision.through,
        )
        now = self._clock()
        standing = None if expected is None else _standing_of(expected)
        entry = _entry(decision, AuditAction.DECISION_SUBMITTED, now)
        row, new = await self._database.transact(take_in, submission, entry, standing)
        if not new:
            return _again(row, wanted)
        self._deliverer.deliver(row)
        return SubmissionReceipt(decision_id=decision.id, verdict=TAKEN, taken=True)

    async def _refuse(self, wanted: DecisionSubmission, state: State | None, verdict: Verdict) -> SubmissionReceipt:
        now = self._clock()
        entry = audit.Entry(
            at=now,
            actor=wanted.person.key,
            action=AuditAction.DECISION_REFUSED,
            instance_id=wanted.instance_id,
            request_digest=binding_of(state).digest if state else "",
            through=wanted.through,
            verdict=verdict.reason.value,
            reason=wanted.reason,
            policy_version=state.route.policy_version if state else "",
            correlation_id=correlation_id(),
            data={"decision_id": wanted.id, "approved": wanted.approved, "rule": verdict.rule},
        )
        kept = intake.Submission(
            id=wanted.id, instance_id=wanted.instance_id, payload={}, person=wanted.person.key, through=wanted.through
        )
        before = await refuse(self._database, kept, verdict, entry, now)
        return (
            _again(before, wanted) if before else SubmissionReceipt(decision_id=wanted.id, verdict=verdict, taken=False)
        )

    async def answer(self, receipt: SubmissionReceipt, seconds: float) -> Verdict | None:
        """Wait for the workflow's answer; None when it has not answered in time."""
        return await self._answers.of(receipt.decision_id, seconds, look_first=receipt.repeated)

    def knows_card(self, instance_id: str, ts: str) -> bool:
        """Return whether the cached state has this card; a False says nothing."""
        known = self._states.of(instance_id)
        return known is not None and ts in {each.ts for each in known.state.cards}


OTHER_CONTENT = (
    "This decision_id was used before for another decision, so nothing was decided. Repeat an id only to repeat the "
    "same call; give every other decision an id of its own."
)


def _open(row: instances.Instance | None) -> CachedState | None:
    """Return where a request stands that may still be decided."""
    if row is None or row.state is None or not is_open(row):
        return None
    return CachedState(row.state, binding_of(row.state))


def _found(transaction: Transaction, wanted: DecisionSubmission) -> tuple[instances.Instance | None, intake.Row | None]:
    return instances.get.on(transaction, wanted.instance_id), intake.get.on(transaction, wanted.id)


def _standing_of(state: State) -> intake.RequestPosition:
    return intake.RequestPosition(phase_of(state), state.run, state.stage, state.round)


def _again(row: intake.Row, wanted: DecisionSubmission) -> SubmissionReceipt:
    """Return what became of the first submission. Raises: Refused CONFLICT if this one says something else.

    Of a first one that was refused only the request and the person are kept: nobody is told "accepted" for it.
    """
    said = row.payload.get("decision") or {"approved": wanted.approved, "reason": wanted.reason}
    if "submission" in row.payload:
        raise Refused(Kind.CONFLICT, OTHER_CONTENT)
    same = said["approved"] == wanted.approved and clean(said["reason"]) == clean(wanted.reason)
    if not same or (row.instance_id, row.person) != (wanted.instance_id, wanted.person.key):
        raise Refused(Kind.CONFLICT, OTHER_CONTENT)
    verdict = Verdict.model_validate(row.verdict) if row.verdict else TAKEN
    return SubmissionReceipt(decision_id=row.id, verdict=verdict, taken=True, repeated=True)


def _entry(decision: Decision, action: AuditAction, at: datetime) -> audit.Entry:
    data: dict[str, Any] = {"decision_id": decision.id, "approved": decision.approved, "nonce": decision.binding.nonce}
    return audit.Entry(
        at=at,
        actor=decision.person.key,
        action=action,
        instance_id=decision.binding.instance_id,
        request_digest=decision.binding.digest,
        through=decision.through,
        reason=decision.reason,
        correlation_id=decision.correlation_id,
        data=data,
    )
