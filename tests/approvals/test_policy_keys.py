"""Each key of policy.yml stands once, in a model, and says what it means with an example that is taken."""

from typing import Any

import pytest
import yaml

from approvals.policy.condition import Condition
from approvals.policy.model import DelegationRule, EscalationRule, Policy, Quota, Quotas, Rule, SeatRule, StageRule
from approvals.policy.reading import PolicyEntry
from approvals.policy.schema import parse_policy

ASK = {"approve": {"user": "U024BE7LH"}}


def _with(entry: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return entry | ({key: value} if key else {})


DELEGATION = {"approver": "U01", "delegate": "U02", "since": "2026-01-01", "until": "2026-02-01"}
FEW = {"at_most": 1, "within": "1 day"}
SEAT = {"name": "legal", "approve": {"user": "U03"}}
LATER = {"after": "1 h", "to": {"user": "U02"}}
AROUND: dict[type[PolicyEntry], Any] = {
    Policy: lambda key, value: _with({"rules": [ASK]}, key, value),
    Rule: lambda key, value: {"rules": [_with({} if key == "stages" else ASK, key, value)]},
    StageRule: lambda key, value: {"rules": [{"stages": [_with({} if key == "seats" else ASK, key, value)]}]},
    SeatRule: lambda key, value: {"rules": [{"seats": [_with(SEAT, key, value)]}]},
    Condition: lambda key, value: {"rules": [ASK | ({"when": {key: value}} if key else {})]},
    EscalationRule: lambda key, value: {"rules": [ASK | {"escalate": _with(LATER, key, value)}]},
    Quotas: lambda key, value: {"rules": [ASK], "quotas": _with({}, key, value)},
    Quota: lambda key, value: {"rules": [ASK], "quotas": {"per_key": _with(FEW, key, value)}},
    DelegationRule: lambda key, value: {"rules": [ASK], "delegations": [_with(DELEGATION, key, value)]},
}
"""The smallest policy around one key of each model."""

NO_KEY_OF_A_FILE = {"automatic"}
EXAMPLES = [
    (model, key, example)
    for model in AROUND
    for key, name in model.keys().items()
    for example in model.model_fields[name].examples or ()
]


@pytest.mark.parametrize(("model", "key", "example"), EXAMPLES, ids=[f"{m.__name__}.{k}" for m, k, _ in EXAMPLES])
def test_the_example_of_a_key_is_taken_and_says_something(model: type[PolicyEntry], key: str, example: Any) -> None:
    def content(document: Any) -> Any:
        return parse_policy(yaml.safe_dump(document)).model_dump(exclude={"version"})

    with_it, without = AROUND[model](key, example), AROUND[model]("", None)
    assert content(with_it) != content(without) or key == "version"


@pytest.mark.parametrize("model", AROUND, ids=lambda model: model.__name__)
def test_every_key_says_what_it_means(model: type[PolicyEntry]) -> None:
    silent = [key for key, name in model.keys().items() if not model.model_fields[name].description]
    assert set(silent) <= NO_KEY_OF_A_FILE
