"""Find mistakes in a valid policy. An error keeps the app from starting; a warning does not.

Coverage is exact: every amount, currency, kind and requester that the rules can tell apart is tried.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Literal

from approvals.durations import duration_text
from approvals.people import EmailAddress, SlackUser, UserGroup
from approvals.policy.condition import AmountRange
from approvals.policy.coverage import Coverage
from approvals.policy.model import DelegationRule, EscalationRule, Policy, Rule, StageRule
from approvals.policy.principals import Approver, ReportsTo
from approvals.policy.reading import ANY
from approvals.request import Seat
from approvals.seats import filled, key_of
from approvals.values import Value

GROUP_ID = re.compile(r"S[A-Z0-9]{6,30}")


class LintFinding(Value):
    """One finding for the policy's author. Lines count from 1; 0 means the file as a whole."""

    severity: Literal["error", "warning", "info"]
    line: int
    sentence: str
    rule: str = ""


def lint(policy: Policy) -> tuple[LintFinding, ...]:
    """Return everything found, errors first and then by line."""
    found = [*_coverage(policy), *_overlaps(policy), *_currencies(policy), *_groups(policy), *_people(policy)]
    for rule in policy.rules:
        found += _rule(policy, rule)
    for delegation in policy.delegations:
        found += _delegation(delegation)
    order = ("error", "warning", "info")
    return tuple(sorted(found, key=lambda finding: (order.index(finding.severity), finding.line)))


def _coverage(policy: Policy) -> Iterator[LintFinding]:
    coverage = Coverage(policy)
    if coverage.too_large:
        yield LintFinding(
            severity="info",
            line=0,
            sentence="The rules tell too many cases apart to look for gaps; try `policy explain`.",
        )
        return
    for rule in coverage.unreachable:
        sentence = f"The rule “{rule.name}” never applies: the rules before it take everything it is for. Move it up."
        yield LintFinding(severity="warning", line=rule.line, sentence=sentence, rule=rule.name)
    for gap in coverage.gaps:
        yield LintFinding(
            severity="warning", line=0, sentence=f"No rule applies to {gap}: such requests can't start. Add a rule."
        )


def _overlaps(policy: Policy) -> Iterator[LintFinding]:
    """Name two rules for the same requests whose amounts overlap in part: the author rarely means the first to win."""
    for first, second in combinations(policy.rules, 2):
        if _about(first) != _about(second) or not _partly(first.when.amount, second.when.amount):
            continue
        sentence = (
            f"The rules “{first.name}” ({first.when.amount}) and “{second.name}” ({second.when.amount}) both take some "
            f"amounts: “{first.name}” wins there, for it stands first. Let one end where the other begins."
        )
        yield LintFinding(severity="warning", line=second.line, sentence=sentence, rule=second.name)


def _about(rule: Rule) -> tuple[object, ...]:
    when = rule.when
    return set(when.effective_kinds), set(when.currencies), set(when.requesters), when.fields


def _partly(one: AmountRange, other: AmountRange) -> bool:
    """Whether two ranges share amounts and each has some that the other has not."""
    points = {Decimal(0), *(end for each in (one, other) for end in (each.low, each.high) if end is not None)}
    tried = sorted({*points, *((low + high) / 2 for low, high in pairwise(sorted(points))), max(points) + 1})
    held = {(one.holds(amount), other.holds(amount)) for amount in tried}
    return {(True, True), (True, False), (False, True)} <= held


def _currencies(policy: Policy) -> Iterator[LintFinding]:
    named = {code for rule in policy.rules for code in rule.when.currencies}
    if ANY not in named:
        known = ", ".join(sorted(named | {policy.currency}))
        yield LintFinding(
            severity="info", line=0, sentence=f"Only requests in {known} can start: no rule is for others."
        )
    for rule in policy.rules:
        if len(rule.when.currencies) > 1 and not rule.when.amount.unbounded:
            sentence = (
                f"The rule “{rule.name}” has the same amounts for {', '.join(rule.when.currencies)}: they are compared "
                "as numbers, nothing is converted. Write one rule for each currency."
            )
            yield LintFinding(severity="warning", line=rule.line, sentence=sentence, rule=rule.name)


def _named_approvers(rule: Rule) -> Iterator[tuple[int, Approver]]:
    for stage in rule.stages:
        yield from ((stage.line, approver) for approver in stage.everyone)
        if stage.escalate is not None:
            yield from ((stage.escalate.line, approver) for approver in stage.escalate.to)


def _groups(policy: Policy) -> Iterator[LintFinding]:
    used = [(line, rule.name, one) for rule in policy.rules for line, one in _named_approvers(rule)]
    used += [(0, "", one) for principals in policy.roles.values() for one in principals]
    used += [(kind.line, "", one) for kind in policy.kinds.values() for one in kind.who]
    names = set()
    for line, rule, one in used:
        if isinstance(one, UserGroup):
            names.add(one.group)
            if one.group not in policy.groups and not GROUP_ID.fullmatch(one.group):
                sentence = f"The group {one.group!r} is not in `groups`: name its Slack handle or id there."
                yield LintFinding(severity="error", line=line, sentence=sentence, rule=rule)
    for name in sorted(policy.groups.keys() - names):
        yield LintFinding(severity="info", line=0, sentence=f"The group {name!r} is named, but nothing uses it.")


