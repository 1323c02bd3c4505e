"""What a row must follow when the engine says something else: one row for each pair, and the words of a reason."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.control.reconciling.rebuilding import changes, reason_of
from bot.engine.client import EngineInstance
from records import instances

NOW = datetime(2026, 1, 5, 14, tzinfo=UTC)


def row(status: str, phase: str, **more: Any) -> instances.Instance:
    known = {
        "instance_id": "x",
        "name": "n",
        "engine_status": status,
        "phase": phase,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return instances.Instance.model_validate(known | more)


def engine(status: str, **more: Any) -> EngineInstance:
    known = {"instance_id": "x", "name": "n", "status": status, "created_at": NOW, "updated_at": NOW}
    return EngineInstance.model_validate(known | more)


@pytest.mark.parametrize(
    ("ours", "theirs", "follows"),
    [
        (row("RUNNING", "waiting"), engine("RUNNING"), None),
        (row("RUNNING", "waiting", custom_status="a"), engine("RUNNING", custom_status='"a"'), None),
        (row("PENDING", "starting"), engine("RUNNING"), {"engine_status": "RUNNING"}),
        (row("RUNNING", "waiting"), engine("RUNNING", custom_status='"b"'), {"custom_status": "b"}),
        (row("RUNNING", "waiting"), engine("SUSPENDED"), {"engine_status": "SUSPENDED"}),
        (row("RUNNING", "approved"), engine("COMPLETED"), {"engine_status": "COMPLETED", "phase": None}),
        (row("RUNNING", "approved"), engine("FAILED"), {"engine_status": "FAILED", "phase": None}),
        (row("RUNNING", "waiting"), engine("TERMINATED"), {"engine_status": "TERMINATED", "phase": "terminated"}),
        (row("RUNNING", "waiting"), engine("COMPLETED"), {"engine_status": "COMPLETED", "phase": "terminated"}),
        (row("RUNNING", "waiting"), engine("FAILED"), {"engine_status": "FAILED", "phase": "failed"}),
        (row("RUNNING", "unknown"), engine("COMPLETED"), {"engine_status": "COMPLETED", "phase": None}),
        (row("RUNNING", "unknown", name=""), engine("RUNNING"), {"name": "n"}),  # listed before its first turn
        (row("RUNNING", "unknown", name=""), engine("RUNNING", name=""), None),
    ],
)
def test_a_row_follows_the_engine(
    ours: instances.Instance, theirs: EngineInstance, follows: dict[str, object] | None
) -> None:
    found = changes(ours, theirs)
    if follows is None:
        assert found is None
        return
    assert found is not None
    assert {name: getattr(found, name) for name in follows} == follows


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ('{"reason": "withdrawn"}', "withdrawn"),
        ('"stopped by hand"', "stopped by hand"),
        ("not JSON", "not JSON"),
        ('{"reason": 7}', ""),
        ("[1]", ""),
        (None, ""),
        ('"' + "x" * 3000 + '"', "x" * 1000),
    ],
)
def test_a_reason_is_read_from_whatever_a_tool_wrote(output: str | None, reason: str) -> None:
    assert reason_of(output) == reason
