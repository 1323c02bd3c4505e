"""A sidecar that answers and takes no event, as with its scheduler away: shown within 5 s, and nothing is lost."""

import asyncio
import threading
import time
from functools import cached_property
from typing import Any

import pytest

from bot.engine.client import Engine, EngineUnavailableError
from bot.services import Services
from tests.end_to_end.system import System, eventually

SHOWN_WITHIN_S = 5.0


class Half(Engine):
    """An engine that reads and takes no event: it says so at once, or only at the call's deadline."""

    refuses = threading.Event()
    hangs = threading.Event()

    async def raise_event(self, instance_id: str, name: str, payload: dict[str, Any]) -> None:
        """Raise, unless the scheduler is away."""
        if self.hangs.is_set():
            await asyncio.sleep(self._timeout)
            raise EngineUnavailableError("DEADLINE_EXCEEDED")
        if self.refuses.is_set():
            raise EngineUnavailableError("the scheduler is away")
        await super().raise_event(instance_id, name, payload)


class Parts(Services):
    """The app's parts on such an engine."""

    @cached_property
    def engine(self) -> Half:
        """The engine that takes no event."""
        settings = self.settings
        return Half(settings.sidecar_address, "", settings.dapr_api_timeout_seconds)


SETTINGS = {"parts": Parts}


@pytest.mark.parametrize("way", ["refuses", "hangs"])
def test_decisions_that_reach_no_workflow_are_shown_within_five_seconds_and_delivered_later(
    system: System, way: str
) -> None:
    order = system.order(way)
    order.card()
    away: threading.Event = getattr(Half, way)
    away.set()
    try:
        assert order.click("U0MANAGER").ok
        clicked = time.monotonic()
        eventually(lambda: "No decision has reached its workflow" in readiness(system)["delivery"], SHOWN_WITHIN_S)
        eventually(lambda: "countersign_deliveries_failing 1.0" in system.http.get("/metrics").text, 5)
        assert time.monotonic() - clicked < SHOWN_WITHIN_S
        assert system.http.get("/readyz").json()["status"] == "degraded"
        assert "sidecar, its placement and its scheduler" in readiness(system)["delivery"]
    finally:
        away.clear()
    assert order.result() == {"status": "completed"}
    assert readiness(system)["delivery"] == "ok"
    assert "countersign_deliveries_failing 0.0" in system.http.get("/metrics").text


def readiness(system: System) -> dict[str, str]:
    return dict(system.http.get("/readyz").json()["checks"])
