"""Taking a withdrawal by REST."""

import hashlib
import uuid

from approvals.decision import Verdict
from approvals.messages import message_for
from approvals.orders import name_of
from approvals.people import Person
from bot.access.authenticating import Caller
from bot.access.refusals import Refused, refused
from bot.decisions.withdrawing import Withdrawals, WithdrawalSubmission

ANSWER_WITHIN = 5.0
"""Seconds a caller waits for the workflow's answer before 202."""


async def withdraw(  # noqa: PLR0913, PLR0917 what a withdrawal is made of
    withdrawals: Withdrawals, caller: Caller, who: Person, instance_id: str, reason: str, idempotency_key: str | None
) -> bool:
    """Submit the caller's withdrawal and wait a little for the workflow's answer; False if there is none yet.

    Raises: Refused with the verdict, if it does not count.
    """
    own = uuid.uuid4().hex
    if idempotency_key:
        own = hashlib.sha256(f"{instance_id}\n{idempotency_key}".encode()).hexdigest()
    wanted = WithdrawalSubmission(
        id=f"withdraw-{caller.key_id}-{own}", instance_id=instance_id, person=who, reason=reason, through="rest"
    )
    receipt = await withdrawals.take(wanted)
    if not receipt.taken:
        raise _refused(receipt.verdict, instance_id)
    verdict = await withdrawals.answer(receipt, ANSWER_WITHIN)
    if verdict is not None and not verdict.allowed:
        raise _refused(verdict, instance_id)
    return verdict is not None


def _refused(verdict: Verdict, instance_id: str) -> Refused:
    """Return the refusal in a withdrawal's words, with the request's name."""
    return refused(verdict, message=f"{name_of(instance_id)}: {message_for(verdict.reason, withdrawal=True)}")
