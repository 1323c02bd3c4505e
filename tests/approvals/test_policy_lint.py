"""What lint finds in a policy that can be read."""

from typing import Any

import pytest

from approvals.policy.lint import lint
from approvals.policy.routing import parse_policy

GOOD = """
groups: {managers: managers}
roles: {operator: {group: managers}}
rules:
"""
ASK = "{approve: {group: managers}}"


def findings(text: Any) -> Any:
    return [(finding.severity, finding.line, finding.sentence) for finding in lint(parse_policy(text))]


def test_a_sound_policy_has_only_the_note_on_currencies() -> None:
    assert findings(f"{GOOD}  - {ASK}\n") == [("info", 0, "Only requests in USD can start: no rule is for others.")]


HALF = "{approve: {user: U01}, when: {amount: {to: 5}}}"
REST = "{approve: {user: U01}, when: {amount: {above: 5}}}"
BETWEEN = "{name: b, approve: {user: U01}, when: {amount: {from: 2, to: 9}}}"
GAP_AT_5 = "{approve: {group: managers}, when: {amount: {below: 5}}}"

FOUND = [
    (
        "a rule behind one that takes all",
        f"  - {ASK}\n  - {{name: b, approve: {{user: U01}}}}",
        "warning",
        6,
        "“b” never app",
    ),
    (
        "a gap below",
        "  - {approve: {group: managers}, when: {amount: {from: 5}}}",
        "warning",
        0,
        "amounts from 0 below 5, in USD",
    ),
    (
        "a gap above",
        "  - {approve: {group: managers}, when: {amount: {to: 5}}}",
        "warning",
        0,
        "amounts above 5, in USD",
    ),
    (
        "a gap of one number",
        f"  - {GAP_AT_5}\n  - {REST}",
        "warning",
        0,
        "amounts of exactly 5, in USD",
    ),
    (
        "a gap of one kind",
        f"  - {ASK}\n  - {{approve: {{user: U01}}, when: {{kind: deploy, amount: {{to: 5}}}}}}",
        "warning",
        0,
        "amounts above 5, in USD, for deploy",
    ),
    (
        "a gap by requester",
        "  - {approve: {group: managers}, when: {requester: U01}}",
        "warning",
        0,
        "by another requester",
    ),
    (
        "a gap in another currency",
        f"  - {ASK}\n  - {{approve: {{user: U01}}, when: {{currency: EUR, amount: {{to: 5}}}}}}",
        "warning",
        0,
        "amounts above 5, in EUR",
    ),
    ("an unknown group", "  - {approve: {group: mangers}}", "error", 5, "'mangers' is not in `groups`"),
    (
        "an unknown group in an escalation",
        "  - {approve: {group: managers}, escalate: {after: 1 h, to: {group: x}}}",
        "error",
        5,
        "'x'",
    ),
    ("no approvers", "  - {approve: []}", "error", 5, "names no approvers"),
    (
        "a reminder at the deadline",
        "  - {approve: {group: managers}, within: 1 h, remind: 1 h}",
        "warning",
        5,
        "reminds after 1 hour",
    ),
    (
        "an escalation at the deadline",
        "  - {approve: {group: managers}, within: 1 h, escalate: {after: 2 h, to: {user: U01}}}",
        "warning",
        5,
        "escalates after 2 hours",
    ),
    (
        "an escalation to nobody",
        "  - {approve: {group: managers}, escalate: {after: 1 h, to: []}}",
        "error",
        5,
        "to nobody",
    ),
    ("more needed than there are", "  - {approve: [user: U01, user: U01], needed: 2}", "error", 5, "needs 2 approvals"),
    ("automatic without a bound", "  - {approve: automatic}", "warning", 5, "any amount by itself"),
    (
        "automatic for whatever kind there is",
        "  - {approve: automatic, when: {amount: {below: 5}}}",
        "error",
        5,
        "must name the kinds",
    ),
    (
        "automatic for any kind",
        "  - {approve: automatic, when: {kind: any, amount: {below: 5}}}",
        "error",
        5,
        "must name the kinds",
    ),
    (
        "amounts in several currencies",
        "  - {approve: {group: managers}, when: {currency: [USD, JPY], amount: {to: 5}}}",
        "warning",
        5,
        "nothing is converted",
    ),
    ("a manager and no map", "  - {approve: reports_to}", "error", 5, "`reports_to` is empty"),
    (
        "a manager of a requester without one",
        "  - {approve: reports_to, when: {requester: [a@x.org, U01]}}\nreports_to: {b@x.org: c@x.org}",
        "warning",
        5,
        "the manager of a@x.org",
    ),
    ("one's own manager", f"  - {ASK}\nreports_to: {{a@x.org: a@x.org}}", "error", 0, "reports to themselves"),
    (
        "a delegation the wrong way round",
        f"  - {ASK}\ndelegations: [{{approver: U01, delegate: U02, since: 2026-02-01, until: 2026-01-01}}]",
        "error",
        6,
        "ends before it begins",
    ),
    (
        "a delegation to oneself",
        f"  - {ASK}\ndelegations: [{{approver: U01, delegate: U01, since: 2026-01-01, until: 2026-02-01}}]",
        "warning",
        6,
        "to themselves",
    ),
    (
        "a rule behind two that take all of it together",
        f"  - {HALF}\n  - {REST}\n  - {BETWEEN}\n",
        "warning",
        7,
        "“b” never app",
    ),
]


