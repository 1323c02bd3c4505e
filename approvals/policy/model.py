"""The content of a policy file, each key declared once: its field, type, default and meaning.

docs/reference/policy.md is made from these classes. Choosing a rule is `routing`'s work. `line` is where something
stands in the file; it is no part of the content, so the version does not depend on it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from approvals.policy.condition import Condition
from approvals.policy.file import Listing, Mapping, Node, Scalar
from approvals.policy.kinds import KindRule, kinds_of
from approvals.policy.principals import ONE_OR_MORE, Approver, Approvers, NamedPrincipal, group_handle
from approvals.policy.reading import (
    Currency,
    Duration,
    PolicyEntry,
    Problems,
    UserOrEmail,
    email,
    from_node,
    listed,
    mapping,
    moment,
    problems_of,
    refuse_unknown,
    text,
    text_of,
    whole_number,
    yes_or_no,
)
from approvals.policy.workloads import WorkloadRule
from approvals.request import Delegation
from approvals.values import absent

ROLES = ("requester", "operator", "auditor", "admin")
MOST_RULES = 200
MOST_NEEDED = 20
MOST_IN_A_QUOTA = 100_000
AUTOMATIC = "automatic"


# ---- rules ----------------------------------------------------------------------------------------------------------


class EscalationRule(PolicyEntry):
    """After this time these people may decide as well."""

    what: ClassVar[str] = "escalate"

    after: Duration = Field(description="how long after the stage was asked", examples=["1 day"])
    to: Annotated[tuple[Approver, ...], listed("to", or_one=ONE_OR_MORE)] = Field(
        description="people and groups, written as in `approve`", examples=[{"group": "vps"}]
    )


class SeatRule(PolicyEntry):
    """A kind of yes that a stage needs, before it is resolved for one request."""

    what: ClassVar[str] = "a seat"

    name: Annotated[str, text_of("a seat's name")] = Field(description="what people call it", examples=["finance"])
    approvers: Approvers = Field(
        validation_alias="approve",
        description="who may fill it: people and groups, written as in a stage's `approve`",
        examples=[[{"group": "finance"}, {"email": "cfo@example.com"}]],
    )
    needed: Annotated[int, whole_number("needed", MOST_NEEDED)] = Field(
        default=1, description="how many different people must say yes for it", examples=[2]
    )


class StageRule(PolicyEntry):
    """One stage of a rule, before it is resolved for one request."""

    what: ClassVar[str] = "a stage"

    approvers: Approvers = Field(
        default=(),
        validation_alias="approve",
        description="who may say yes: `group:`, `user:`, `email:` or `reports_to`, one or a list",
        examples=[{"group": "managers"}, [{"email": "cfo@example.com"}, "reports_to"]],
    )
    seats: Annotated[tuple[SeatRule, ...], listed("seats", empty="seats needs at least one seat")] = Field(
        default=(),
        exclude_if=absent,
        description="in place of `approve` and `needed`: a yes of each kind, at once; a person fills one seat",
        examples=[[{"name": "legal", "approve": {"group": "legal"}}]],
    )
    needed: Annotated[int, whole_number("needed", MOST_NEEDED)] = Field(
        default=1, description="how many different people must say yes, from 1 to 20", examples=[2]
    )
    within: Duration = Field(
        default=timedelta(days=3),
        description="how long people have, from the moment the stage is asked; then nobody has answered",
        examples=["5 days"],
    )
    remind: Annotated[tuple[Duration, ...], listed("remind", or_one=(Scalar,))] = Field(
        default=(), description="when those who have not answered are reminded, one or a list", examples=[["1 day"]]
    )
    escalate: EscalationRule | None = Field(
        default=None,
        description="whom to ask as well if nobody has decided by then",
        examples=[{"after": "1 day", "to": {"group": "vps"}}],
    )

    @classmethod
    def prepared(cls, entry: Mapping, problems: Problems) -> Mapping:
        """Refuse a value that is no stage."""
        approve = entry.entries.get("approve")
        if "seats" in entry.entries:
            others = [key for key in ("approve", "needed") if key in entry.entries]
            _refuse_beside(entry, others, "`seats`: each seat has its own", problems)
            return Mapping(entry.line, _without(entry, others), entry.lines)
        if approve is None:
            raise ValueError("`approve` is missing: say who must approve, or `approve: automatic`")
        if _is_automatic(approve):
            raise ValueError("a stage can't be automatic: leave it out")
        return entry

    @property
    def everyone(self) -> tuple[Approver, ...]:
        """All who may say yes, whichever seat it is for."""
        return tuple(dict.fromkeys((*self.approvers, *(one for seat in self.seats for one in seat.approvers))))

    @property
    def yeses(self) -> int:
        """How many different people must say yes, for all seats together if there are any."""
        return sum(seat.needed for seat in self.seats) or self.needed

    @field_validator("seats")
    @classmethod
    def _few(cls, seats: tuple[SeatRule, ...]) -> tuple[SeatRule, ...]:
        names = [seat.name.casefold() for seat in seats]
        if len(set(names)) < len(names):
            raise ValueError("two seats have the same name: give each its own, or one `needed: 2`")
        if sum(seat.needed for seat in seats) > MOST_NEEDED:
            raise ValueError(f"the seats need more than {MOST_NEEDED} people together")
        return seats

    @field_validator("remind")
    @classmethod
    def _in_order(cls, remind: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        return tuple(sorted(set(remind)))


def _without(entry: Mapping, keys: Sequence[str]) -> dict[str, Node]:
    return {key: node for key, node in entry.entries.items() if key not in keys}


def _is_automatic(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.text.strip() == AUTOMATIC


def _risk(node: Node) -> str:
    found = text(node, what="risk")
    if found not in {"normal", "high"}:
        raise ValueError(f"risk is normal or high, not {found!r}")
    return found


def _trust(node: Node) -> str:
    found = text(node, what="trust")
    if found not in {"doors", "workflows"}:
        raise ValueError(f"trust is doors or workflows, not {found!r}")
    return found


class Rule(PolicyEntry):
    """One rule: when it applies, and who must say yes. `automatic` has no stages.

    A rule of one stage has the stage's keys itself; `approve: automatic` stands for no stage at all.
    """

    what: ClassVar[str] = "a rule"

    name: Annotated[str, text_of("a rule's name")] = Field(
        description="what people and the audit call it; without one, `rule` and its number", examples=["small refunds"]
    )
    when: Condition = Field(
        default=Condition(), description="when it applies; without it, to every order", examples=[{"kind": "refund"}]
    )
    automatic: Annotated[bool, from_node(_is_automatic)] = Field(default=False, validation_alias=AUTOMATIC)
    stages: Annotated[tuple[StageRule, ...], listed("stages", empty="stages needs at least one stage")] = Field(
        default=(),
        description="several stages, asked one after the other, each with the keys of a stage",
        examples=[[{"approve": {"group": "managers"}}, {"approve": {"group": "vps"}}]],
    )
    channel: Annotated[str, text_of("channel")] | None = Field(
        default=None, description="where its cards are posted; without it, the policy's channel", examples=["deploys"]
    )
    risk: Annotated[Literal["normal", "high"], from_node(_risk)] = Field(
        default="normal",
        description="with `high`, group membership is looked up fresh at every decision",
        examples=["high"],
    )
    same_person_may_repeat: Annotated[bool, from_node(lambda node: yes_or_no(node, what="same_person_may_repeat"))] = (
        Field(default=False, description="whether one person may count in more than one stage", examples=[True])
    )
    valid_for: Duration | None = Field(
        default=None,
        exclude_if=absent,
        description="how long an approval may be used after it was given; without it, for ever",
        examples=["1 day"],
    )
    trust: Annotated[Literal["doors", "workflows"], from_node(_trust)] = Field(
        default="doors",
        description="with `workflows`, an automatic rule approves what any workflow at the sidecar's port asks, too",
        examples=["workflows"],
    )

    @classmethod
    def spelled(cls) -> tuple[str, ...]:
        """Return a rule's keys with those of a single stage, which it may have itself."""
        return tuple(key for key in (*cls.keys(), *StageRule.keys()) if key != AUTOMATIC)

    @classmethod
    def prepared(cls, entry: Mapping, problems: Problems) -> Mapping:
        """Put the keys of a single stage where `stages` has them."""
        of_a_stage = StageRule.keys()
        approve = entry.entries.get("approve")
        rest = {key: value for key, value in entry.entries.items() if key not in of_a_stage}
        lines = {AUTOMATIC: entry.line} | entry.lines
        if AUTOMATIC in rest:
            problems.add(entry.lines[AUTOMATIC], "a rule has no 'automatic'; write `approve: automatic`")
            del rest[AUTOMATIC]
        if _is_automatic(approve):
            others = [key for key in (*of_a_stage, "stages") if key != "approve"]
            _refuse_beside(entry, others, "`approve: automatic`", problems)
            rest.pop("stages", None)
            return Mapping(entry.line, rest | {AUTOMATIC: approve} if approve else rest, lines)
        if "stages" in rest:
            _refuse_beside(entry, list(of_a_stage), "`stages`: each stage has its own", problems)
            return Mapping(entry.line, rest, lines)
        stage = {key: value for key, value in entry.entries.items() if key in of_a_stage}
        only = Listing(entry.line, (Mapping(entry.line, stage, entry.lines),))
        return Mapping(entry.line, rest | {"stages": only}, lines)


