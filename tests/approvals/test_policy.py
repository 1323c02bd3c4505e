"""Which rule applies, and what the shipped policy and other rule files say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from approvals.decision import Reason
from approvals.digest import content_digest
from approvals.machine import Started, start, step
from approvals.people import EmailAddress, SlackUser, UserGroup
from approvals.policy.condition import AmountRange
from approvals.policy.lint import lint
from approvals.policy.routing import NoRoute, explain, parse_policy, route
from approvals.request import ApprovalRequest, Escalation, Route, content_fields
from tests.approvals.story import Story

SHIPPED = parse_policy((Path(__file__).parents[2] / "policy.yml").read_text())
AUTOMATIC, MANAGER, VP = (rule.name for rule in SHIPPED.rules)
SINGLE = """
groups: {managers: managers}
rules:
  - when: {amount: {below: 1000}}
    approve: automatic
  - approve: [{group: managers}]
"""
MANAGED = """
reports_to: {Ann@example.com: boss@example.com, self@example.com: self@example.com}
rules:
  - approve: reports_to
    escalate: {after: 1 day, to: reports_to}
"""


def chosen(policy: Any, request: Any, emails: Any = ()) -> Any:
    found = route(policy, request, emails)
    return found.rule if isinstance(found, Route) else None


AMOUNTS = [
    ("nothing at all", "0", "USD", AUTOMATIC),
    ("just under the first bound", "499.9999", "USD", AUTOMATIC),
    ("exactly the first bound", "500", "USD", MANAGER),
    ("the same with zeros", "500.0000", "USD", MANAGER),
    ("between", "2400", "USD", MANAGER),
    ("exactly the second bound", "5000", "USD", MANAGER),
    ("just over it", "5000.0001", "USD", VP),
    ("absurd", "1000000000000000", "USD", VP),
    ("a small amount in another currency", "1", "EUR", None),
    ("a large amount in another currency", "9000", "JPY", None),
]


@pytest.mark.parametrize(("description", "amount", "currency", "rule"), AMOUNTS, ids=[row[0] for row in AMOUNTS])
def test_the_shipped_policy_by_amount(story: Story, description: str, amount: Any, currency: Any, rule: Any) -> None:
    assert chosen(SHIPPED, story.request(amount=amount, currency=currency)) == rule, description


def test_the_shipped_policy_has_the_deadlines_groups_and_reminders_it_promises(story: Story) -> None:
    manager, vp = (route(SHIPPED, story.request(amount=amount)) for amount in (2400, 9000))
    assert [stage.approvers for stage in manager.stages] == [(UserGroup(group="managers"),)]
    assert manager.stages[0].within == timedelta(days=3)
    assert manager.stages[0].remind == (timedelta(days=1), timedelta(days=2))
    assert [stage.approvers for stage in vp.stages] == [(UserGroup(group="vps"),)]
    assert (vp.stages[0].within, vp.risk) == (timedelta(days=5), "high")
    assert manager.channel == "approvals"


def test_lint_finds_nothing_wrong_with_the_shipped_policy() -> None:
    assert [finding.sentence for finding in lint(SHIPPED) if finding.severity != "info"] == []


@pytest.mark.parametrize(("amount", "rule"), [("999.99", "rule 1"), ("1000", "rule 2"), ("5001", "rule 2")])
def test_a_minimal_policy_with_a_single_threshold_works(story: Story, amount: Any, rule: Any) -> None:
    policy = parse_policy(SINGLE)
    assert chosen(policy, story.request(amount=amount)) == rule
    assert policy.rules[1].stages[0].within == timedelta(days=3)


def test_a_request_no_rule_takes_has_a_sentence_and_is_rejected_by_the_machine(story: Story) -> None:
    found = route(SHIPPED, story.request(currency="EUR"))
    assert isinstance(found, NoRoute)
    assert found.verdict.reason is Reason.NO_APPROVERS
    assert "No rule of the policy applies to an order of 2400 EUR" in found.sentence
    state, _ = step(start("i", story.request(), found.closed, story.now), Started(at=story.now))
    assert state.outcome.reason == "no_approvers"


MANAGERS = [
    ("an entry in another case", "ann@EXAMPLE.com", (), "boss@example.com"),
    ("a user id with a known address", "U071", ("Ann@example.com",), "boss@example.com"),
    ("nobody's entry", "eve@example.com", (), None),
    ("their own manager", "self@example.com", (), None),
]


@pytest.mark.parametrize(("description", "requester", "emails", "manager"), MANAGERS, ids=[row[0] for row in MANAGERS])
def test_reports_to_finds_the_requesters_manager_or_nobody(
    story: Story, description: str, requester: Any, emails: Any, manager: Any
) -> None:
    found = route(parse_policy(MANAGED), story.request(requester=requester), emails)
    if manager is None:
        assert found.verdict.reason is Reason.NO_APPROVERS, description
        assert f"names no manager for {requester}" in found.sentence
    else:
        stage = found.stages[0]
        assert stage.approvers == (EmailAddress(email=manager),), description
        assert stage.escalate == Escalation(after=timedelta(days=1), to=(EmailAddress(email=manager),))


def test_whoever_submits_for_somebody_else_does_not_bring_their_own_manager(story: Story) -> None:
    request = story.request(requester="eve@example.com", submitted_by="Ann@example.com")
    assert isinstance(route(parse_policy(MANAGED), request, ("ann@example.com", "eve@example.com")), NoRoute)
    own = story.request(requester="ann@example.com", submitted_by="Ann@example.com")
    assert isinstance(route(parse_policy(MANAGED), own, ("ann@example.com",)), Route)


def test_a_manager_who_is_not_known_only_makes_the_list_shorter(story: Story) -> None:
    policy = parse_policy("""
