"""Choose the rule of a policy for a request, and say why. Pure: the policy comes in as text or as a value.

No rule, no manager, nobody to ask is never a yes (law: fail closed).
"""

from decimal import Decimal

from approvals.canonical import decimal_text
from approvals.decision import Reason, Verdict
from approvals.durations import duration_text
from approvals.people import EmailAddress, Principal, UserGroup
from approvals.policy.condition import Condition
from approvals.policy.explanation import Explanation, NoRoute, RuleExplanation, SeatExplanation, StageExplanation
from approvals.policy.file import PolicyError, Problem
from approvals.policy.kinds import FieldsError, KindRule
from approvals.policy.model import Policy, Rule, StageRule
from approvals.policy.principals import Approver, ReportsTo, approver_text
from approvals.policy.reading import ANY
from approvals.policy.schema import parse_policy
from approvals.request import ApprovalRequest, Delegation, Escalation, Route, Seat, Stage

__all__ = [
    "Explanation",
    "NoRoute",
    "Policy",
    "PolicyError",
    "Problem",
    "explain",
    "parse_policy",
    "route",
]


def route(
    policy: Policy, request: ApprovalRequest, requester_emails: tuple[str, ...] = (), *, from_a_door: bool = True
) -> Route | NoRoute:
    """Return the route of the first rule that applies, or why there is none.

    `requester_emails` are the addresses known of the requester, if the request names a Slack user id. A request that
    came by none of our doors passes automatic rules over that do not say `trust: workflows`.
    """
    if wrong := _wrong_fields(policy, request):
        return wrong
    known = _known(request, requester_emails)
    fitting = [rule for rule in policy.rules if not _mismatch(policy, rule, request, known)]
    trusted = (rule for rule in fitting if from_a_door or not rule.automatic or rule.trust == "workflows")
    rule = next(trusted, None)
    if rule is None:
        return _untrusted(policy, fitting[0]) if fitting else _no_rule(policy, request)
    if rule.automatic:
        return _route(policy, rule, request, ())
    stages = tuple(_stage(policy, stage, known) for stage in rule.stages)
    if not all(stage.approvers and all(seat.any_of for seat in stage.seats) for stage in stages):
        return _nobody(policy, rule, request)
    return _route(policy, rule, request, stages)


def _wrong_fields(policy: Policy, request: ApprovalRequest) -> NoRoute | None:
    """Return a refusal of fields that the kind does not take: a workflow may have been started at none of our doors."""
    kind = policy.kinds.get(request.kind)
    if kind is None:
        return None
    try:
        kind.checked(request.fields, None)
    except FieldsError as error:
        return _no_route(policy, "", f"The request's fields are not what the kind {request.kind} wants. {error}")
    return None


def _untrusted(policy: Policy, rule: Rule) -> NoRoute:
    sentence = (
        f"Only the automatic rule “{rule.name}” applies, and it approves what was started at a door of this app. A "
        "workflow that anybody may start asks people, or its rule says `trust: workflows`."
    )
    verdict = Verdict(allowed=False, reason=Reason.NO_APPROVERS, rule=rule.name)
    return NoRoute(verdict=verdict, sentence=sentence, policy_version=policy.version)


def _known(request: ApprovalRequest, requester_emails: tuple[str, ...]) -> frozenset[str]:
    requester, submitter = request.requester.strip().casefold(), request.submitted_by.strip().casefold()
    known = {requester, *(email.strip().casefold() for email in requester_emails)}
    # A person who submits for another one brings neither their own manager nor the rules that are for them.
    return frozenset(known - {submitter} if "@" in requester and submitter != requester else known)


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:f} {currency}"


