"""Who may do what: the whole matrix against an expectation written out by hand, and roles from the policy."""

from itertools import combinations, product
from typing import Any

import pytest

from approvals.authority import TABLE, Action, Actor, Resource, Role, authorize, roles_of
from approvals.decision import Reason
from approvals.messages import message_for
from approvals.people import Person, Profile
from approvals.policy.routing import parse_policy

STATUSES = (None, "PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "FAILED", "TERMINATED", "STALLED")
CHANNELS = ("slack", "rest", "dashboard", "cli")
RELATIONS = tuple({"own": own, "asked": asked} for own, asked in product((False, True), repeat=2))

# Written from the words of the product and not from the table: one line for each action, role by role,
# r(equester) a(pprover) o(perator) u(auditor) m (admin); "r:own" only on their own requests.
EXPECTED = """
start_order     r o p          rest dashboard cli        any
ask_for_others  r o f          rest dashboard cli        any
start_workflow  o              rest dashboard cli        any
decide          a:asked        slack rest dashboard      pending running suspended stalled
see_request     r:own p:own a:mine o u m  slack rest dashboard cli  any
list            r:own p:own a:mine o u m  slack rest dashboard cli  any
see_history     r:own p:own a:mine o u    slack rest dashboard cli  any
see_payloads    r:own p:own a:mine o u    rest dashboard cli   any
see_diagnosis   r:own p:own a:mine o u    slack rest dashboard cli  any
see_statistics  o u m          slack rest dashboard cli  any
pause           o              slack rest dashboard cli  running
resume          o              slack rest dashboard cli  suspended
terminate       o              slack rest dashboard cli  pending running suspended
purge           o              slack rest dashboard cli  completed failed terminated
rerun           o              rest dashboard cli        completed failed terminated
raise_event     o              rest dashboard cli        pending running suspended stalled
note            o              slack rest dashboard cli  pending running suspended completed failed terminated stalled
bulk            o              slack rest dashboard cli  any
audit_read      u              rest dashboard cli        any
audit_verify    u m            rest dashboard cli        any
policy_read     o u m          rest dashboard cli        any
keys_manage     m              rest cli                  any
doctor          o              rest cli                  any
consume         r:own p:own o  rest dashboard cli        any
webhooks        r:own p:own o  rest dashboard cli        any
"""
LETTERS = {
    "r": Role.REQUESTER,
    "a": Role.APPROVER,
    "o": Role.OPERATOR,
    "u": Role.AUDITOR,
    "m": Role.ADMIN,
    "p": Role.ASKER,
    "f": Role.FOR_OTHERS,
}
ROWS = {line.split()[0]: line.split()[1:] for line in EXPECTED.strip().splitlines()}


def expected(action: str, roles: frozenset[Role], channel: str, status: str | None, relation: dict[str, bool]) -> bool:
    own, asked = relation["own"], relation["asked"]
    words = ROWS[action]
    if channel not in words:
        return False
    named = {word.upper() for word in words} & {name for name in STATUSES if name}
    if named and status not in named:
        return False
    if action == "decide" and own:
        return False
    relations = {"": True, "own": own, "asked": asked, "mine": own or asked}
    grants = (word.partition(":") for word in words if word[0] in LETTERS and word[1:2] in {"", ":"})
    return any(LETTERS[letter] in roles and relations[relation] for letter, _, relation in grants)


def test_every_action_is_in_the_table_and_in_the_expectation() -> None:
    assert set(TABLE) == set(Action)
    assert set(ROWS) == {action.value for action in Action}


def test_the_whole_matrix_grants_exactly_what_is_expected() -> None:
    sets = [frozenset(some) for size in range(len(Role) + 1) for some in combinations(Role, size)]
    over, under, checked = [], [], 0
    resources = [
        (status, relation, Resource(status=status, **relation)) for status in STATUSES for relation in RELATIONS
    ]
    for roles, channel in product(sets, CHANNELS):
        actor = Actor(roles=roles, through=channel)
        for action, (status, relation, resource) in product(Action, resources):
            allowed = authorize(actor, action, resource).allowed
            should = expected(action.value, roles, channel, status, relation)
            if allowed is not should:
                (over if allowed else under).append((sorted(roles), action.value, status, channel, relation))
            checked += 1
    assert checked == 2 ** len(Role) * 4 * len(Action) * len(STATUSES) * 4
    assert over == []
    assert under == []


def test_nobody_without_a_role_may_do_anything() -> None:
    for channel, action, status in product(CHANNELS, Action, STATUSES):
        everything = Resource(status=status, own=True, asked=True)
        assert not authorize(Actor(through=channel), action, everything).allowed


def test_a_keys_scopes_only_ever_take_away() -> None:
    resource = Resource(status="RUNNING", own=True, asked=True)
    for action, scope in product(Action, Action):
        actor = Actor(roles=frozenset(Role), through="rest")
        scoped = actor.model_copy(update={"scopes": frozenset({scope})})
        wanted = authorize(actor, action, resource).allowed and action is scope
        assert authorize(scoped, action, resource).allowed is wanted


REFUSALS = [
    (
        "one's own request",
        Action.DECIDE,
        {"roles": {"approver"}},
        {"status": "RUNNING", "own": True, "asked": True},
        Reason.OWN_REQUEST,
    ),
    (
        "a request that is over",
        Action.DECIDE,
        {"roles": {"approver"}},
        {"status": "COMPLETED", "asked": True},
        Reason.REQUEST_OVER,
    ),
    ("pausing twice", Action.PAUSE, {"roles": {"operator"}}, {"status": "SUSPENDED"}, Reason.NOT_IN_THIS_STATUS),
    ("resuming what runs", Action.RESUME, {"roles": {"operator"}}, {"status": "RUNNING"}, Reason.NOT_IN_THIS_STATUS),
    ("purging what runs", Action.PURGE, {"roles": {"operator"}}, {"status": "RUNNING"}, Reason.NOT_IN_THIS_STATUS),
    (
        "an auditor who terminates",
        Action.TERMINATE,
        {"roles": {"auditor"}},
        {"status": "RUNNING"},
        Reason.NOT_PERMITTED,
    ),
]


@pytest.mark.parametrize(("description", "action", "who", "what", "reason"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_a_refusal_says_why(description: str, action: Any, who: Any, what: Any, reason: Any) -> None:
    verdict = authorize(Actor(through="slack", **who), action, Resource(**what))
    assert (verdict.allowed, verdict.reason) == (False, reason), description
    assert message_for(verdict.reason)


POLICY = parse_policy("""
groups: {operators: "@ops", auditors: S0AUDITORS}
roles:
  operator: [{group: operators}, {user: U0OPERATOR}]
  auditor: {group: auditors}
  admin: {email: Admin@example.com}
  requester: {group: operators}
rules: [{approve: {user: U0OPERATOR}}]
""")
NAMED = [
    ("a member of a group by its handle", "U1", None, {"ops": {"U1"}}, {"requester", "operator", "approver"}),
    ("a member of a group by its id", "U1", None, {"S0AUDITORS": {"U1"}}, {"approver", "auditor"}),
    ("by user id", "U0OPERATOR", None, {}, {"approver", "operator"}),
    ("by e-mail in another case", "U1", "ADMIN@example.com", {}, {"approver", "admin"}),
    ("in a group that could not be asked", "U1", None, {"ops": "failed", "S0AUDITORS": "unknown"}, {"approver"}),
    ("by nothing", "U1", None, {}, {"approver"}),
]


@pytest.mark.parametrize(("description", "user", "email", "members", "roles"), NAMED, ids=[row[0] for row in NAMED])
def test_roles_come_from_the_policy(description: str, user: Any, email: Any, members: Any, roles: Any) -> None:
    profile = Profile(person=Person(team="T1", user=user), email=email)
    assert roles_of(POLICY, profile, members) == {Role(role) for role in roles}, description


def test_a_policy_without_roles_makes_everybody_a_requester_and_an_approver_and_nothing_more() -> None:
    policy = parse_policy("rules: [{approve: {user: U01}}]")
    profile = Profile(person=Person(team="T1", user="U01"))
    assert roles_of(policy, profile, {}) == {Role.REQUESTER, Role.APPROVER}
