"""/policy : the rules as a table, and a form that says which one would win, why, and who would be asked until when."""

from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from activities.policies import PolicyFile
from approvals.authority import Action
from approvals.durations import duration_text
from approvals.mistakes import clause, first_mistake
from approvals.policy.model import Rule, StageRule
from approvals.policy.principals import Approver, approver_text
from approvals.policy.routing import Explanation, Policy, PolicyError, explain
from approvals.request import ApprovalRequest
from approvals.values import Value
from bot.access.authenticating import Access
from bot.dashboard.page_renderer import PageRenderer


class RuleLine(Value):
    """One rule in words."""

    name: str
    line: int
    when: tuple[str, ...]
    who: tuple[str, ...]
    within: tuple[str, ...]
    reminders: str
    risk: str


class PolicyPage:
    """The page of the policy."""

    def __init__(self, renderer: PageRenderer, access: Access, policies: PolicyFile) -> None:
        self._pages = renderer
        self._access = access
        self._policies = policies

    def register(self, router: APIRouter) -> None:
        """Add the page."""
        router.get("/policy")(self.show)

    async def show(self, request: Request) -> Response:
        """Show the rules, and their result for a request that is tried."""
        signed_in = await self._pages.enter(request)
        await self._access.demand(signed_in.caller, Action.POLICY_READ)
        fields = ("amount", "currency", "requester", "kind")
        given = {name: request.query_params.get(name, "").strip()[:254] for name in fields}
        policy: Policy | None = None
        broken, mistake = "", ""
        explanation: Explanation | None = None
        try:
            policy = await self._policies.current()
        except PolicyError as error:
            broken = str(error)
        if policy is not None and (given["amount"] or given["kind"]):
            tried = _request(given, policy, signed_in.caller.email)
            mistake = tried if isinstance(tried, str) else ""
            explanation = None if isinstance(tried, str) else explain(policy, tried)
        return self._pages.show(
            request,
            signed_in,
            "policy.html",
            status=422 if mistake else 200,
            policy=policy,
            rules=[_line(rule, policy) for rule in policy.rules] if policy else [],
            file=self._policies.path.name,
            changed_at=self._policies.changed_at,
            given=given,
            broken=broken,
            mistake=mistake,
            explanation=explanation,
            deadlines=_deadlines(explanation, self._pages.clock()),
            approver=approver_text,
        )


def _request(given: dict[str, str], policy: Policy, email: str) -> ApprovalRequest | str:
    try:
        return ApprovalRequest(
            kind=given["kind"] or "order",
            subject="a try",
            amount=given["amount"].replace(",", "") or None,
            currency=(given["currency"] or policy.currency).upper() if given["amount"] else "",
            requester=given["requester"] or email or "somebody@example.com",
        )
    except ValidationError as error:
        first = first_mistake(error)
        return f"“{first['loc'][0]}” is not usable: {clause(first)}."


def _line(rule: Rule, policy: Policy) -> RuleLine:
    when = rule.when
    conditions = [f"kind {' or '.join(when.effective_kinds)}", str(when.amount)]
    conditions += [" or ".join(when.currencies or (policy.currency,))]
    conditions += [f"asked by {' or '.join(when.requesters)}"] if when.requesters else []
    return RuleLine(
        name=rule.name,
        line=rule.line,
        when=tuple(conditions),
        who=tuple(_who(stage) for stage in rule.stages) or ("nobody: it is automatic",),
        within=tuple(duration_text(stage.within) for stage in rule.stages),
        reminders="; ".join(_reminders(stage) for stage in rule.stages if stage.remind),
        risk=rule.risk,
    )


def _who(stage: StageRule) -> str:
    several = " and ".join(_several(seat.needed, seat.approvers, f"{seat.name}: ") for seat in stage.seats)
    several = several or _several(stage.needed, stage.approvers)
    if stage.escalate is None:
        return several
    more = " or ".join(map(approver_text, stage.escalate.to))
    return f"{several}; after {duration_text(stage.escalate.after)} also {more}"


def _several(needed: int, approvers: tuple[Approver, ...], name: str = "") -> str:
    people = " or ".join(map(approver_text, approvers))
    return f"{name}{needed} of {people}" if needed > 1 else f"{name}{people}"


def _reminders(stage: StageRule) -> str:
    return ", ".join(f"after {duration_text(each)}" for each in stage.remind)


def _deadlines(explanation: Explanation | None, now: datetime) -> tuple[datetime, ...]:
    """Return until when each stage would wait, if each were asked at the end of the one before."""
    found: list[datetime] = []
    moment = now
    for stage in explanation.route.stages if explanation and explanation.route else ():
        moment += stage.within
        found.append(moment)
    return tuple(found)
