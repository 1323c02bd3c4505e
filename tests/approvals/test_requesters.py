"""One requester, however they are written."""

import pytest

from approvals.policy.file import PolicyError
from approvals.policy.schema import parse_policy
from approvals.requesters import canonical, is_address, named, unknown

MANAGER = "manager@example.com"
SAME = (
    MANAGER,
    "Manager@Example.COM",
    " manager@example.com ",
    "\u200bmanager@example.com",
    "manager\u00ad@example.com",
    "\uff4d\uff41\uff4e\uff41\uff47\uff45\uff52@example.com",
    "manager\uff20example.com",
    "manager@example\uff0ecom",
    "mailto:manager@example.com",
    "MAILTO:manager@example.com",
    "<manager@example.com>",
    "<mailto:manager@example.com|manager>",
    "The Manager <manager@example.com>",
    '"The Manager" <manager@example.com>',
    "'manager@example.com'",
    '"manager@example.com"',
    "\u201cmanager@example.com\u201d",
    "manager@example.com\n",
    "manager@example.com\x00",
    "\u2068manager@example.com\u2069",
)
REFUSED = (
    "manager@example.com.",
    "@manager",
    "manager",
    "manager@example.com, requester@example.com",
    "manager@example.com requester@example.com",
    "manager@example.com;",
    "manager @example.com",
    "manager@ example.com",
    "manager@example..com",
    "manager@example",
    "manager@@example.com",
    "m\u0430nager@example.com",
    "manager(boss)@example.com",
    "<manager@example.com><requester@example.com>",
    "manager@example.com?subject=x",
    "https://example.com/manager@example.com",
    "slack://user?id=U0MANAGER",
    "u0manager",
    "U0MANAGER|manager",
    "#U0MANAGER",
)


@pytest.mark.parametrize("written", SAME)
def test_the_same_person_is_one_name(written: str) -> None:
    assert canonical(written) == MANAGER


@pytest.mark.parametrize("written", REFUSED)
def test_what_is_no_address_is_looked_up_nowhere(written: str) -> None:
    assert not is_address(canonical(written))


@pytest.mark.parametrize("written", ["<@U0MANAGER>", "<@U0MANAGER|manager>", "\uff350MANAGER"])
def test_a_mention_is_the_id_in_it(written: str) -> None:
    assert (canonical(written), is_address(canonical(written))) == ("U0MANAGER", True)


def test_a_service_is_named_by_the_policy_and_an_unknown_one_hears_the_nearest() -> None:
    assert named("CI", ["ci", "invoices"]) == "ci"
    assert named("c1", ["ci", "invoices"]) is None
    assert "Nearest: invoices" in str(unknown("invoice", ["ci", "invoices"]))


def test_the_policy_names_services_and_agents() -> None:
    rules = "rules: [{name: all, approve: [{group: g}], within: 1 day}]\n"
    policy = parse_policy("version: 1\nservices: [ci]\nagents: [buyer]\n" + rules)
    assert (policy.services, policy.agents) == (("ci",), ("buyer",))
    with pytest.raises(PolicyError, match="list"):
        parse_policy("version: 1\nservices: ci\n" + rules)


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("reqester@example.com", "Nearest: requester@example.com."),
        ("requestr", "Nearest: requester@example.com."),
        ("manager@example.com", "Write an e-mail"),
    ],
)
def test_a_misspelt_person_hears_the_nearest_of_those_who_have_asked(written: str, nearest: str) -> None:
    said = str(unknown(written, [], ["requester@example.com", "U0OTHER"]))
    assert nearest in said
    assert ("Nearest" in said) is ("Nearest" in nearest)
