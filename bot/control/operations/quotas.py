"""How much may be asked: of one key, and of one approver. The policy says it; every door counts by it at a start."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.policies import PolicyFile
from activities.recording import named
from approvals.durations import duration_text
from approvals.policy.model import Quota
from approvals.policy.routing import NoRoute, Policy, PolicyError, route
from approvals.request import ApprovalRequest
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from records import quotas


class Bound(Value):
    """One quota that a start takes from. `whose` is for people."""

    subject: str
    whose: str
    quota: Quota


class QuotaGuard:
    """Refuses a start that is too much. A policy without `quotas` bounds nothing."""

    def __init__(self, policies: PolicyFile) -> None:
        self._policies = policies

    async def of(self, request: ApprovalRequest, actor: str) -> tuple[Bound, ...]:
        """Return the quotas that a start takes from; none if the policy cannot be used, for then nobody is asked."""
        try:
            return tuple(_bounds(await self._policies.current(), request, actor))
        except PolicyError:
            return ()

    async def take(
        self, connection: AsyncConnection, bounds: tuple[Bound, ...], instance_id: str, now: datetime
    ) -> None:
        """Count a start. Needs `Database.write`. Raises: Refused RATE_LIMITED, and the transaction counts nothing."""
        await quotas.hold(connection, {each.subject for each in bounds})
        for each in bounds:
            until = await quotas.full_until(connection, each.subject, each.quota.at_most, now)
            if until is not None:
                raise _refused(each, until - now)
            await quotas.take(connection, each.subject, instance_id, now, each.quota.within)


def _bounds(policy: Policy, request: ApprovalRequest, actor: str) -> Iterator[Bound]:
    if policy.quotas is None:
        return
    if policy.quotas.per_key is not None:
        yield Bound(subject=f"caller/{actor}", whose="Your key", quota=policy.quotas.per_key)
    found = route(policy, request)
    if policy.quotas.per_approver is None or isinstance(found, NoRoute):
        return
    people = {named(approver): None for stage in found.stages for approver in stage.approvers}
    for approver in people:
        whose = f"An approver of this request ({approver.partition(':')[2]})"
        yield Bound(subject=f"approver/{approver}", whose=whose, quota=policy.quotas.per_approver)


def _refused(bound: Bound, wait: timedelta) -> Refused:
    seconds = max(1.0, wait.total_seconds())
    quota = bound.quota
    verb = "may start" if bound.subject.startswith("caller/") else "may be asked for"
    many = f"{quota.at_most} request{'s' * (quota.at_most != 1)} in {duration_text(quota.within)}"
    later = duration_text(timedelta(seconds=round(seconds)))
    return Refused(
        Kind.RATE_LIMITED,
        f"{bound.whose} {verb} {many}, and has had them (`quotas` in the policy). Nothing was started. Try again in "
        f"{later}, or ask an operator for a larger quota.",
        retry_after=seconds,
    )
