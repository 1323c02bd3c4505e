"""Many people who may not decide click while Slack says of nobody who they are; the manager is heard all the same.

How soon: `python -m tests.torture`, its attack `crowd`.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from activities.judging import MOST_OF_A_CROWD
from tests.end_to_end.conftest import STORY
from tests.end_to_end.system import System

CROWD = 150
OUTAGE_S = 4.0
BY_EMAIL = STORY.replace("rules:\n", """rules:
  - {name: by e-mail, when: {currency: PLN}, approve: [{email: manager@example.com}], within: 1 day}
""", 1)  # fmt: skip
SETTINGS = {"policy": BY_EMAIL}


async def crowd(system: System, ts: str, users: list[str]) -> list[Any]:
    """Let all click, fifty at a time."""
    turns = asyncio.Semaphore(50)

    async def click(user: str) -> Any:
        async with turns:
            return await system.slack.act_as(user).click("approvals", ts, "approval_approve")

    return await asyncio.gather(*(click(user) for user in users))


@pytest.mark.parametrize("currency", ["USD", "PLN"], ids=["asked as a group", "asked by e-mail"])
def test_the_manager_decides_after_an_outage_in_which_many_others_clicked(
    alone: Callable[..., System], currency: str
) -> None:
    system = alone()
    order = system.order("crowd", currency=currency)
    card = order.card()
    users = [f"U1CROWD{number:03d}" for number in range(CROWD)]
    for user in users:
        system.act(system.slack.change_user(user))
    system.act(system.slack.change_channel("C0APPROVALS", members=(*members(system), *users)))
    system.slack.fault(method="users.info", kind="slow", delay=30, count=None)
    before = len(system.slack.calls("users.info"))
    began = time.monotonic()
    outcomes = system.act(crowd(system, card.ts, users))
    manager = order.click("U0MANAGER")
    assert manager.ok
    assert all(each.ok for each in outcomes)
    time.sleep(max(0.0, began + OUTAGE_S - time.monotonic()))
    system.slack.clear_faults()
    assert order.result(60) == {"status": "completed"}
    looked_up = len(system.slack.calls("users.info")) - before
    raised = [row for row in order.decisions() if row.payload]
    assert (looked_up <= 3 * MOST_OF_A_CROWD, len(raised)) == (True, 1), (looked_up, len(raised))
    assert len(order.processed()) == 1


def members(system: System) -> tuple[str, ...]:
    return tuple(system.slack.workspace.world.channels["C0APPROVALS"].members)
