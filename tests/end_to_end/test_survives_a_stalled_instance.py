"""One stalled instance: it says why it waits, and nothing else waits with it."""

import asyncio
from datetime import timedelta
from pathlib import Path

from bot.control.reconciling.doctor import Finding
from bot.services import doctor_of
from tests.end_to_end.control_room import key
from tests.end_to_end.system import System, buttons_of, eventually, running

LARGE = {"x": "a" * 2_100_000}
"""With two of them the instance's next turn does not fit into the engine's largest message: the engine stalls it."""


def examined(system: System) -> tuple[Finding, ...]:
    async def look() -> tuple[Finding, ...]:
        async with doctor_of(system.settings, timedelta(0)) as doctor:
            return await doctor.examine()

    return asyncio.run(look())


def test_a_stalled_instance_says_why_and_no_other_waits_with_it(tmp_path: Path) -> None:
    with running(tmp_path, reconcile_every_seconds=0.5) as system:
        stalled, other = system.order("stalled"), system.order("other")
        stalled.card()
        other.card()
        for name in ("one", "two"):
            stalled.raise_event(LARGE, name)
        headers = key(system, "operator")

        def line() -> str:
            answer = system.http.get(f"/workflows/{stalled.instance_id}", headers=headers)
            assert answer.status_code == 200, answer.text
            return str(answer.json())

        eventually(lambda: "STALLED" in line(), 30)
        for path in ("/workflows", f"/workflows/{stalled.instance_id}/history"):
            assert system.http.get(path, headers=headers).status_code == 200
        why = system.http.get(f"/workflows/{stalled.instance_id}/diagnosis", headers=headers)
        assert "is stalled" in why.text, why.text
        found = {each.kind: each for each in examined(system) if each.instance_id == stalled.instance_id}
        assert "deploy a worker" in found["stalled"].healing
        assert other.click("U0MANAGER").ok
        eventually(lambda: not buttons_of(other.card()), 20)
        system.engine.terminate_workflow(system.order("third").instance_id)
        eventually(lambda: system.http.get("/readyz").status_code == 200)
