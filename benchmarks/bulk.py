"""Purging many completed instances at once: the rate, and how the app answers meanwhile.

    .venv/bin/python -m benchmarks.bulk [--many 10000]

App, sidecar and local Slack are processes of this machine. Before the purge, /livez and clicks are measured in quiet;
then the same during it. The last line is JSON; times are milliseconds.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx
from dapr.ext.workflow import DaprWorkflowClient

from benchmarks import serving
from local.slack import LocalSlack

ROOT = Path(__file__).parents[1]
FILLER = "bulk_workflow"
"""Of an operation that does not exist, it ends after one activity: the cheapest thing that completes."""


def fill(address: str, many: int) -> float:
    """Complete so many instances; returns how many a second."""
    host, _, port = address.rpartition(":")
    client = DaprWorkflowClient(host=host, port=port)
    begun = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: _one(client, number), range(many)))
    return many / (time.perf_counter() - begun)


def _one(client: DaprWorkflowClient, number: int) -> None:
    client.schedule_new_workflow(FILLER, input={"operation_id": "0"}, instance_id=f"filler-{number}")


class Meanwhile:
    """Asks /livez and clicks on fresh cards until it is told to stop."""

    def __init__(self, app: serving.App, slack: LocalSlack) -> None:
        self.livez: list[float] = []
        self.clicks: list[float] = []
        self._app = app
        self._slack = slack
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._ask, self._click)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._app.http.base_url, timeout=30) as http:
            while not self._stop.wait(0.02):
                self.livez.append(timed(lambda: http.get("/livez")))

    def _click(self) -> None:
        with httpx.Client(base_url=self._app.http.base_url, headers=self._app.http.headers, timeout=30) as http:
            while not self._stop.wait(0.2):
                self._decide(http, f"click-{time.monotonic_ns()}")

    def _decide(self, http: httpx.Client, order: str) -> None:
        http.post(f"/orders/{order}/start", json={"amount": 2400}).raise_for_status()
        serving.until(lambda: self._card(order) is not None)
        actor = self._slack.act_as("U0MANAGER")
        outcome = self._slack.run(actor.click("approvals", self._card(order).ts, "approval_approve"))
        if outcome.status != 200:
            raise RuntimeError(outcome)
        self.clicks.append(outcome.elapsed * 1000)

    def _card(self, order: str) -> Any:
        return next((each for each in reversed(self._slack.messages("approvals")) if order in each.text), None)

    def figures(self) -> dict[str, Any]:
        """Return what was measured."""
        return {"livez_ms": quantiles(self.livez), "click_to_acknowledged_ms": quantiles(self.clicks)}


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def quantiles(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(max(times), 1), "count": len(times)}


def purge(app: serving.App, many: int) -> dict[str, Any]:
    """Purge all fillers: dry run, the real call, and its end."""
    chosen = {"action": "purge", "filter": {"name": FILLER, "completed": True}}
    begun = time.perf_counter()
    plan = app.http.post("/workflows/bulk", json=chosen).raise_for_status().json()
    planned = time.perf_counter()
    body = {"action": "purge", "dry_run": False, "token": plan["token"], "reason": "benchmark"}
    started = app.http.post("/workflows/bulk", json=body).raise_for_status().json()
    path = f"/workflows/bulk/{started['operation_id']}"
    serving.until(lambda: app.http.get(path).json()["state"] == "done", 1200)
    took = time.perf_counter() - planned
    found = app.http.get(path).json()
    if (found["done"], plan["total"]) != (many, many):
        raise RuntimeError(found)
    return {"purged": found["done"], "dry_run_s": round(planned - begun, 2), "purged_per_second": round(many / took)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=10_000)
    many = parser.parse_args().many
    with (
        tempfile.TemporaryDirectory() as name,
        serving.sidecar(Path(name)) as sidecar,
        LocalSlack(manifest=ROOT / "manifest.yml") as slack,
        serving.serving(Path(name), slack, sidecar) as app,
    ):
        print(f"{many:,} instances completed at {fill(sidecar, many):.0f}/s")
        chosen = {"action": "purge", "filter": {"name": FILLER, "completed": True}}
        begun = time.perf_counter()
        while app.http.post("/workflows/bulk", json=chosen).json()["total"] != many:
            time.sleep(2)
        print(f"found by the reconciler after {time.perf_counter() - begun:.0f} s more")
        with Meanwhile(app, slack) as quiet:
            time.sleep(10)
        with Meanwhile(app, slack) as busy:
            found = purge(app, many)
    print(json.dumps({"benchmark": "bulk"} | found | {"quiet": quiet.figures(), "meanwhile": busy.figures()}))


if __name__ == "__main__":
    main()
