"""A policy file that can't be used: every mistake is named with its line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.policy.routing import Policy, PolicyError, Problem, parse_policy

ONE = "rules:\n  - approve: {user: U024BE7LH}\n"
MISTAKES = [
    ("an empty file", "", 1, "the file is empty"),
    ("broken YAML", "rules: [", 1, "not readable YAML"),
    ("a tab", "rules:\n\t- a", 2, "not readable YAML"),
    ("a control character", "rules: \x00", 1, "not readable YAML"),
    ("an escape beyond Unicode", 'a: "\\UFFFFFFFF"', 1, "not readable YAML"),
    ("two documents", f"{ONE}---\n{ONE}", 3, "not readable YAML"),
    ("a list", "- a", 1, "a policy must be keys with values"),
    ("no rules", "version: 1", 1, "needs `rules`"),
    ("rules that are no list", "rules: 5", 1, "needs `rules`"),
    ("too many rules", "rules:" + "\n - approve: automatic" * 201, 2, "more than 200 rules"),
    ("another version", f"version: 2\n{ONE}", 1, "version must be 1"),
    ("a list as version", f"version: []\n{ONE}", 1, "version must be 1"),
    ("a stage's key, misspelt in a rule", f"{ONE}    remnd: 1 day", 3, "has no 'remnd'; did you mean 'remind'?"),
    ("seats and approve", f"{ONE}    seats: [{{name: a, approve: {{user: U0A}}}}]", 2, "can't stand beside `seats`"),
    ("no seats", "rules: [{seats: []}]", 1, "needs at least one seat"),
    ("a seat without people", "rules: [{seats: [{name: a}]}]", 1, "a seat needs `approve`"),
    (
        "two seats of one name",
        "rules: [{seats: [{name: a, approve: {user: U0A}}, {name: A, approve: {user: U0B}}]}]",
        1,
        "two seats have the same name",
    ),
    (
        "too many seats",
        "rules: [{seats: [{name: a, approve: {group: g}, needed: 20}, {name: b, approve: {group: g}}]}]",
        1,
        "more than 20",
    ),
    ("an unknown key", f"{ONE}chanel: a", 3, "has no 'chanel'; did you mean 'channel'?"),
    ("an unknown key like nothing", f"{ONE}zzz: a", 3, "known are: version"),
    ("a key twice", f"channel: a\n{ONE}channel: b", 4, "stands here twice, first in line 1"),
    ("a key that is a list", f"? [a]\n: b\n{ONE}", 1, "a key must be a plain word"),
    ("an alias", f"channel: &a b\ncurrency: *a\n{ONE}", 1, "anchor &a"),
    ("a tag", f"channel: !!python/name:os.system x\n{ONE}", 1, "the tag python/name:os.system"),
    ("a tag on keys", f"channel: !!set {{a}}\n{ONE}", 1, "the tag set"),
    ("too deep", "rules: " + "[" * 5000, 1, "nested more than 12 deep"),
    ("too large", "#" * (513 * 1024), 1, "larger than 512 KiB"),
    ("a currency", f"currency: dollars\n{ONE}", 1, "'dollars' is not a currency"),
    ("a channel that is nothing", f"channel:\n{ONE}", 1, "channel must be a text"),
    ("a channel that YAML takes for no", f"channel: no\n{ONE}", 1, "put it in quotes"),
    ("a channel on two lines", f'channel: "a\\nb"\n{ONE}', 1, "one line of at most"),
    ("groups that are a list", f"groups: [a]\n{ONE}", 1, "groups must be keys with values"),
    ("a manager who is no e-mail", f"reports_to:\n  a@example.com: boss\n{ONE}", 2, "'boss' is not an e-mail"),
    ("a requester who is no e-mail", f"reports_to:\n  ann: b@example.com\n{ONE}", 2, "'ann' is not an e-mail"),
    ("two managers", f"reports_to:\n  a@x.org: b@x.org\n  A@x.org: c@x.org\n{ONE}", 3, "has one manager"),
    ("an unknown role", f"roles:\n  operater: {{user: U024BE7LH}}\n{ONE}", 2, "did you mean 'operator'?"),
    ("approvers as a role", f"roles:\n  approver: {{user: U024BE7LH}}\n{ONE}", 2, "said by each rule's `approve`"),
    ("a role by reports_to", f"roles:\n  operator: reports_to\n{ONE}", 2, "name a person or group like"),
    ("delegations that are no list", f"delegations: a\n{ONE}", 1, "must be a list"),
    (
        "a delegation without an end",
        f"delegations:\n - {{approver: a@x.org, since: 2026-01-01}}\n{ONE}",
        2,
        "needs `delegate` and `until`",
    ),
    (
        "a date that is none",
        f"delegations:\n - {{approver: a@x.org, delegate: U01, since: soon, until: 2026-01-01}}\n{ONE}",
        2,
        "'soon' is not a date",
    ),
    ("a rule that is a text", "rules:\n  - automatic", 2, "a rule must be keys with values"),
    ("a rule without approve", "rules:\n  - name: a", 2, "`approve` is missing"),
    ("a misspelt automatic", "rules:\n  - approve: automatc", 2, "name a person or group like"),
    ("an approver with two keys", "rules:\n  - approve: {user: U01, group: a}", 2, "exactly one key"),
    ("an approver of another kind", "rules:\n  - approve: {role: a}", 2, "exactly one key"),
    ("an approver that is a list", "rules:\n  - approve: [[a]]", 2, "must be keys with values"),
    ("a user by name", "rules:\n  - approve: {user: ann}", 2, "'ann' is not a Slack user id"),
    (
        "two rules of one name",
        "rules:\n  - {name: a, approve: automatic}\n  - {name: a, approve: automatic}",
        3,
        "twice",
    ),
    ("automatic with a deadline", "rules:\n  - approve: automatic\n    within: 1 h", 3, "can't stand beside"),
    (
        "stages beside approve",
        "rules:\n  - approve: {user: U01}\n    stages: [{approve: {user: U01}}]",
        2,
        "can't stand",
    ),
    ("stages that are empty", "rules:\n  - stages: []", 2, "at least one stage"),
    ("a stage that is automatic", "rules:\n  - stages:\n    - approve: automatic", 3, "a stage can't be automatic"),
    ("a stage with a name", "rules:\n  - stages:\n    - {approve: {user: U01}, name: a}", 3, "a stage has no 'name'"),
    ("a needed of nothing", f"{ONE}    needed: 0", 3, "whole number from 1 to 20"),
    ("a needed in words", f"{ONE}    needed: two", 3, "whole number from 1 to 20"),
    ("a needed that is absurd", f"{ONE}    needed: {'9' * 5000}", 3, "whole number from 1 to 20"),
    ("a deadline without a unit", f"{ONE}    within: 3", 3, "'3' is not a duration"),
    ("a deadline that is a list", f"{ONE}    within: []", 3, "a duration must be a text"),
    ("a reminder that is none", f"{ONE}    remind: [1 day, soon]", 3, "'soon' is not a duration"),
    ("a reminder that is a mapping", f"{ONE}    remind: {{a: b}}", 3, "remind must be a list"),
    ("an escalation to nobody named", f"{ONE}    escalate: {{after: 1 h}}", 3, "needs `to`"),
    ("an escalation with more", f"{ONE}    escalate: {{after: 1 h, to: reports_to, cc: a}}", 3, "has no 'cc'"),
    ("a risk that is none", f"{ONE}    risk: low", 3, "risk is normal or high"),
    ("a repeat that is none", f"{ONE}    same_person_may_repeat: maybe", 3, "must be true or false"),
    ("an unknown condition", f"{ONE}    when: {{knd: a}}", 3, "did you mean 'kind'?"),
    ("a kind that is nothing", f"{ONE}    when: {{kind: []}}", 3, "the list is empty"),
    ("an amount in words", f"{ONE}    when: {{amount: {{from: many}}}}", 3, "'many' is not an amount"),
    ("an amount with a comma", f"{ONE}    when: {{amount: {{from: '5,000'}}}}", 3, "'5,000' is not an amount"),
    ("an amount that is a list", f"{ONE}    when: {{amount: {{from: []}}}}", 3, "must be a number"),
    ("an amount that is no number", f"{ONE}    when: {{amount: {{to: NaN}}}}", 3, "an amount is from 0 to"),
    ("an amount below zero", f"{ONE}    when: {{amount: {{to: -1}}}}", 3, "an amount is from 0 to"),
    ("an amount that is absurd", f"{ONE}    when: {{amount: {{from: 1e999999999}}}}", 3, "an amount is from 0 to"),
    ("an amount in base sixty", f"{ONE}    when: {{amount: {{from: 1:30}}}}", 3, "'1:30' is not an amount"),
    ("two lower bounds", f"{ONE}    when: {{amount: {{from: 1, above: 2}}}}", 3, "both 'from' and 'above'"),
    ("two upper bounds", f"{ONE}    when: {{amount: {{to: 1, below: 2}}}}", 3, "both 'to' and 'below'"),
    ("bounds the wrong way round", f"{ONE}    when: {{amount: {{from: 9, to: 1}}}}", 3, "could never apply"),
    ("bounds that leave nothing", f"{ONE}    when: {{amount: {{above: 9, to: 9}}}}", 3, "could never apply"),
    ("amounts below nothing", f"{ONE}    when: {{amount: {{below: 0}}}}", 3, "could never apply"),
    ("an amount in any currency", f"{ONE}    when: {{currency: any, amount: {{to: 9}}}}", 3, "needs a currency"),
]


@pytest.mark.parametrize(("description", "text", "line", "reason"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named_with_its_line(description: str, text: Any, line: Any, reason: Any) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "rules.yml")
    found = [problem for problem in raised.value.problems if problem.line == line]
    assert any(reason in problem.reason for problem in found), (description, raised.value.problems)
    assert str(raised.value).startswith("rules.yml:")


def test_all_mistakes_come_at_once_in_the_order_of_their_lines() -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy("rules:\n  - {approve: automatic, risk: low}\n  - {approve: {user: a}}\nversion: 7\n")
    assert [problem.line for problem in raised.value.problems] == [2, 3, 4]


def test_an_alias_bomb_is_refused_before_anything_is_built() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    with pytest.raises(PolicyError, match="alias"):
        parse_policy("\n".join(lines))


@given(st.text(alphabet=st.sampled_from(list("rules: []{}-&*!?|>'\"\n approvewhen0123#,%@`\\x\t\u2028é")), max_size=60))
def test_whatever_is_in_the_file_it_is_a_policy_or_an_error_with_lines(text: Any) -> None:
    try:
        found: tuple[Problem, ...] = () if isinstance(parse_policy(text), Policy) else (Problem(0, "no policy"),)
    except PolicyError as error:
        found = error.problems or (Problem(0, "no problem"),)
    assert all(problem.line >= 1 for problem in found)