def _mismatch(policy: Policy, rule: Rule, request: ApprovalRequest, known: frozenset[str]) -> str:
    """Return why the rule does not apply, or nothing when it does."""
    when = rule.when
    if not {request.kind, ANY}.intersection(when.effective_kinds):
        return f"it is for {' or '.join(when.effective_kinds)}, and this is {request.kind}"
    money = _money_mismatch(policy, when, request)
    if money:
        return money
    if when.requesters and known.isdisjoint(name.casefold() for name in when.requesters):
        return f"it is for requests by {' or '.join(when.requesters)}, and this is by {request.requester}"
    for name, values in when.fields.items():
        found = request.fields.get(name, "")
        if found not in values:
            return f"it is for {name} {' or '.join(values)}, and this has {found or 'none'}"
    return ""


def _money_mismatch(policy: Policy, when: Condition, request: ApprovalRequest) -> str:
    if request.amount is None:
        asked = str(when.amount) if not when.amount.unbounded else " or ".join(set(when.currencies) - {ANY})
        return f"it is for amounts {asked}, and this has no amount" if asked else ""
    currencies = when.currencies or (policy.currency,)
    if ANY not in currencies and request.currency not in currencies:
        return f"it is for {' or '.join(currencies)}, and this is {request.currency}"
    if not when.amount.holds(request.amount):
        return f"it is for amounts {when.amount}, and this is {decimal_text(request.amount)}"
    return ""


def _match(rule: Rule, request: ApprovalRequest) -> str:
    about = "has no amount" if request.amount is None else f"is for {_money(request.amount, request.currency)}"
    return f"the {request.kind} {about}, and the rule takes {_condition_text(rule)}"


def _condition_text(rule: Rule) -> str:
    when = rule.when
    words = [str(when.amount) if when.amount.unbounded else f"amounts {when.amount}"]
    if when.currencies:
        words.append(f"in {' or '.join(when.currencies)}")
    if when.kinds:
        words.append("for any kind" if ANY in when.kinds else f"for {' or '.join(when.kinds)}")
    if when.requesters:
        words.append(f"by {' or '.join(when.requesters)}")
    words += [f"with {name} {' or '.join(values)}" for name, values in when.fields.items()]
    return ", ".join(words)


def _stage(policy: Policy, stage: StageRule, known: frozenset[str]) -> Stage:
    escalate = None
    if stage.escalate is not None:
        to = _resolved(policy, stage.escalate.to, known)
        escalate = Escalation(after=stage.escalate.after, to=to) if to else None
    seats = tuple(
        Seat(name=seat.name, any_of=_resolved(policy, seat.approvers, known), needed=seat.needed)
        for seat in stage.seats
    )
    return Stage(
        approvers=_resolved(policy, stage.everyone, known),
        needed=stage.yeses,
        within=stage.within,
        remind=stage.remind,
        escalate=escalate,
        seats=seats,
    )


def _resolved(policy: Policy, approvers: tuple[Approver, ...], known: frozenset[str]) -> tuple[Principal, ...]:
    resolved: list[Principal] = []
    for approver in approvers:
        match approver:
            case ReportsTo():
                # Leaving a manager out who is not known makes the list shorter, never longer.
                resolved += [EmailAddress(email=manager) for manager in _managers(policy, known)]
            case UserGroup():
                resolved.append(UserGroup(group=policy.groups.get(approver.group, approver.group)))
            case _:
                resolved.append(approver)
    return tuple(resolved)


def _managers(policy: Policy, known: frozenset[str]) -> list[str]:
    found = {policy.reports_to[name] for name in known if name in policy.reports_to}
    return sorted(manager for manager in found if manager not in known)


def _route(policy: Policy, rule: Rule, request: ApprovalRequest, stages: tuple[Stage, ...]) -> Route:
    kind = policy.kinds.get(request.kind, KindRule())
    return Route(
        rule=rule.name,
        why=f"The rule “{rule.name}” applies: {_match(rule, request)}.",
        policy_version=policy.version,
        automatic=rule.automatic,
        stages=stages,
        channel=rule.channel or policy.channel,
        risk=rule.risk,
        same_person_may_repeat=rule.same_person_may_repeat,
        delegations=tuple(
            Delegation(approver=each.approver, delegate=each.delegate, since=each.since, until=each.until)
            for each in policy.delegations
        ),
        title=kind.title,
        labels={each.name: each.label for each in kind.fields if each.label and each.name in request.fields},
        valid_for=rule.valid_for,
    )