def _refuse_beside(entry: Mapping, keys: Sequence[str], what: str, problems: Problems) -> None:
    for key in keys:
        if key in entry.entries:
            problems.add(entry.lines[key], f"{key!r} can't stand beside {what}")


class DelegationRule(PolicyEntry, Delegation):
    """One person decides in an approver's place for a time."""

    what: ClassVar[str] = "a delegation"

    approver: UserOrEmail = Field(description="whose place it is: an e-mail or a Slack user id")
    delegate: UserOrEmail = Field(description="who decides in it: an e-mail or a Slack user id")
    since: Annotated[datetime, from_node(moment)] = Field(description="from this day (UTC) on", examples=["2026-08-03"])
    until: Annotated[datetime, from_node(lambda node: moment(node, last=True))] = Field(
        description="to the end of this day (UTC)", examples=["2026-08-14"]
    )


class Quota(PolicyEntry):
    """How many requests in which time."""

    what: ClassVar[str] = "a quota"

    at_most: Annotated[int, whole_number("at_most", MOST_IN_A_QUOTA)] = Field(
        description=f"how many requests, from 1 to {MOST_IN_A_QUOTA:,}", examples=[200]
    )
    within: Duration = Field(description="in which time, counted back from each start", examples=["1 hour"])


class Quotas(PolicyEntry):
    """Limits on starts. Every door refuses a start above one, with the time to wait."""

    what: ClassVar[str] = "quotas"

    per_key: Quota | None = Field(
        default=None,
        description="requests that one API key, or one person without a key, may start",
        examples=[{"at_most": 200, "within": "1 hour"}],
    )
    per_approver: Quota | None = Field(
        default=None,
        description="requests that may be asked of one approver: a group, a user or an e-mail of the rules",
        examples=[{"at_most": 100, "within": "1 day"}],
    )


