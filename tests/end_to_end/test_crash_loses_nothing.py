"""kill -9 of the app between acknowledgement and delivery, 50 times: every acknowledged click counts once.

Always on the local sidecar. Worker streams that break so fast can leave the real one (1.18.3) without its workflow
actors while a worker is connected ("actor type … not registered", dapr/dapr pull request 10059): every change hangs
until the sidecar itself is started again, and that is not ours to do.
"""

import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.decisions.submissions import DEADLINE_S
from bot.process.settings import Settings
from local.sidecar import Sidecar
from local.slack import LocalSlack
from tests.end_to_end.forking import Forks
from tests.end_to_end.system import AppServer, Order, System, buttons_of, eventually, settings_for, workspace

KILLS = 25
"""In each of the two forms."""

NOBODY = 1
"""A port where no sidecar is."""


@pytest.mark.parametrize("sidecar", ["away", "there"])
def test_every_acknowledged_click_counts_once(tmp_path: Path, sidecar: str) -> None:
    # With the sidecar away nothing can have been delivered; with it there the kill hits wherever it hits.
    with ExitStack() as stack:
        engine = stack.enter_context(Sidecar(tmp_path / "sidecar.db"))
        slack = stack.enter_context(workspace())
        settings = settings_for(tmp_path, slack, engine.address)
        orders = _asked(slack, settings, engine.address)
        _click_and_kill(orders, settings if sidecar == "there" else _without_sidecar(settings))
        url = stack.enter_context(AppServer(settings))
        for order in orders:
            order.system.slack.deliver_to = f"{url}/slack/events"
            assert order.result(60) == {"status": "completed"}
            assert order.actions().count("request.accepted") == 1
            assert len(order.processed()) == 1
            assert [row.verdict for row in order.decisions() if row.verdict is None] == []
            eventually(lambda order=order: not buttons_of(order.card()))


def _asked(slack: LocalSlack, settings: Settings, engine: str) -> list[Order]:
    with AppServer(settings) as url:
        system = System(slack, url, settings, engine)
        eventually(lambda: system.http.get("/readyz").json()["status"] == "ready")
        orders = [system.order(f"kill-{number}") for number in range(KILLS)]
        for order in orders:
            eventually(lambda order=order: "card.posted" in order.actions())
        system.http.close()
        return orders


def _without_sidecar(settings: Settings) -> Settings:
    return settings.model_copy(update={"dapr_grpc_port": NOBODY})


def _click_and_kill(orders: list[Order], settings: Settings) -> None:
    dice = random.Random(25)
    with Forks() as forks:
        for order in orders:
            while not order.decisions():
                pid, url = forks.start(settings)
                order.system.slack.deliver_to = f"{url}/slack/events"
                began = time.monotonic()
                assert order.click("U0MANAGER").ok
                confirmed = time.monotonic() - began < DEADLINE_S  # later the person is told that it is not
                time.sleep(dice.random() * 0.03 if settings.dapr_grpc_port != NOBODY else 0)
                os.kill(pid, signal.SIGKILL)
                assert order.decisions() or not confirmed