@pytest.mark.parametrize(("description", "rules", "severity", "line", "words"), FOUND, ids=[row[0] for row in FOUND])
def test_lint_finds(description: str, rules: Any, severity: Any, line: Any, words: Any) -> None:
    found = findings(f"{GOOD}{rules}\n")
    assert any(one[:2] == (severity, line) and words in one[2] for one in found), (description, found)


def test_errors_come_first_and_then_by_line() -> None:
    found = findings(f"{GOOD}  - {{approve: [], remind: 9 days}}\n  - {{approve: {{group: x}}}}\n")
    assert [one[0] for one in found] == sorted([one[0] for one in found], key=("error", "warning", "info").index)


def test_no_operator_and_a_group_of_no_use_are_noted() -> None:
    found = findings("groups: {a: a}\nrules:\n  - {approve: {group: S0123ABCD}}\n")
    assert ("warning", 0, "No `operator` in `roles`: nobody may pause, resume, terminate or purge.") in found
    assert ("info", 0, "The group 'a' is named, but nothing uses it.") in found
    assert not any(severity == "error" for severity, _, _ in found)


def test_a_rule_for_any_currency_leaves_none_out() -> None:
    found = findings(f"{GOOD}  - {{approve: {{group: managers}}, when: {{currency: any}}}}\n")
    assert found == []


def test_a_rule_that_only_requests_without_an_amount_reach_is_not_called_unreachable() -> None:
    money = "  - {name: money, approve: {user: U01}, when: {kind: deploy, amount: {from: 0}}}\n"
    rest = "  - {name: rest, approve: {group: managers}, when: {kind: deploy}}\n"
    assert not any("never applies" in sentence for _, _, sentence in findings(GOOD + f"  - {ASK}\n" + money + rest))


def test_rules_that_share_amounts_without_meaning_to_are_named() -> None:
    low = "  - {name: low, approve: {user: U01}, when: {amount: {to: 500}}}\n"
    high = "  - {name: high, approve: {user: U02}, when: {amount: {from: 500}}}\n"
    found = findings(GOOD + low + high)
    assert any(one[:2] == ("warning", 6) and "“low” (to 500) and “high” (from 500)" in one[2] for one in found), found
    apart = high.replace("from: 500", "above: 500")
    assert not any("both take some" in sentence for _, _, sentence in findings(GOOD + low + apart))
    rest = "  - {name: rest, approve: {user: U02}}\n"
    found = findings(GOOD + low + rest)
    assert not any("both take some" in sentence for _, _, sentence in found), "a rule for the rest"


def test_a_file_with_too_many_cases_says_that_gaps_were_not_looked_for() -> None:
    rules = [
        f"  - {{approve: {{group: managers}}, when: {{kind: k{n}, requester: U{n:03}, amount: {{to: {n}}}}}}}\n"
        for n in range(150)
    ]
    assert any("too many cases" in sentence for _, _, sentence in findings(GOOD + "".join(rules)))