# ---- the file -------------------------------------------------------------------------------------------------------


def _version(node: Node) -> str:
    if not isinstance(node, Scalar) or node.text != "1":
        raise ValueError("version must be 1: it names the form of this file")
    return node.text


def _groups(node: Node) -> dict[str, Node]:
    return mapping(node, what="groups").entries


def _reports_to(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, Scalar | Listing | Mapping):
        return value
    people = mapping(value, what="reports_to")
    found: dict[str, Node] = {}
    for key, manager in people.entries.items():
        at = people.lines[key]
        try:
            requester = email(Scalar(at, key, "str"))
        except ValueError as error:
            problems_of(info).add(at, str(error))
            continue
        if requester in found:
            problems_of(info).add(at, f"{requester} stands here twice: a requester has one manager")
        found[requester] = manager
    return found


def _roles(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, Scalar | Listing | Mapping):
        return value
    named = mapping(value, what="roles")
    refuse_unknown(named, (*ROLES, "approver"), problems_of(info), where="roles")
    if "approver" in named.entries:
        reason = "who approves is said by each rule's `approve`, not by a role: remove it"
        problems_of(info).add(named.lines["approver"], reason)
    return {key: node for key, node in named.entries.items() if key in ROLES}


def _rules(node: Node) -> tuple[Node, ...]:
    if not isinstance(node, Listing) or not node.items:
        raise ValueError("a policy needs `rules`: a list with at least one rule")
    if len(node.items) > MOST_RULES:
        raise ValueError(f"there are more than {MOST_RULES} rules: too many to oversee")
    return tuple(_named(number, item) for number, item in enumerate(node.items, start=1))


def _named(number: int, node: Node) -> Node:
    if not isinstance(node, Mapping) or "name" in node.entries:
        return node
    return Mapping(node.line, {"name": Scalar(node.line, f"rule {number}", "str")} | node.entries, node.lines)


def _kinds(value: Any, info: ValidationInfo) -> Any:
    return kinds_of(value, problems_of(info)) if isinstance(value, Scalar | Listing | Mapping) else value


Names = Annotated[tuple[Annotated[str, text_of("a name")], ...], listed("the names")]


