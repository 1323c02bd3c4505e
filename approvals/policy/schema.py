"""From a policy file's tree to its values: each key, its form and default. It reads no file and chooses no rule."""

from datetime import timedelta
from functools import partial
from typing import Literal, cast

from approvals.digest import version_of
from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from approvals.policy.condition import read_condition
from approvals.policy.file import Listing, Mapping, Node, PolicyError, Scalar, read_tree
from approvals.policy.model import (
    Approver,
    Condition,
    DelegationRule,
    EscalationRule,
    Policy,
    ReportsTo,
    Rule,
    StageRule,
)
from approvals.policy.reading import (
    ProblemFound,
    Reader,
    currency,
    duration,
    email,
    mapping,
    moment,
    text,
    user,
    user_or_email,
    whole_number,
    yes_or_no,
)

FORMAT = "1"
DEFAULT_WITHIN = timedelta(days=3)
MOST_RULES = 200
MOST_NEEDED = 20
ROLES = ("requester", "operator", "auditor", "admin")
TOP_KEYS = ("version", "channel", "currency", "groups", "reports_to", "roles", "delegations", "rules")
STAGE_KEYS = ("approve", "needed", "within", "remind", "escalate")
RULE_KEYS = ("name", "when", *STAGE_KEYS, "stages", "risk", "channel", "same_person_may_repeat")


def parse_policy(source: str, name: str = "policy.yml") -> Policy:
    """Return the policy. Raises PolicyError with line and reason of all that is wrong; `name` is for its text."""
    reader = Reader()
    policy = reader.attempt(lambda node: _policy(reader, mapping(node, what="a policy")), read_tree(source, name))
    if policy is None or reader.problems:
        raise PolicyError(name, tuple(reader.problems))
    return policy.model_copy(update={"version": version_of(policy)})


def _policy(reader: Reader, top: Mapping) -> Policy:
    reader.only(top, TOP_KEYS, where="a policy")
    reader.field(top, "version", _format)
    return Policy(
        channel=reader.field(top, "channel", lambda node: text(node, what="channel")) or "",
        currency=reader.field(top, "currency", currency) or "USD",
        groups=reader.field(top, "groups", lambda node: _groups(reader, node)) or {},
        reports_to=reader.field(top, "reports_to", lambda node: _reports_to(reader, node)) or {},
        roles=reader.field(top, "roles", lambda node: _roles(reader, node)) or {},
        delegations=reader.field(top, "delegations", lambda node: _delegations(reader, node)) or (),
        rules=_rules(reader, top),
    )


def _format(node: Node) -> None:
    if not isinstance(node, Scalar) or node.text != FORMAT:
        raise ProblemFound(node.line, f"version must be {FORMAT}: it names the form of this file")


def _group_name(node: Node) -> str:
    return text(node, what="a group's id or handle").lstrip("@")


def _groups(reader: Reader, node: Node) -> dict[str, str]:
    named = mapping(node, what="groups")
    return {key: reader.attempt(_group_name, value) or "" for key, value in named.entries.items()}


def _reports_to(reader: Reader, node: Node) -> dict[str, str]:
    people = mapping(node, what="reports_to")
    found: dict[str, str] = {}
    for key, value in people.entries.items():
        at = people.lines[key]
        requester = reader.attempt(email, Scalar(at, key, "str")) or ""
        if requester in found:
            reader.add(at, f"{requester} stands here twice: a requester has one manager")
        found[requester] = reader.attempt(email, value) or ""
    return found


def _roles(reader: Reader, node: Node) -> dict[str, tuple[Principal, ...]]:
    named = mapping(node, what="roles")
    reader.only(named, (*ROLES, "approver"), where="roles")
    if "approver" in named.entries:
        reader.add(named.lines["approver"], "who approves is said by each rule's `approve`, not by a role: remove it")
    return {
        key: cast(
            "tuple[Principal, ...]", reader.field(named, key, lambda value: _approvers(reader, value, "a role")) or ()
        )
        for key in named.entries
        if key in ROLES
    }


def _delegations(reader: Reader, node: Node) -> tuple[DelegationRule, ...]:
    def read(item: Node) -> DelegationRule:
        entry = mapping(item, what="a delegation")
        reader.only(entry, ("approver", "delegate", "since", "until"), where="a delegation")
        missing = [key for key in ("approver", "delegate", "since", "until") if key not in entry.entries]
        if missing:
            raise ProblemFound(entry.line, f"a delegation needs {', '.join(missing)}")
        return DelegationRule(
            approver=user_or_email(entry.entries["approver"]),
            delegate=user_or_email(entry.entries["delegate"]),
            since=moment(entry.entries["since"]),
            until=moment(entry.entries["until"], last=True),
            line=entry.line,
        )

    return reader.each(node, read, what="delegations")


def _rules(reader: Reader, top: Mapping) -> tuple[Rule, ...]:
    node = top.entries.get("rules")
    if not isinstance(node, Listing) or not node.items:
        raise ProblemFound(node.line if node else top.line, "a policy needs `rules`: a list with at least one rule")
    if len(node.items) > MOST_RULES:
        raise ProblemFound(node.line, f"there are more than {MOST_RULES} rules: nobody can oversee that")
    rules = [reader.attempt(partial(_rule, reader, number), item) for number, item in enumerate(node.items, start=1)]
    found = tuple(rule for rule in rules if rule is not None)
    first: dict[str, int] = {}
    for rule in found:
        if first.setdefault(rule.name, rule.line) != rule.line:
            reader.add(rule.line, f"the rule {rule.name!r} stands here twice, first in line {first[rule.name]}")
    return found


