"""What one order costs in the engine, counted in the recorded histories: activities, events and bytes, with bounds."""

import json
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow._durabletask.internal import protos
from google.protobuf.json_format import ParseDict

HISTORIES = Path(__file__).parent / "histories"


def recorded(scene: str) -> list[Any]:
    told = json.loads((HISTORIES / f"v1-{scene}.json").read_text())
    return [ParseDict(each, protos.HistoryEvent()) for each in told["events"]]


@pytest.mark.parametrize(
    ("scene", "activities", "events", "kilobytes"),
    [
        ("approved", 6, 26, 16),
        ("rejected", 4, 20, 16),
        ("withdrawn", 4, 20, 16),
        ("timed_out", 5, 27, 8),
        ("escalated", 6, 28, 16),
        ("in_two_stages", 8, 33, 20),
    ],
)
def test_an_order_takes_few_activities_and_a_short_history(
    scene: str, activities: int, events: int, kilobytes: int
) -> None:
    history = recorded(scene)
    counted = sum(event.HasField("taskScheduled") for event in history)
    assert (counted <= activities, len(history) <= events) == (True, True), (scene, counted, len(history))
    assert sum(event.ByteSize() for event in history) <= kilobytes * 1024


def test_an_approved_order_is_five_activities_beside_the_judging_of_a_forged_event() -> None:
    asked = [event.taskScheduled.name for event in recorded("approved") if event.HasField("taskScheduled")]
    assert asked == [
        "route_request",
        "request_approval",
        "judge_decision",  # of an unsigned event, which is part of the scene
        "judge_decision",
        "record",
        "process_order",
    ]
