"""The page of policy.yml: each key with its meaning and an example that a test loads."""

from typing import Final

from approvals.policy.condition import AMOUNT_KEYS, WHEN_KEYS
from approvals.policy.schema import DEFAULT_WITHIN, MOST_NEEDED, MOST_RULES, ROLES, RULE_KEYS, STAGE_KEYS, TOP_KEYS
from approvals.values import Value
from tools.docs import tables

ABOUT = f"""[Write a policy](../how-to/write-a-policy.md) begins with a whole file. `countersign policy check` names
every mistake with its line; a key that is not in this list is one. A file has at most {MOST_RULES} rules."""


class Key(Value):
    """One key: what it means, and an example of it as YAML."""

    meaning: str
    example: str


Keys = dict[str, Key]

POLICY: Final[Keys] = {
    "version": Key(meaning="The form of this file. Always 1.", example="1"),
    "channel": Key(meaning="The Slack channel in which cards are posted.", example="approvals"),
    "currency": Key(meaning="The currency of amounts for which nothing else is said. USD if left out.", example="EUR"),
    "groups": Key(
        meaning="Names for Slack user groups, each a handle or an id (S…).",
        example="{managers: managers, vps: S024BE7LH}",
    ),
    "reports_to": Key(
        meaning="Each requester's manager, for `approve: reports_to`.",
        example="{requester@example.com: manager@example.com}",
    ),
    "roles": Key(
        meaning=f"Who has which role. The roles are {', '.join(map(tables.code, ROLES))}; none includes another.",
        example="{operator: [{group: operators}], auditor: [{email: auditor@example.com}]}",
    ),
    "delegations": Key(
        meaning="People who decide in an approver's place for some days, the last one included, in UTC.",
        example="[{approver: manager@example.com, delegate: deputy@example.com, since: 2026-08-03, until: 2026-08-14}]",
    ),
    "rules": Key(
        meaning="The rules, from the top; the first that applies wins.",
        example="[{name: everything, approve: [{group: managers}]}]",
    ),
}

RULE: Final[Keys] = {
    "name": Key(meaning="How people and the audit name the rule.", example="a manager within 3 days"),
    "when": Key(meaning="When the rule applies. Left out: for every order.", example="{amount: {from: 500, to: 5000}}"),
    "approve": Key(
        meaning="Who must approve: groups, users, e-mails, `reports_to`; or `automatic`, for nobody.",
        example="[{group: managers}, {user: U024BE7LH}, {email: vp@example.com}, reports_to]",
    ),
    "needed": Key(meaning=f"How many different people must say yes, 1 to {MOST_NEEDED}. 1 if left out.", example="2"),
    "within": Key(
        meaning=f"The time until the deadline, as a duration. {DEFAULT_WITHIN.days} days if left out.", example="5 days"
    ),
    "remind": Key(meaning="When to remind, counted from the asking.", example="[1 day, 2 days]"),
    "escalate": Key(
        meaning="From when on which people may decide as well.", example="{after: 1 day, to: [{group: vps}]}"
    ),
    "stages": Key(
        meaning="Several steps, one after the other, in place of the five keys above.",
        example="[{approve: [{group: managers}]}, {approve: [{group: vps}], within: 5 days}]",
    ),
    "risk": Key(
        meaning="`normal` or `high`. With `high`, memberships are looked up fresh at every decision.", example="high"
    ),
    "channel": Key(meaning="Another channel for the cards of this rule.", example="big-orders"),
    "same_person_may_repeat": Key(meaning="Whether one person may decide in several stages.", example="true"),
}

WHEN: Final[Keys] = {
    "kind": Key(meaning="The kinds of request. Left out: orders. `any` is every kind.", example="[order, deploy]"),
    "currency": Key(meaning="The currencies. Left out: the policy's own. `any` is every currency.", example="EUR"),
    "amount": Key(meaning="The amounts.", example="{from: 500, below: 5000}"),
    "requester": Key(meaning="Only requests of these people.", example="[requester@example.com, U024BE7LH]"),
}

AMOUNT: Final[Keys] = {
    "from": Key(meaning="This amount and more.", example="500"),
    "above": Key(meaning="More than this amount.", example="500"),
    "to": Key(meaning="This amount and less.", example="5000"),
    "below": Key(meaning="Less than this amount.", example="5000"),
}

SECTIONS: Final[tuple[tuple[str, str, Keys], ...]] = (
    ("The file", "", POLICY),
    ("A rule", f"A stage has {', '.join(map(tables.code, STAGE_KEYS))} of these.", RULE),
    ("when", "All that is said must hold.", WHEN),
    (
        "amount",
        "In the currency that `when` names, or the policy's own. A request without an amount is within none.",
        AMOUNT,
    ),
)

DECLARED: Final = (TOP_KEYS, RULE_KEYS, WHEN_KEYS, AMOUNT_KEYS)
"""The keys that the reader knows, in the order of the sections."""

DURATIONS = """## Durations

A number and a unit: `90 s`, `30 min`, `2 h`, `3 days`, `1 week`, also together: `1 h 30 min`. Or ISO 8601: `P3D`,
`PT90M`."""


def page() -> str:
    """Return the page.

    Raises: ValueError if a key of the reader has no meaning here, or one here is no key of the reader.
    """
    for (title, _, keys), declared in zip(SECTIONS, DECLARED, strict=True):
        if set(keys) != set(declared):
            raise ValueError(f"policy.yml, {title}: {sorted(set(keys) ^ set(declared))} is on one side only")
    parts = [_section(*section) for section in SECTIONS]
    return tables.page("policy.yml", "`tools/docs/policy.py`, held to `approvals/policy/`", ABOUT, *parts, DURATIONS)


def _section(title: str, about: str, keys: Keys) -> str:
    rows = [(tables.code(name), key.meaning, tables.code(f"{name}: {key.example}")) for name, key in keys.items()]
    return "\n\n".join(filter(None, [f"## {title}", about, tables.table(("key", "meaning", "example"), rows)]))
