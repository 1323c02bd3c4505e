"""Records histories of today's workflow, for the replay test: `python -m tests.workflows.recording [MARK]`.

Run it when the workflow has changed in a way that running instances can follow, and keep the old files beside the new:
an instance that waits today goes on with tomorrow's code.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from bot.engine.client import Engine
from tests.end_to_end.conftest import STORY
from tests.end_to_end.system import Order, System, eventually, running

HISTORIES = Path(__file__).parent / "histories"


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


def main() -> None:
    """Write one file for each scene, named by `mark`."""
    mark = sys.argv[1] if len(sys.argv) > 1 else "first"
    with tempfile.TemporaryDirectory() as name:
        policy = Path(name) / "story.yml"
        policy.write_text(STORY)
        with running(Path(name), policy=policy) as system:
            for scene in SCENES:
                order = scene(system)
                found = {"instance_id": order.instance_id, "output": order.output()}
                found["events"] = asyncio.run(history(system, order))
                target = HISTORIES / f"{mark}-{scene.__name__}.json"
                target.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
