"""Freezes the latest version of the workflow: records its histories for the replay test. `make freeze` runs it.

A version that is frozen is not recorded anew without a reason, for what waits on it would be lost. From the tag 1.0.0
on there is none: a changed workflow is a new version (docs/how-to/change-a-waiting-workflow.md).
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from bot.engine.client import Engine
from tests.end_to_end.conftest import STORY
from tests.end_to_end.system import Order, System, eventually, running
from workflows.versions import APPROVALS

HISTORIES = Path(__file__).parent / "histories"
REASONS = HISTORIES / "reasons.md"

FROZEN = """{version} is frozen: {count} histories of it are recorded, and requests may wait on it.
Put a change into a new version (docs/how-to/change-a-waiting-workflow.md). Before the tag 1.0.0 it may be recorded
anew, with a reason: make freeze REASON="why waiting requests may be lost"
"""


def approved(system: System) -> Order:
    order = system.order("approved", currency="USD")
    order.card()
    order.raise_event({"approved": True})
    eventually(lambda: "request.refused" in order.actions())
    order.click("U0MANAGER")
    return order


def rejected(system: System) -> Order:
    order = system.order("rejected", currency="USD")
    order.card()
    order.reject("U0MANAGER", "Too dear")
    return order


def timed_out(system: System) -> Order:
    return system.order("timed-out", currency="EUR")


def in_two_stages(system: System) -> Order:
    order = system.order("stages", "900", currency="GBP")
    order.click("U0MANAGER")
    order.card(stage=1)
    order.click("U0VP", stage=1)
    return order


def escalated(system: System) -> Order:
    order = system.order("escalated", "100", currency="JPY")
    order.card_says("S0VPS")
    order.click("U0VP")
    return order


def withdrawn(system: System) -> Order:
    order = system.order("withdrawn", currency="USD")
    order.card()
    text = f"withdraw {order.id} no longer needed"
    system.act(system.slack.act_as("U0REQUESTER").slash("/approval", text))
    return order


SCENES = (approved, rejected, timed_out, in_two_stages, escalated, withdrawn)


async def history(system: System, order: Order) -> list[dict[str, object]]:
    """Return the raw history as JSON."""
    engine = Engine(system.sidecar)
    events = await engine.recorded(order.instance_id)
    await engine.close()
    return [MessageToDict(event) for event in events]


def target(version: str, scene: Callable[[System], Order]) -> Path:
    """Return the file of a scene's history."""
    return HISTORIES / f"{version}-{scene.__name__}.json"


def wanted(version: str, reason: str) -> tuple[Callable[[System], Order], ...]:
    """Return the scenes to record: all of them with a reason, else those that are not recorded yet."""
    return tuple(scene for scene in SCENES if reason.strip() or not target(version, scene).exists())


def main() -> None:
    """Write one file for each scene, named by the latest version, and the reason for it."""
    version, reason = APPROVALS.latest, " ".join(sys.argv[1:])
    scenes = wanted(version, reason)
    if not scenes:
        sys.exit(FROZEN.format(version=version, count=len(SCENES)))
    with tempfile.TemporaryDirectory() as name:
        policy = Path(name) / "story.yml"
        policy.write_text(STORY)
        with running(Path(name), policy=policy) as system:
            for scene in scenes:
                order = scene(system)
                found = {"instance_id": order.instance_id, "output": order.output()}
                found["events"] = asyncio.run(history(system, order))
                target(version, scene).write_text(json.dumps(found, indent=1) + "\n")
    with REASONS.open("a") as reasons:
        names = ", ".join(scene.__name__ for scene in scenes)
        why = reason or "recorded for the first time"
        reasons.write(f"- {datetime.now(UTC):%Y-%m-%d}, {version} ({names}): {why}.\n")


if __name__ == "__main__":
    main()
