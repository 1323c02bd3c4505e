"""Taking a decision or a withdrawal by REST: the same for an order and for a request of any other kind."""

import hashlib
import uuid
from typing import Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from approvals.decision import Verdict
from approvals.messages import message_for
from approvals.orders import name_of
from approvals.people import Person
from approvals.requesters import canonical
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused, refused
from bot.control.subjects import Subjects
from bot.decisions.submissions import DecisionSubmission, WithdrawalSubmission
from bot.decisions.submitting import Decisions

ANSWER_WITHIN = 5.0
"""Seconds a caller waits for the workflow's answer before 202."""


class DecisionBody(BaseModel):
    """A decision. `digest` binds it to the request that the caller saw; without it, to the request as it stands now.

    A rule of high risk demands the digest. `approver` may name the caller, and nobody else.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"approved": False, "reason": "Over budget"}]}
    )

    approved: bool = Field(strict=True)
    reason: str = Field("", max_length=1000, description="needed to reject")
    digest: str | None = Field(
        None, max_length=64, description="of the request that was seen; `GET /workflows/{id}` has it"
    )
    approver: str | None = Field(
        None, max_length=254, description="the caller's own e-mail or Slack user id, or nothing"
    )
    decision_id: str | None = Field(
        None, pattern="^[A-Za-z0-9_-]{8,64}$", description="repeat it to repeat the call safely"
    )


class DecisionAnswer(BaseModel):
    """The result of the decision. `outcome` is the workflow's answer; absent while it has not answered."""

    event: Literal["approval_decision"] = "approval_decision"
    sent: bool = True
    decision_id: str
    outcome: str | None = Field(None, examples=["accepted"])
    detail: str = ""


async def decide(  # noqa: PLR0913, PLR0917 the services that a decision passes
    access: Access,
    subjects: Subjects,
    decisions: Decisions,
    caller: Caller,
    instance_id: str,
    body: DecisionBody,
    response: Response,
) -> DecisionAnswer:
    """Submit the caller's decision and wait a little for the workflow's answer; 202 if there is none yet.

    Raises: Refused with the verdict, if the decision does not count; NOT_FOUND for one who may not see the request.
    """
    name = name_of(instance_id)
    try:
        person = await access.slack_person(caller)
        _demand_own_name(body.approver, caller, person)
        try:
            return await _decided(decisions, caller, person, instance_id, body, response)
        except Refused as refusal:
            if refusal.kind is not Kind.UNAVAILABLE:
                await subjects.demand_sight(caller, instance_id)
            raise
    except Refused as refusal:
        # A program decides many, and its log has only the message.
        refusal.message = refusal.message if name in refusal.message else f"{name}: {refusal.message}"
        raise


async def _decided(  # noqa: PLR0913, PLR0917 what a decision consists of
    decisions: Decisions,
    caller: Caller,
    person: Person,
    instance_id: str,
    body: DecisionBody,
    response: Response,
) -> DecisionAnswer:
    wanted = DecisionSubmission(
        id=f"{caller.own_ids}-{body.decision_id or uuid.uuid4().hex}",
        instance_id=instance_id,
        binding=await decisions.bound(instance_id, body.digest),
        person=person,
        approved=body.approved,
        reason=body.reason,
        through="rest",
    )
    receipt = await decisions.take(wanted)
    if not receipt.taken:
        raise refused(receipt.verdict)
    verdict = await decisions.answer(receipt, ANSWER_WITHIN)
    if verdict is None:
        response.status_code = 202
        return DecisionAnswer(decision_id=receipt.decision_id, detail="Recorded, and not yet decided by the workflow.")
    if not verdict.allowed:
        raise refused(verdict)
    return DecisionAnswer(decision_id=receipt.decision_id, outcome="accepted", detail=message_for(verdict.reason))


def _demand_own_name(approver: str | None, caller: Caller, person: Person) -> None:
    """Refuse a decision in the name of another (law: identity comes from signatures alone). Raises: NOT_ALLOWED."""
    if approver is None or canonical(approver) in {canonical(caller.email), person.user, person.key}:
        return
    raise Refused(
        Kind.NOT_ALLOWED,
        f"The decision names {approver[:80]!r} as its approver, and you call as {caller.email or person.user}. A "
        "decision is always the caller's own: leave `approver` out, or call with their own key. Nothing was decided.",
    )


async def withdraw(  # noqa: PLR0913, PLR0917 what a withdrawal is made of
    decisions: Decisions, caller: Caller, who: Person, instance_id: str, reason: str, idempotency_key: str | None
) -> bool:
    """Submit the caller's withdrawal and wait a little for the workflow's answer; False if there is none yet.

    Raises: Refused with the verdict, if it does not count.
    """
    own = uuid.uuid4().hex
    if idempotency_key:
        own = hashlib.sha256(f"{instance_id}\n{idempotency_key}".encode()).hexdigest()
    wanted = WithdrawalSubmission(
        id=f"withdraw-{caller.own_ids}-{own}", instance_id=instance_id, person=who, reason=reason, through="rest"
    )
    receipt = await decisions.take(wanted)
    if not receipt.taken:
        raise _refused_withdrawal(receipt.verdict, instance_id)
    verdict = await decisions.answer(receipt, ANSWER_WITHIN)
    if verdict is not None and not verdict.allowed:
        raise _refused_withdrawal(verdict, instance_id)
    return verdict is not None


def _refused_withdrawal(verdict: Verdict, instance_id: str) -> Refused:
    """Return the refusal in a withdrawal's words, with the request's name."""
    return refused(verdict, message=f"{name_of(instance_id)}: {message_for(verdict.reason, withdrawal=True)}")