class Policy(PolicyEntry):
    """A policy file.

    `version` is the SHA-256 of its canonical content, 12 hex digits: comments and layout don't change it.
    """

    what: ClassVar[str] = "a policy"

    version: Annotated[str, from_node(_version)] = Field(
        default="", description="the form of this file: 1", examples=[1]
    )
    channel: Annotated[str, text_of("channel")] = Field(
        default="", description="where cards are posted, by name or id; a rule may name another", examples=["approvals"]
    )
    currency: Currency = Field(
        default="USD", description="the currency of amounts in rules that name none, ISO 4217", examples=["EUR"]
    )
    groups: Annotated[dict[str, Annotated[str, from_node(group_handle)]], from_node(_groups)] = Field(
        default_factory=dict,
        description="names used in this file, each with its Slack user group: a handle or an id",
        examples=[{"managers": "managers"}],
    )
    reports_to: Annotated[dict[str, Annotated[str, from_node(email)]], BeforeValidator(_reports_to)] = Field(
        default_factory=dict,
        description="a requester's manager, by e-mail, for rules that say `approve: reports_to`",
        examples=[{"requester@example.com": "manager@example.com"}],
    )
    roles: Annotated[
        dict[str, Annotated[tuple[NamedPrincipal, ...], listed("a role", or_one=ONE_OR_MORE)]], BeforeValidator(_roles)
    ] = Field(
        default_factory=dict,
        description=f"who may manage: {', '.join(ROLES)}; people and groups, one or a list each",
        examples=[{"operator": {"group": "operators"}}],
    )
    delegations: Annotated[tuple[DelegationRule, ...], listed("delegations")] = Field(
        default=(),
        description="who decides in whose place, from when to when",
        examples=[
            [
                {
                    "approver": "manager@example.com",
                    "delegate": "deputy@example.com",
                    "since": "2026-08-03",
                    "until": "2026-08-14",
                }
            ]
        ],
    )
    operators_channel: Annotated[str, text_of("operators_channel")] = Field(
        default="",
        description="where operators are told what needs them; without it, each operator is told directly",
        examples=["countersign-alarms"],
    )
    quotas: Quotas | None = Field(
        default=None,
        description="how many requests may be started by one key, and asked of one approver; without it, any number",
        examples=[{"per_key": {"at_most": 200, "within": "1 hour"}}],
    )
    services: Names = Field(
        default=(),
        description="programs that may be a request's requester though they are nobody in Slack",
        examples=[["ci", "invoices@example.com"]],
    )
    agents: Names = Field(
        default=(),
        description="software agents that may be a request's requester",
        examples=[["purchasing-agent"]],
    )
    workloads: Annotated[tuple[WorkloadRule, ...], listed("workloads")] = Field(
        default=(),
        exclude_if=absent,
        description="programs that prove themselves by a token of their platform, such as jobs of GitHub Actions",
        examples=[
            [
                {
                    "name": "shop-ci",
                    "issuer": "https://token.actions.githubusercontent.com",
                    "claims": {"repository": "acme/shop"},
                    "may_ask": "deploy",
                }
            ]
        ],
    )
    kinds: Annotated[dict[str, KindRule], BeforeValidator(_kinds)] = Field(
        default_factory=dict,
        exclude_if=absent,
        description="kinds of request with typed fields, by name; another kind needs a rule and takes any fields",
        examples=[{"access": {"title": "Access to a system"}}],
    )
    rules: Annotated[tuple[Rule, ...], from_node(_rules)] = Field(
        default=(), description="read from the top; the first that applies wins"
    )

    @field_validator("workloads")
    @classmethod
    def _distinct(cls, workloads: tuple[WorkloadRule, ...]) -> tuple[WorkloadRule, ...]:
        names = [each.name.casefold() for each in workloads]
        if twice := next((each.name for each in workloads if names.count(each.name.casefold()) > 1), None):
            raise ValueError(f"two workloads are called {twice!r}: each needs a name of its own")
        return workloads

    @property
    def programs(self) -> tuple[str, ...]:
        """The names that may be a requester's though nobody in Slack has them."""
        return (*self.services, *self.agents, *(each.name for each in self.workloads))

    @classmethod
    def prepared(cls, entry: Mapping, problems: Problems) -> Mapping:
        """Demand rules: an empty list of them would refuse every request without a word at the start."""
        if "rules" not in entry.entries:
            problems.add(entry.line, "a policy needs `rules`: a list with at least one rule")
        return entry