groups: {heads: "@heads-of"}
rules:
  - approve: [reports_to, group: heads, user: U024BE7LH, email: Vp@Example.com]
    escalate: {after: 1 day, to: reports_to}
""")
    found = route(policy, story.request()).stages[0]
    expected = (UserGroup(group="heads-of"), SlackUser(user="U024BE7LH"), EmailAddress(email="vp@example.com"))
    assert (found.approvers, found.escalate) == (expected, None)


def test_an_empty_list_of_approvers_leads_to_nobody(story: Story) -> None:
    found = route(parse_policy("rules: [{approve: []}]"), story.request())
    assert "it names nobody" in found.sentence


WHENS = [
    ("its kind", "{kind: order}", True),
    ("another kind", "{kind: [leave, trip]}", False),
    ("its currency", "{currency: [EUR, USD]}", True),
    ("another currency", "{currency: EUR}", False),
    ("any currency", "{currency: any}", True),
    ("its requester", "{requester: [REQ@example.com]}", True),
    ("another requester", "{requester: U071}", False),
    ("an amount from it", "{amount: {from: 2400}}", True),
    ("an amount above it", "{amount: {above: 2400}}", False),
    ("an amount to it", "{amount: {to: 2400.00}}", True),
    ("an amount below it", "{amount: {below: 2400}}", False),
    ("all of it", "{kind: order, currency: USD, amount: {from: 1, to: 9999}, requester: req@example.com}", True),
]


@pytest.mark.parametrize(("description", "when", "applies"), WHENS, ids=[row[0] for row in WHENS])
def test_when_a_rule_applies(story: Story, description: str, when: Any, applies: Any) -> None:
    policy = parse_policy(f"rules: [{{when: {when}, approve: {{user: U024BE7LH}}}}]")
    explained = explain(policy, story.request())
    assert explained.rules[0].matched is applies, description
    assert (explained.route is not None) is applies
    assert ("and this is" in explained.rules[0].why) is not applies


def test_an_explanation_says_of_every_rule_why_and_of_the_winner_whom_it_asks(story: Story) -> None:
    policy = parse_policy("""
groups: {managers: managers, vps: vps}
rules:
  - {name: large, when: {amount: {above: 5000}}, approve: {group: vps}}
  - name: middle
    approve: [{group: managers}, reports_to, user: U024BE7LH, email: a@example.com]
    remind: 1 day
    escalate: {after: 2 days, to: {group: vps}}
  - {name: rest, approve: automatic}
