"""Evidence and digests of requests that were recorded before: a field that is added must not change them."""

import json
from pathlib import Path
from typing import Any

import pytest

from activities.inputs import Routed
from approvals.evidence import Evidence, opening_digest
from approvals.state import State, binding_of

HISTORIES = Path(__file__).parents[1] / "workflows" / "histories"
FILES = sorted(HISTORIES.glob("*.json"))


def routed(events: list[dict[str, Any]]) -> tuple[State, Evidence]:
    """Return what route_request answered when the history was recorded."""
    result = next(each["taskCompleted"]["result"] for each in events if "taskCompleted" in each)
    found = Routed.model_validate_json(result)
    assert found.state is not None
    assert found.evidence is not None
    return found.state, found.evidence


def judgements(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sealed judgements of a history."""
    results = [json.loads(each["taskCompleted"].get("result", "null")) for each in events if "taskCompleted" in each]
    return [vote for result in results if isinstance(result, dict) for vote in result.get("judgements", [])]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_opening_and_the_bindings_of_a_recorded_request_are_the_same_today(path: Path) -> None:
    events = json.loads(path.read_text())["events"]
    state, evidence = routed(events)
    assert opening_digest(state) == evidence.opening
    for vote in judgements(events):
        submitted = vote["judgement"].get("decision") or vote["judgement"]["submission"]
        shown = state.model_copy(update={"stage": vote["stage"], "round": vote["round"]})
        assert binding_of(shown).nonce == submitted["binding"]["nonce"]
