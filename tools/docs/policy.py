"""The page of policy.yml, made from the classes that read it: each key with its meaning and an example."""

from typing import Any, Final

import yaml

from approvals.policy.condition import BOUNDS, Condition
from approvals.policy.fields import FieldRule
from approvals.policy.kinds import KindRule
from approvals.policy.model import (
    MOST_RULES,
    DelegationRule,
    EscalationRule,
    Policy,
    Quota,
    Quotas,
    Rule,
    SeatRule,
    StageRule,
)
from approvals.policy.reading import PolicyEntry
from tools.docs import tables

ABOUT = f"""[Write a policy](../how-to/write-a-policy.md) begins with a whole file. `countersign policy check` names
every mistake with its line; a key that is not in this list is one. A file has at most {MOST_RULES} rules."""

SECTIONS: Final[tuple[tuple[str, str, type[PolicyEntry]], ...]] = (
    ("The file", "", Policy),
    ("A rule", "Beside these, a rule of one stage has the keys of a stage itself.", Rule),
    ("A stage", "A rule that says `approve: automatic` asks nobody, and has no other key of a stage.", StageRule),
    ("A seat", "Everybody fills one seat at most, whatever groups they are in.", SeatRule),
    ("when", "All that is said must hold.", Condition),
    ("kinds", "Each kind stands under its name: small letters, digits, `-` and `_`.", KindRule),
    ("A field of a kind", "", FieldRule),
    ("escalate", "", EscalationRule),
    ("delegations", "", DelegationRule),
    ("quotas", "", Quotas),
    ("a quota", "", Quota),
)

NOT_WRITTEN: Final = frozenset({"automatic"})
"""Fields that a file says in another way."""

AMOUNTS = f"""The keys of `amount` are {", ".join(map(tables.code, BOUNDS))}: at most one for each end."""

DURATIONS = """## Durations

A number and a unit: `90 s`, `30 min`, `2 h`, `3 days`, `1 week`, also together: `1 h 30 min`. Or ISO 8601: `P3D`,
`PT90M`."""


def page() -> str:
    """Return the page."""
    parts = [_section(*section) for section in SECTIONS]
    return tables.page("policy.yml", "`approvals/policy/`", ABOUT, *parts, DURATIONS)


def _section(title: str, about: str, model: type[PolicyEntry]) -> str:
    rows = [
        (tables.code(key), _meaning(model, name), _example(key, (model.model_fields[name].examples or [None])[0]))
        for key, name in model.keys().items()
        if key not in NOT_WRITTEN
    ]
    more = AMOUNTS if model is Condition else ""
    return "\n\n".join(filter(None, [f"## {title}", about, tables.table(("key", "meaning", "example"), rows), more]))


def _meaning(model: type[PolicyEntry], name: str) -> str:
    text = str(model.model_fields[name].description)
    return f"{text[:1].upper()}{text[1:]}."


def _example(key: str, example: Any) -> str:
    if example is None:
        return ""
    written = yaml.safe_dump({key: example}, default_flow_style=True, sort_keys=False, width=1000).strip()
    return tables.code(written.removeprefix("{").removesuffix("}"))
