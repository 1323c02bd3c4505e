"""Whose delegations count for somebody, and from which versions of the policy."""

from datetime import UTC, datetime, timedelta

import pytest

from approvals.people import Person, Profile
from approvals.request import Delegation
from bot.control.reading.delegated_requests import delegated, delegations_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DEPUTY = Profile(person=Person(team="T1", user="U0DEPUTY"), email="deputy@example.com")
POLICY = """
version: 1
channel: approvals
currency: USD
delegations:
  - {approver: vp@example.com, delegate: Deputy@Example.com, since: 2026-02-01, until: 2026-03-31}
rules:
  - name: any
    when: {currency: any}
    approve: [{email: vp@example.com}]
    within: 1 day
"""


def by(approver: str, to: str = "U0DEPUTY", since: datetime = NOW, until: datetime = NOW + DAY) -> Delegation:
    return Delegation(approver=approver, delegate=to, since=since, until=until)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"v1": [by("vp@example.com")]}, {"vp@example.com": ("v1",)}),
        ({"v2": [by("U0VP")], "v1": [by("U0VP"), by("U0CFO")]}, {"U0VP": ("v1", "v2"), "U0CFO": ("v1",)}),
        ({"v1": [by("U0VP", "Deputy@example.com")]}, {"U0VP": ("v1",)}),
        ({"v1": [by("U0VP", "U0ELSE"), by("U0VP", "else@example.com")]}, {}),
        ({"v1": [by("U0VP", since=NOW + DAY, until=NOW + 2 * DAY)]}, {}),
        ({"v1": [by("U0VP", since=NOW - DAY, until=NOW)]}, {}),
    ],
)
def test_those_who_delegate_to_somebody_now_are_found_with_the_policies_that_say_so(
    given: dict[str, list[Delegation]], found: dict[str, tuple[str, ...]]
) -> None:
    assert delegated(given, DEPUTY, NOW) == found


def test_a_policy_that_was_in_force_gives_its_delegations() -> None:
    assert [(each.approver, each.delegate) for each in delegations_of(POLICY)] == [
        ("vp@example.com", "deputy@example.com")
    ]


def test_a_policy_that_this_release_cannot_read_gives_none() -> None:
    assert delegations_of("version: 0\nrules: nothing") == ()
