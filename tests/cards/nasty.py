"""Random values as people and other systems send them: emoji, right to left, control characters, far too long."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from approvals.decision import Approval, Outcome
from approvals.people import EmailAddress, Person, SlackUser, UserGroup
from approvals.request import ApprovalRequest, Binding, Route, Stage
from cards.card_view import CardView, Ending
from cards.values import HistoryLine, InstanceLine

some = settings(
    max_examples=min(60, settings().max_examples),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NASTY = (
    "<!channel> & <@U0VP> <https://evil.example|click>",
    "@channel @here *bold* _it_ ~no~ `code` ```",
    "https://evil.example/x :rotating_light:",
    "\u202e\u0661\u0662\u0663 \u0645\u0631\u062d\u0628\u0627",
    "\U0001f469\u200d\U0001f4bb" * 900,
    "\x00\x07\x1b[31m\u200b",
    "&amp;" * 900,
    "<" * 3000,
    "\n" * 500,
    " ",
    "",
)
MOMENT = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)


def texts(most: int, least: int = 0) -> st.SearchStrategy[str]:
    """Return typed texts of `least` to `most` characters; every nasty one among them."""
    nasty = [text[:most] for text in NASTY if len(text) >= least]
    # By index, not by value: a strategy's repr holds its values, and these are long.
    known = st.integers(0, len(nasty) - 1).map(lambda index: nasty[index])
    long = st.text(min_size=1, max_size=5).map(lambda piece: (piece * most)[:most])
    return st.one_of(known, st.text(min_size=least, max_size=min(most, 60)), long)


def ids() -> st.SearchStrategy[str]:
    return texts(120, least=1)


principals = st.one_of(
    st.builds(UserGroup, group=st.one_of(st.just("S0MANAGERS"), texts(60))),
    st.builds(SlackUser, user=st.one_of(st.just("U0VP"), texts(60))),
    st.builds(EmailAddress, email=texts(254)),
)
approver_lists = st.one_of(st.lists(principals, max_size=3), st.just([UserGroup(group="S" + "X" * 30)] * 200)).map(
    tuple
)
moments = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by contract
people = st.builds(Person, team=st.just("T0LOCAL"), user=st.one_of(st.just("U0MANAGER"), texts(30)))
approvals = st.builds(
    Approval,
    decision_id=texts(40),
    person=people,
    name=texts(200),
    emails=st.just(()),
    stage=st.integers(0, 2),
    approved=st.booleans(),
    reason=texts(3000),
    at=moments,
    through=st.just("slack"),
)
outcomes = st.builds(
    Outcome,
    approved=st.booleans(),
    reason=st.one_of(st.just("approval_timeout"), texts(3000)),
    rule=texts(200),
    policy_version=st.just("0" * 12),
    digest=st.just("d" * 64),
    by=st.lists(approvals, max_size=3).map(tuple),
    at=moments,
)
endings = st.builds(
    Ending,
    kind=st.sampled_from(["terminated", "vanished"]),
    by=st.one_of(st.none(), st.just("U0OPERATOR"), texts(30)),
    by_name=texts(200),
    reason=texts(3000),
    at=st.one_of(st.none(), moments),
)


def bounded(**parts: Any) -> ApprovalRequest:
    """Return a request of these parts, shortened if they are more than a request may hold."""
    try:
        return ApprovalRequest(**parts)
    except ValidationError:
        return ApprovalRequest(**parts | {"details": {}, "description": parts["description"][:500]})


requests = st.builds(
    bounded,
    kind=texts(100),
    subject=texts(100, least=1),
    amount=st.decimals(min_value=0, max_value=999_999_999, places=4),
    currency=st.sampled_from(["USD", "JPY", "KWD", "CHF", "XXX"]),
    description=texts(3000),
    requester=texts(254, least=1),
    details=st.one_of(
        st.dictionaries(texts(60), texts(2000), max_size=3),
        st.builds(lambda: {f"{number}<!here>": "&" * 20 for number in range(300)}),
    ),
)
routes = st.builds(
    Route,
    rule=texts(200),
    why=texts(3000),
    policy_version=st.just("0" * 12),
    stages=st.lists(
        st.builds(Stage, approvers=approver_lists, needed=st.integers(1, 30), within=st.just(timedelta(days=3))),
        max_size=3,
    ).map(tuple),
    risk=st.sampled_from(["normal", "high"]),
)
bindings = st.builds(
    Binding,
    instance_id=ids(),
    run=moments,
    stage=st.integers(0, 3),
    digest=st.just("d" * 64),
    nonce=st.just("e" * 32),
)
cards = st.builds(
    CardView,
    request=requests,
    route=routes,
    binding=bindings,
    deadline=moments,
    approvers=approver_lists,
    requester_user=st.one_of(st.none(), st.just("U0REQUESTER"), texts(30)),
    requester_name=texts(300),
    approvals=st.one_of(
        st.lists(approvals, max_size=2),
        approvals.map(lambda one: list(itertools.repeat(one, 60))),
    ).map(tuple),
    reminders=st.integers(0, 5),
    passed=st.sampled_from(["", "advanced", "escalated"]),
    outcome=st.one_of(st.none(), outcomes),
    outcome_sentence=texts(3000),
    ending=st.one_of(st.none(), endings),
)
instance_lines = st.builds(
    InstanceLine,
    instance_id=texts(400),
    status=st.sampled_from(["RUNNING", "COMPLETED", "FAILED", "TERMINATED", "PENDING", "SUSPENDED"]),
    name=texts(200),
    what=texts(300),
    amount=st.one_of(st.none(), st.decimals(min_value=0, max_value=999_999_999, places=4)),
    currency=st.sampled_from(["USD", "JPY", ""]),
    requester=texts(254),
    custom_status=texts(3000),
    stage=texts(40),
    waiting_on=approver_lists,
    since=st.one_of(st.none(), moments),
    deadline=st.one_of(st.none(), moments),
    card_link=st.one_of(st.none(), texts(3000), st.just("https://example.slack.com/archives/C1/p2")),
)
history_lines = st.lists(
    st.builds(
        HistoryLine,
        at=moments,
        what=texts(200),
        text=texts(3000),
        by=st.one_of(st.none(), st.just("U0MANAGER"), texts(30)),
        by_name=texts(200),
    ),
    max_size=4,
).map(tuple)