""")
    explained = explain(policy, story.request())
    assert [(one.rule, one.line, one.matched, one.wins) for one in explained.rules] == [
        ("large", 4, False, False),
        ("middle", 5, True, True),
        ("rest", 9, True, False),
    ]
    assert [one.why for one in explained.rules] == [
        "it is for amounts above 5000, and this is 2400",
        "the order is for 2400 USD, and the rule takes any amount",
        "it would apply, but “middle” stands before it",
    ]
    assert explained.winner == "middle"
    stage = explained.stages[0]
    assert stage.approvers == ("group managers", "the requester's manager", "user U024BE7LH", "a@example.com")
    assert (stage.within, stage.remind) == ("3 days", ("after 1 day",))
    assert stage.escalate == "after 2 days also group vps"


def test_an_explanation_without_a_winner_says_that_nobody_may_approve(story: Story) -> None:
    explained = explain(SHIPPED, story.request(currency="EUR"))
    assert (explained.winner, explained.route, explained.stages) == ("", None, ())
    assert explained.sentence.startswith("No rule")


def test_a_winner_that_leads_to_nobody_is_explained_as_that(story: Story) -> None:
    explained = explain(parse_policy(MANAGED), story.request())
    assert (explained.winner, explained.route) == ("rule 1", None)
    assert "add them to reports_to" in explained.sentence


def test_the_version_follows_the_content_and_not_comments_or_layout() -> None:
    same = SINGLE.replace("\n  - when", "\n\n  # a comment\n  - when").replace("below: 1000", "below: 1000.00")
    other = SINGLE.replace("below: 1000", "below: 1001")
    versions = {parse_policy(text).version for text in (SINGLE, same)}
    assert len(versions) == 1
    assert parse_policy(other).version not in versions
    assert all(len(version) == 12 for version in versions)


SEATED = """
groups: {legal: legal, finance: finance}
rules:
  - name: contracts
    seats:
      - {name: legal, approve: {group: legal}}
      - {name: finance, approve: [{group: finance}, {email: cfo@example.com}], needed: 2}
    within: 2 days
"""


def test_a_stage_may_need_a_yes_of_each_kind(story: Story) -> None:
    policy = parse_policy(SEATED)
    [stage] = chosen_route(policy, story.request()).stages
    assert [(seat.name, len(seat.any_of), seat.needed) for seat in stage.seats] == [("legal", 1, 1), ("finance", 2, 2)]
    assert (stage.needed, len(stage.approvers)) == (3, 3)
    [explained] = explain(policy, story.request()).stages
    assert explained.people == (
        "a yes for each of legal (group legal), finance (2 of group finance or cfo@example.com)"
    )
    assert [finding.sentence for finding in lint(policy) if finding.severity == "error"] == []


def test_a_policy_without_seats_has_the_version_that_it_had_before_there_were_any() -> None:
    assert '"seats"' not in parse_policy(SINGLE).model_dump_json()


def test_a_seat_that_nobody_can_fill_leads_to_nobody(story: Story) -> None:
    text = SEATED.replace("{group: legal}", "reports_to")
    found = route(parse_policy(text), story.request())
    assert isinstance(found, NoRoute)
    assert "names no manager" in found.sentence


def test_lint_names_seats_for_which_too_few_people_are_named() -> None:
    both = "[{user: U0ANN}, {user: U0BOB}]"
    few = f"rules: [{{seats: [{{name: a, approve: {both}}}, {{name: b, approve: {both}, needed: 2}}]}}]"
    [error] = [finding for finding in lint(parse_policy(few)) if finding.severity == "error"]
    assert "needs 3 approvals and names fewer people" in error.sentence


def chosen_route(policy: Any, request: Any) -> Route:
    found = route(policy, request)
    assert isinstance(found, Route)
    return found


def test_a_rule_can_have_stages_its_own_channel_and_let_one_person_repeat(story: Story) -> None:
    policy = parse_policy("""
channel: general
delegations:
  - {approver: a@example.com, delegate: U024BE7LH, since: 2026-08-03, until: 2026-08-14}
  - {approver: a@example.com, delegate: b@example.com, since: "2026-08-03T09:00+02:00", until: 2026-08-04 12:00:00}
rules:
  - channel: finance
    risk: high
    same_person_may_repeat: yes
    stages:
      - {approve: {user: U024BE7LH}, needed: 1, within: 90m, remind: [1 h, 30m, 1 h]}
      - {approve: [{user: U024BE7LH}, {user: U0000}], needed: 2}