def _no_rule(policy: Policy, request: ApprovalRequest) -> NoRoute:
    sentence = (
        f"No rule of the policy applies to {_with_article(request)}, so nobody may approve it. "
        "Ask the person who keeps the policy to add a rule, then start the request again."
    )
    return _no_route(policy, "", sentence)


def _with_article(request: ApprovalRequest) -> str:
    """Return `an order of 700 EUR`, `a deploy without an amount`."""
    article = "an" if request.kind[:1].lower() in set("aeiou") else "a"
    money = "without an amount" if request.amount is None else f"of {_money(request.amount, request.currency)}"
    return f"{article} {request.kind} {money}"


def _nobody(policy: Policy, rule: Rule, request: ApprovalRequest) -> NoRoute:
    uses_manager = any(isinstance(one, ReportsTo) for stage in rule.stages for one in stage.everyone)
    cause = f"the policy names no manager for {request.requester}" if uses_manager else "it names nobody"
    advice = "to add them to reports_to" if uses_manager else "to name approvers"
    sentence = (
        f"The rule “{rule.name}” applies, but {cause}, so nobody may approve the request. "
        f"Ask the person who keeps the policy {advice}, then start the request again."
    )
    return _no_route(policy, rule.name, sentence)


def _no_route(policy: Policy, rule: str, sentence: str) -> NoRoute:
    verdict = Verdict(allowed=False, reason=Reason.NO_APPROVERS, rule=rule)
    return NoRoute(verdict=verdict, sentence=sentence, policy_version=policy.version)


def explain(policy: Policy, request: ApprovalRequest, requester_emails: tuple[str, ...] = ()) -> Explanation:
    """Return rule by rule whether it matches and why, which one wins, and whom it would ask until when."""
    known = _known(request, requester_emails)
    reasons = [_mismatch(policy, rule, request, known) for rule in policy.rules]
    winner = next((rule for rule, why in zip(policy.rules, reasons, strict=True) if not why), None)
    rules = tuple(
        RuleExplanation(
            rule=rule.name,
            line=rule.line,
            matched=not why,
            wins=rule is winner,
            why=why or _matched_why(rule, winner, request),
        )
        for rule, why in zip(policy.rules, reasons, strict=True)
    )
    chosen = route(policy, request, requester_emails)
    return Explanation(
        rules=rules,
        winner=winner.name if winner else "",
        automatic=bool(winner and winner.automatic),
        sentence=chosen.sentence if isinstance(chosen, NoRoute) else chosen.why,
        stages=tuple(_stage_explanation(stage) for stage in winner.stages) if winner else (),
        route=chosen if isinstance(chosen, Route) else None,
    )


def _matched_why(rule: Rule, winner: Rule | None, request: ApprovalRequest) -> str:
    if winner is None or rule is winner:
        return _match(rule, request)
    return f"it would apply, but “{winner.name}” stands before it"


def _stage_explanation(stage: StageRule) -> StageExplanation:
    escalate = ""
    if stage.escalate is not None:
        people = ", ".join(map(approver_text, stage.escalate.to))
        escalate = f"after {duration_text(stage.escalate.after)} also {people}"
    seats = tuple(
        SeatExplanation(name=seat.name, needed=seat.needed, approvers=tuple(map(approver_text, seat.approvers)))
        for seat in stage.seats
    )
    return StageExplanation(
        approvers=tuple(map(approver_text, stage.everyone)),
        needed=stage.yeses,
        seats=seats,
        within=duration_text(stage.within),
        remind=tuple(f"after {duration_text(wait)}" for wait in stage.remind),
        escalate=escalate,
    )