def _people(policy: Policy) -> Iterator[LintFinding]:
    for requester, manager in policy.reports_to.items():
        if requester == manager:
            sentence = (
                f"{requester} reports to themselves, and nobody decides on their own request. Name another manager."
            )
            yield LintFinding(severity="error", line=0, sentence=sentence)
    if not policy.roles.get("operator"):
        sentence = "No `operator` in `roles`: nobody may pause, resume, terminate or purge."
        yield LintFinding(severity="warning", line=0, sentence=sentence)


def _rule(policy: Policy, rule: Rule) -> Iterator[LintFinding]:
    if rule.automatic and (not rule.when.kinds or ANY in rule.when.kinds):
        sentence = (
            f"The rule “{rule.name}” approves without asking, so it must name the kinds it is for: "
            "write `kind: order` under its `when`."
        )
        yield LintFinding(severity="error", line=rule.line, sentence=sentence, rule=rule.name)
    if rule.automatic and rule.when.amount.high is None:
        sentence = f"The rule “{rule.name}” approves any amount by itself. Give it an upper bound."
        yield LintFinding(severity="warning", line=rule.line, sentence=sentence, rule=rule.name)
    if any(isinstance(one, ReportsTo) for _, one in _named_approvers(rule)):
        yield from _managers(policy, rule)
    for stage in rule.stages:
        yield from (finding.model_copy(update={"rule": rule.name}) for finding in _stage(rule, stage))


def _managers(policy: Policy, rule: Rule) -> Iterator[LintFinding]:
    if not policy.reports_to:
        sentence = f"The rule “{rule.name}” asks the requester's manager, and `reports_to` is empty. Fill it."
        yield LintFinding(severity="error", line=rule.line, sentence=sentence, rule=rule.name)
        return
    allowed = (one.email for one in policy.roles.get("requester", ()) if isinstance(one, EmailAddress))
    emails = (name for name in rule.when.requesters if "@" in name)
    for name in sorted({*allowed, *emails} - policy.reports_to.keys()):
        sentence = f"The rule “{rule.name}” asks the manager of {name}, who has none in `reports_to`. Add one."
        yield LintFinding(severity="warning", line=rule.line, sentence=sentence, rule=rule.name)


def _stage(rule: Rule, stage: StageRule) -> Iterator[LintFinding]:
    if not stage.everyone or not all(seat.approvers for seat in stage.seats):
        sentence = f"The rule “{rule.name}” names no approvers: every request under it would be rejected."
        yield LintFinding(severity="error", line=stage.line, sentence=sentence)
    elif all(isinstance(one, SlackUser | EmailAddress) for one in stage.everyone):
        yield from _needed(rule, stage)
    for wait in stage.remind:
        if wait >= stage.within:
            sentence = (
                f"The rule “{rule.name}” reminds after {duration_text(wait)}, and its deadline is after "
                f"{duration_text(stage.within)}: nobody will be reminded. Remind earlier."
            )
            yield LintFinding(severity="warning", line=stage.line, sentence=sentence)
    if stage.escalate is not None:
        yield from _escalation(rule, stage, stage.escalate)


def _needed(rule: Rule, stage: StageRule) -> Iterator[LintFinding]:
    """See that the people named are too few for a stage, or for its seats: each person fills one."""
    people = stage.everyone
    seats = [Seat(name=each.name, any_of=_named(each.approvers), needed=each.needed) for each in stage.seats]
    possible = filled(seats, [(key_of(one),) for one in _named(people)]) if seats else len(people)
    if stage.yeses > possible and stage.escalate is None:
        sentence = f"The rule “{rule.name}” needs {stage.yeses} approvals and names fewer people: it can only time out."
        yield LintFinding(severity="error", line=stage.line, sentence=sentence)


def _named(approvers: tuple[Approver, ...]) -> tuple[SlackUser | EmailAddress, ...]:
    return tuple(one for one in approvers if isinstance(one, SlackUser | EmailAddress))


def _escalation(rule: Rule, stage: StageRule, escalation: EscalationRule) -> Iterator[LintFinding]:
    if not escalation.to:
        sentence = f"The rule “{rule.name}” escalates to nobody. Name somebody, or take `escalate` out."
        yield LintFinding(severity="error", line=escalation.line, sentence=sentence)
    if escalation.after >= stage.within:
        sentence = (
            f"The rule “{rule.name}” escalates after {duration_text(escalation.after)}, and its deadline is after "
            f"{duration_text(stage.within)}: it never will. Escalate earlier."
        )
        yield LintFinding(severity="warning", line=escalation.line, sentence=sentence)


def _delegation(delegation: DelegationRule) -> Iterator[LintFinding]:
    if delegation.until <= delegation.since:
        sentence = f"The delegation by {delegation.approver} ends before it begins. Swap its dates."
        yield LintFinding(severity="error", line=delegation.line, sentence=sentence)
    if delegation.approver == delegation.delegate:
        sentence = f"The delegation by {delegation.approver} is to themselves: it changes nothing."
        yield LintFinding(severity="warning", line=delegation.line, sentence=sentence)