""")
    found = route(policy, story.request())
    assert (found.channel, found.risk, found.same_person_may_repeat) == ("finance", "high", True)
    assert [stage.needed for stage in found.stages] == [1, 2]
    assert found.stages[0].remind == (timedelta(minutes=30), timedelta(hours=1))
    first, second = found.delegations
    assert (first.since, first.until) == (datetime(2026, 8, 3, tzinfo=UTC), datetime(2026, 8, 15, tzinfo=UTC))
    assert (second.since, second.until) == (
        datetime(2026, 8, 3, 7, tzinfo=UTC),
        datetime(2026, 8, 4, 12, tzinfo=UTC),
    )


AMOUNT = st.decimals(min_value=0, max_value=100, places=2)
RANGE = st.builds(
    AmountRange,
    low=st.none() | AMOUNT,
    low_included=st.booleans(),
    high=st.none() | AMOUNT,
    high_included=st.booleans(),
)


@given(RANGE, AMOUNT)
def test_a_range_holds_exactly_what_its_words_say(span: Any, amount: Any) -> None:
    words, numbers = str(span).split(), []
    tests = {
        "from": lambda bound: amount >= bound,
        "above": lambda bound: amount > bound,
        "to": lambda bound: amount <= bound,
        "below": lambda bound: amount < bound,
    }
    if span.low is not None and span.low == span.high:
        return
    numbers = [
        tests[word](Decimal(bound)) for word, bound in zip(words[::2], words[1::2], strict=True) if word in tests
    ]
    assert span.holds(amount) == all(numbers)
    assert not (span.empty and span.holds(amount))


@given(st.lists(RANGE.filter(lambda span: not span.empty), min_size=1, max_size=5), AMOUNT)
def test_lint_and_route_agree_on_gaps_and_on_rules_that_never_win(spans: Any, amount: Any) -> None:
    rules = [rule.model_copy(update={"line": at}) for at, rule in enumerate(_automatic(spans), start=1)]
    policy = SHIPPED.model_copy(update={"rules": tuple(rules)})
    request = ApprovalRequest(subject="1", amount=amount, currency="USD", requester="a@example.com")
    winner, findings = chosen(policy, request), lint(policy)
    if winner is None:
        assert any("No rule applies to" in finding.sentence for finding in findings)
    assert not any(finding.rule == winner and "never applies" in finding.sentence for finding in findings if winner)


def _automatic(spans: Any) -> Any:
    rule = SHIPPED.rules[0]
    return [
        rule.model_copy(update={"name": f"r{at}", "when": rule.when.model_copy(update={"amount": span})})
        for at, span in enumerate(spans)
    ]


NO_MONEY = {"kind": "deploy", "amount": None, "currency": ""}


def test_the_shipped_policy_lets_nothing_but_a_small_order_pass_unasked(story: Story) -> None:
    """A deploy of 0 USD ran without anybody's yes: the rule for small orders took every kind."""
    assert route(SHIPPED, story.request(amount=Decimal(0))).automatic
    for other in ({"kind": "deploy", "amount": Decimal(0)}, {"kind": "access", "amount": Decimal(499)}, NO_MONEY):
        assert isinstance(route(SHIPPED, story.request(**other)), NoRoute), other


def test_no_rule_with_an_amount_takes_a_request_without_one(story: Story) -> None:
    bounded = parse_policy("rules: [{approve: {user: U01}, when: {kind: deploy, amount: {from: 0}}}]")
    found = route(bounded, story.request(**NO_MONEY))
    assert isinstance(found, NoRoute)
    assert "a deploy without an amount" in found.sentence
    free = parse_policy("rules: [{approve: {user: U01}, when: {kind: deploy}}]")
    assert isinstance(route(free, story.request(**NO_MONEY)), Route)
    assert "has no amount" in explain(free, story.request(**NO_MONEY)).rules[0].why


def test_a_rule_for_any_kind_takes_every_kind(story: Story) -> None:
    anything = parse_policy("rules: [{approve: {user: U01}, when: {kind: any}}]")
    assert isinstance(route(anything, story.request(kind="never heard of")), Route)


@pytest.mark.parametrize("half", [{"amount": None, "currency": "USD"}, {"amount": Decimal(5), "currency": ""}])
def test_half_a_sum_of_money_is_refused(story: Story, half: Any) -> None:
    with pytest.raises(ValidationError, match="needs"):
        ApprovalRequest.model_validate(story.request().model_dump() | half)


def test_no_amount_is_absent_from_the_digest_and_not_the_same_as_zero(story: Story) -> None:
    assert "amount" not in content_fields(ApprovalRequest.model_validate(story.request().model_dump() | NO_MONEY))
    nothing = ApprovalRequest.model_validate(story.request().model_dump() | NO_MONEY)
    zero = nothing.model_copy(update={"amount": Decimal(0), "currency": "USD"})
    assert content_digest(nothing) != content_digest(zero)
