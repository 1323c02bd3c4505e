"""Freezes the latest version of the workflow: records its histories for the replay test. `make freeze` runs it.

A version that is frozen is not recorded anew without a reason, for what waits on it would be lost. From the tag 1.0.0
on there is none: a changed workflow is a new version (docs/how-to/change-a-waiting-workflow.md).
"""

import asyncio
import json
import sys
import tempfile
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


SCENES = (approved, rejected, timed_out, in_two_stages, escalated)


async def history(system: System, order: Order) -> list[dict[str, object]]:
    """Return the raw history as JSON."""
    engine = Engine(system.sidecar)
    events = await engine.recorded(order.instance_id)
    await engine.close()
    return [MessageToDict(event) for event in events]


def refusal(version: str, reason: str, folder: Path = HISTORIES) -> str:
    """Return why a version may not be recorded, empty if it may."""
    frozen = list(folder.glob(f"{version}-*.json"))
    return FROZEN.format(version=version, count=len(frozen)) if frozen and not reason.strip() else ""


def main() -> None:
    """Write one file for each scene, named by the latest version, and the reason for it."""
    version, reason = APPROVALS.latest, " ".join(sys.argv[1:])
    if refused := refusal(version, reason):
        sys.exit(refused)
    with tempfile.TemporaryDirectory() as name:
        policy = Path(name) / "story.yml"
        policy.write_text(STORY)
        with running(Path(name), policy=policy) as system:
            for scene in SCENES:
                order = scene(system)
                found = {"instance_id": order.instance_id, "output": order.output()}
                found["events"] = asyncio.run(history(system, order))
                target = HISTORIES / f"{version}-{scene.__name__}.json"
                target.write_text(json.dumps(found, indent=1) + "\n")
    with REASONS.open("a") as reasons:
        reasons.write(f"- {datetime.now(UTC):%Y-%m-%d}, {version}: {reason or 'recorded for the first time'}.\n")


if __name__ == "__main__":
    main()
