"""One process takes clicks and calls, another does the work: together they decide an order."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from local.sidecar import Sidecar
from tests.end_to_end.processes import AppProcess
from tests.end_to_end.system import REAL_SIDECAR, System, eventually, settings_for, workspace
from tests.postgres import running_cluster

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@pytest.fixture(params=BOTH)
def split(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[System, AppProcess, AppProcess]]:
    with ExitStack() as stack:
        sidecar = REAL_SIDECAR or stack.enter_context(Sidecar(tmp_path / "sidecar.db")).address
        slack = stack.enter_context(workspace())
        url = stack.enter_context(running_cluster()).url if request.param == "postgresql" else ""
        settings = settings_for(tmp_path, slack, sidecar, **({"database_url": url} if url else {}))
        apps = [
            stack.enter_context(AppProcess(settings.model_copy(update={"only": part}), tmp_path / f"{part}.log"))
            for part in ("web", "worker")
        ]
        for app in apps:
            eventually(lambda app=app: httpx.get(f"{app.url}/readyz").status_code == 200, 30)
        slack.deliver_to = f"{apps[0].url}/slack/events"
        system = System(slack, apps[0].url, settings, sidecar)
        stack.callback(system.http.close)
        yield system, apps[0], apps[1]
        assert [app.end()[0] for app in apps] == [0, 0]


def test_a_web_and_a_worker_process_decide_an_order_together(split: tuple[System, AppProcess, AppProcess]) -> None:
    system, web, worker = split
    order = system.order("apart")
    order.card()
    order.click("U0MANAGER")
    assert order.output()["status"] == "completed"
    order.card_says("Approved")
    assert len(order.processed()) == 1
    answer = system.order("by-rest")
    answer.card()
    decided = answer.approve_by_rest()  # the answer is the worker's, and the web process waits for it
    assert decided.json()["outcome"] == "accepted", decided.text
    assert "worker" not in httpx.get(f"{web.url}/readyz").json()["checks"]
    assert httpx.get(f"{worker.url}/readyz").json()["leads"] != []
    assert httpx.get(f"{web.url}/readyz").json()["leads"] == []
    headers = {"Authorization": f"Bearer {system.token()}"}
    assert httpx.post(f"{worker.url}/orders/x/start", json={"amount": "1"}, headers=headers).status_code == 404
    assert httpx.post(f"{worker.url}/slack/events").status_code == 404