def _rule(reader: Reader, number: int, node: Node) -> Rule:
    entry = mapping(node, what="a rule")
    reader.only(entry, RULE_KEYS, where="a rule")
    automatic = _is_automatic(entry.entries.get("approve"))
    if automatic:
        _refuse_beside(reader, entry, ("needed", "within", "remind", "escalate", "stages"), "`approve: automatic`")
    return Rule(
        name=reader.field(entry, "name", lambda node: text(node, what="a rule's name")) or f"rule {number}",
        when=reader.field(entry, "when", lambda node: read_condition(reader, node)) or Condition(),
        automatic=automatic,
        stages=() if automatic else _stages(reader, entry),
        channel=reader.field(entry, "channel", lambda node: text(node, what="channel")),
        risk=reader.field(entry, "risk", _risk) or "normal",
        same_person_may_repeat=reader.field(entry, "same_person_may_repeat", _may_repeat) or False,
        line=entry.line,
    )


def _is_automatic(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.text.strip() == "automatic"


def _refuse_beside(reader: Reader, entry: Mapping, keys: tuple[str, ...], what: str) -> None:
    for key in keys:
        if key in entry.entries:
            reader.add(entry.lines[key], f"{key!r} can't stand beside {what}")


def _may_repeat(node: Node) -> bool:
    return yes_or_no(node, what="same_person_may_repeat")


def _risk(node: Node) -> Literal["normal", "high"]:
    found = text(node, what="risk")
    if found not in {"normal", "high"}:
        raise ProblemFound(node.line, f"risk is normal or high, not {found!r}")
    return cast('Literal["normal", "high"]', found)


def _stages(reader: Reader, entry: Mapping) -> tuple[StageRule, ...]:
    node = entry.entries.get("stages")
    if node is None:
        return (_stage(reader, entry),)
    _refuse_beside(reader, entry, STAGE_KEYS, "`stages`: each stage has its own")

    def read(item: Node) -> StageRule:
        stage = mapping(item, what="a stage")
        reader.only(stage, STAGE_KEYS, where="a stage")
        if _is_automatic(stage.entries.get("approve")):
            raise ProblemFound(stage.line, "a stage can't be automatic: leave it out")
        return _stage(reader, stage)

    stages = reader.each(node, read, what="stages")
    if not stages:
        raise ProblemFound(node.line, "stages needs at least one stage")
    return stages


def _stage(reader: Reader, entry: Mapping) -> StageRule:
    approve = entry.entries.get("approve")
    if approve is None:
        raise ProblemFound(entry.line, "`approve` is missing: say who must approve, or `approve: automatic`")
    return StageRule(
        approvers=_approvers(reader, approve, "approve", reports_to=True),
        needed=reader.field(entry, "needed", lambda n: whole_number(n, what="needed", largest=MOST_NEEDED)) or 1,
        within=reader.field(entry, "within", duration) or DEFAULT_WITHIN,
        remind=reader.field(entry, "remind", lambda node: _reminders(reader, node)) or (),
        escalate=reader.field(entry, "escalate", lambda node: _escalation(reader, node)),
        line=entry.line,
    )


def _reminders(reader: Reader, node: Node) -> tuple[timedelta, ...]:
    if isinstance(node, Scalar):
        return (duration(node),)
    return tuple(sorted(set(reader.each(node, duration, what="remind"))))


def _escalation(reader: Reader, node: Node) -> EscalationRule:
    entry = mapping(node, what="escalate")
    reader.only(entry, ("after", "to"), where="escalate")
    if not {"after", "to"} <= entry.entries.keys():
        raise ProblemFound(entry.line, "escalate needs `after` and `to`")
    to = _approvers(reader, entry.entries["to"], "to", reports_to=True)
    return EscalationRule(after=duration(entry.entries["after"]), to=to, line=entry.line)


def _approvers(reader: Reader, node: Node, what: str, *, reports_to: bool = False) -> tuple[Approver, ...]:
    def read(item: Node) -> Approver:
        return _approver(item, reports_to=reports_to)

    return reader.each(node, read, what=what) if isinstance(node, Listing) else (read(node),)


def _approver(node: Node, *, reports_to: bool) -> Approver:
    if isinstance(node, Scalar):
        if reports_to and node.text.strip() == "reports_to":
            return ReportsTo()
        raise ProblemFound(node.line, "name a person or group like `group: managers`, `user: U024BE7LH` or `email: …`")
    entry = mapping(node, what="a person or group")
    match list(entry.entries.items()):
        case [("group", value)]:
            return UserGroup(group=_group_name(value))
        case [("user", value)]:
            return SlackUser(user=user(value))
        case [("email", value)]:
            return EmailAddress(email=email(value))
        case _:
            raise ProblemFound(entry.line, "a person or group has exactly one key: group, user or email")
