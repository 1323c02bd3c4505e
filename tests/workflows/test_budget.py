"""What one order costs in the engine, counted in the recorded histories: steps and bytes, each with its bound."""

import json
from pathlib import Path

import pytest
from dapr.ext.workflow._durabletask.internal import protos
from google.protobuf.json_format import ParseDict

HISTORIES = Path(__file__).parent / "histories"


@pytest.mark.parametrize(
    ("scene", "activities", "kilobytes"),
    [("rejected", 4, 16), ("timed_out", 5, 8), ("escalated", 6, 16), ("in_two_stages", 8, 20)],
)
def test_an_order_takes_few_activities_and_a_short_history(scene: str, activities: int, kilobytes: int) -> None:
    told = json.loads((HISTORIES / f"first-{scene}.json").read_text())
    events = [ParseDict(each, protos.HistoryEvent()) for each in told["events"]]
    assert sum(event.HasField("taskScheduled") for event in events) <= activities
    assert sum(event.ByteSize() for event in events) <= kilobytes * 1024


def test_an_approved_order_is_five_activities_beside_the_judging_of_a_forged_event() -> None:
    told = json.loads((HISTORIES / "first-approved.json").read_text())
    asked = [each["taskScheduled"]["name"] for each in told["events"] if "taskScheduled" in each]
    assert asked == [
        "route_request",
        "request_approval",
        "judge_decision",  # of an unsigned event, which is part of the scene
        "judge_decision",
        "record",
        "process_order",
    ]
    events = [ParseDict(each, protos.HistoryEvent()) for each in told["events"]]
    assert sum(event.ByteSize() for event in events) <= 16 * 1024
