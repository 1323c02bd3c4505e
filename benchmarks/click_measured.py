"""What a click costs: until it is acknowledged (and durable), and until the workflow goes on.

    python benchmarks/click.py [--clicks 300]

One run, click by click in turn: a bare Bolt app that only acknowledges (process_before_response, its own signature
check), and this app with a decision that counts, under the same uvicorn settings; then two events that the SDK raises
straight: at a workflow that only waits (`raise`), and the same decision at an order of this app (`raise_order`).
The clicks are sent by aiohttp, whose own work is small beside what is measured: httpx takes longer for one request than
the bare app does. Resumed is when the next activity stands in the history, by the sidecar's own clock. `fsync` is one
page written and flushed beside them: an acknowledgement waits for such a flush, the bare one for none, so a disk whose
own p99 is tens of milliseconds shows in `ack_p99_ratio`. Everything is a process of its own on loopback. The last line
is one JSON object with all figures.
"""

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import dapr.ext.workflow as wf
import httpx
from dapr.ext.workflow.aio import DaprWorkflowClient
from dapr.ext.workflow.logger.options import LoggerOptions
from fastapi import FastAPI, Request, Response
from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult

from approvals.decision import Decision
from approvals.people import Person
from approvals.request import Binding
from approvals.signing import Purpose
from approvals.state import binding_of
from bot.app import create_app
from bot.cli.serving import serve
from bot.engine.client import Engine
from bot.process import logs
from bot.process.settings import Settings
from cards.binding import binding_value
from cards.request_card import APPROVE
from local.sidecar import run as run_sidecar
from local.slack import LocalSlack
from records import instances, keys
from records.database import Database

ROOT = Path(__file__).parents[1]
SECRET = "benchmark-signing-secret"  # noqa: S105 it signs on loopback only
WARM_UP = 20
QUIET = LoggerOptions(log_level=logging.ERROR)
FIGURES = ("bare_ack", "fsync", "ack", "raise", "raise_order", "resumed")
MANAGER = Person(team="T0LOCAL", user="U0MANAGER")


# ---- the parts, each a process


def be_bare(_argument: str) -> None:
    """Be a Bolt app that acknowledges a click and does nothing else."""

    async def authorize(**_context: Any) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token="xoxb-none")  # noqa: S106 it opens nothing

    bolt = AsyncApp(signing_secret=SECRET, authorize=authorize, process_before_response=True)

    @bolt.action(APPROVE)
    async def approve(ack: AsyncAck) -> None:
        await ack()

    handler, app = AsyncSlackRequestHandler(bolt), FastAPI()

    @app.post("/slack/events")
    async def events(request: Request) -> Response:
        return await handler.handle(request)

    serve(app, "127.0.0.1", 0)


def be_app(argument: str) -> None:
    """Be this app, as `countersign run` serves it."""
    logs.configure("ERROR")
    serve(create_app(Settings(_env_file=None, **json.loads(argument))), "127.0.0.1", 0)


def be_slack(_argument: str) -> None:
    """Be the workspace."""
    with LocalSlack(manifest=ROOT / "manifest.yml", signing_secret=SECRET) as slack:
        print(slack.api_url, flush=True)
        sys.stdin.read()


def be_sidecar(argument: str) -> None:
    """Be a sidecar on a port and a file."""
    database, port = json.loads(argument)
    run_sidecar(Path(database), port)


def waiting(ctx: wf.DaprWorkflowContext, _data: Any) -> Any:
    yield ctx.wait_for_external_event("approval_decision")
    yield ctx.call_activity(nothing)


def nothing(_ctx: wf.WorkflowActivityContext, _data: Any) -> None:
    """Be the activity that the bare workflow goes on to."""


def be_worker(address: str) -> None:
    """Be the bare worker."""
    host, _, port = address.rpartition(":")
    runtime = wf.WorkflowRuntime(host=host, port=port, logger_options=QUIET)
    runtime.register_workflow(waiting, name="waiting")
    runtime.register_activity(nothing, name="nothing")
    runtime.start()
    print("worker ready", flush=True)
    sys.stdin.read()


PARTS: dict[str, Callable[[str], None]] = {
    "bare": be_bare,
    "app": be_app,
    "slack": be_slack,
    "sidecar": be_sidecar,
    "worker": be_worker,
}


@contextlib.contextmanager
def part(name: str, argument: str = "") -> Iterator[str]:
    """Start a part; gives the line that it says when it is ready."""
    command = [sys.executable, str(Path(__file__).with_name("click.py")), "--part", name, argument]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError(f"the part {name} has no pipes")
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()  # nothing of it is kept


# ---- the measuring


def client(address: str) -> DaprWorkflowClient:
    host, _, port = address.rpartition(":")
    return DaprWorkflowClient(host=host, port=port, logger_options=QUIET)


def signed_decision(settings: Settings, binding: Binding) -> dict[str, Any]:
    """Return the event of an approval, as the app raises it."""
    decision = Decision(
        id=secrets.token_hex(16), binding=binding, person=MANAGER, approved=True, through="slack", at=datetime.now(UTC)
    )
    return settings.keys.sign(decision).model_dump(mode="json")


def block_actions(value: str) -> dict[str, Any]:
    """Return the payload of a click on Approve by a manager."""
    place = {"channel_id": "C0APPROVALS", "message_ts": "1.1", "type": "message"}
    return {
        "type": "block_actions",
        "user": {"id": MANAGER.user, "username": "manager", "team_id": MANAGER.team},
        "api_app_id": "A0LOCAL",
        "team": {"id": MANAGER.team, "domain": "local"},
        "container": place,
        "trigger_id": secrets.token_hex(8),
        "channel": {"id": "C0APPROVALS", "name": "approvals"},
        "actions": [{"type": "button", "action_id": APPROVE, "block_id": "approval_buttons", "value": value}],
    }


def signed(payload: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return the bytes and headers that Slack sends."""
    body, stamp = urlencode({"payload": json.dumps(payload)}).encode(), str(int(time.time()))
    mac = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={mac}",
    }


async def click(client: aiohttp.ClientSession, url: str, value: str) -> tuple[float, float]:
    """Click; returns the wall-clock time of the click and the seconds until the acknowledgement."""
    body, headers = signed(block_actions(value))
    at, began = time.time(), time.perf_counter()
    async with client.post(f"{url}/slack/events", data=body, headers=headers) as answer:
        await answer.read()
    took = time.perf_counter() - began
    answer.raise_for_status()
    return at, took


class Disk:
    """One page of a file, in the folder where everything else is written."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the measuring

    def flushed(self) -> float:
        """Write the page and flush it; returns the seconds that took."""
        began = time.perf_counter()
        os.pwrite(self._file.fileno(), secrets.token_bytes(4096), 0)
        os.fdatasync(self._file.fileno())
        return time.perf_counter() - began


async def resumed(engine: Engine, instance_id: str, activity: str) -> float:
    """Return the wall-clock time when the activity after the wait was scheduled, by the sidecar's clock.

    Looking too early would take the two cores from what is measured.
    """
    while True:
        await asyncio.sleep(0.03)
        for event in await engine.recorded(instance_id):
            if event.HasField("taskScheduled") and event.taskScheduled.name == activity:
                return event.timestamp.ToNanoseconds() / 1e9


async def over(engine: Engine, instance_id: str) -> None:
    """Wait until everything that follows a decision is done: the card's rewriting is not the next click's matter."""
    while (found := await engine.state(instance_id)) is None or not found.finished:  # noqa: ASYNC110 it is elsewhere
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)


async def orders(settings: Settings, url: str, count: int) -> list[tuple[str, Binding]]:
    """Start orders; returns each instance's id and what its card is bound to."""
    database = Database.open(settings.database_url)
    secret, now = settings.keys.subkey(Purpose.API_KEY), datetime.now(UTC)
    async with database.write() as connection:
        _, token = await keys.create(
            connection, secret, now, name="b", person="requester@example.com", roles=("requester",), created_by="b"
        )
    ids = [f"order-{number}-workflow" for number in range(count)]
    async with httpx.AsyncClient(timeout=30, headers={"Authorization": f"Bearer {token}"}) as client:
        for number in range(count):
            (await client.post(f"{url}/orders/{number}/start", json={"amount": 2400})).raise_for_status()
    found = []
    for instance_id in ids:
        while True:
            async with database.read() as connection:
                row = await instances.get(connection, instance_id)
            if row and row.state and row.posted:
                found.append((instance_id, binding_of(row.state)))
                break
            await asyncio.sleep(0.05)
    await database.close()
    return found


async def ready(url: str) -> None:
    """Wait until the app has everything."""
    async with httpx.AsyncClient() as client:
        while (await client.get(f"{url}/readyz")).status_code != httpx.codes.OK:  # noqa: ASYNC110 another process
            await asyncio.sleep(0.1)


async def measure(settings: Settings, app: str, bare: str, raw: str, clicks: int) -> dict[str, list[float]]:
    """Take turns."""
    await ready(app)
    count = clicks + WARM_UP
    waiting_orders = await orders(settings, app, 2 * count)
    disk, ours, theirs = Disk(), Engine(settings.sidecar_address), Engine(raw)
    sdk, sdk_of_ours = client(raw), client(settings.sidecar_address)
    for number in range(count):
        await sdk.schedule_new_workflow("waiting", instance_id=f"raw-{number}")  # type: ignore[arg-type]
    figures: dict[str, list[float]] = {name: [] for name in FIGURES}
    async with aiohttp.ClientSession() as first, aiohttp.ClientSession() as second:
        for number, (instance_id, binding) in enumerate(waiting_orders[:count]):
            value = binding_value(binding)
            _, bare_ack = await click(first, bare, value)
            fsync = disk.flushed()
            at, ack = await click(second, app, value)
            after = await resumed(ours, instance_id, "judge_decision") - at
            await over(ours, instance_id)
            at = time.time()
            await sdk.raise_workflow_event(f"raw-{number}", "approval_decision", data={"approved": True})
            raw_after = await resumed(theirs, f"raw-{number}", "nothing") - at
            other_id, other = waiting_orders[count + number]
            decision = signed_decision(settings, other)
            at = time.time()
            await sdk_of_ours.raise_workflow_event(other_id, "approval_decision", data=decision)
            order_after = await resumed(ours, other_id, "judge_decision") - at
            await over(ours, other_id)
            if number >= WARM_UP:
                for name, figure in zip(FIGURES, (bare_ack, fsync, ack, raw_after, order_after, after), strict=True):
                    figures[name].append(figure * 1000)
    await ours.close()
    await theirs.close()
    return figures


def quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def report(figures: dict[str, list[float]]) -> None:
    """Print a table, and the line of JSON."""
    out: dict[str, Any] = {"benchmark": "click", "clicks": len(figures["ack"])}
    for name, values in figures.items():
        out |= {f"{name}_p50_ms": round(quantile(values, 50), 3), f"{name}_p99_ms": round(quantile(values, 99), 3)}
        print(f"{name:11} p50 {quantile(values, 50):7.2f} ms   p99 {quantile(values, 99):7.2f} ms")
    out["ack_p50_ratio"] = round(out["ack_p50_ms"] / out["bare_ack_p50_ms"], 2)
    out["ack_p99_ratio"] = round(out["ack_p99_ms"] / out["bare_ack_p99_ms"], 2)
    for name in ("raise", "raise_order"):
        out[f"resumed_above_{name}_p50_ms"] = round(out["resumed_p50_ms"] - out[f"{name}_p50_ms"], 2)
    print(json.dumps(out))


def free_port() -> int:
    import socket  # noqa: PLC0415 only here

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=300)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        PARTS[arguments.part[0]](arguments.part[1])
        return
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, (ours, raw) = Path(name), (free_port(), free_port())
        for port in (ours, raw):
            stack.enter_context(part("sidecar", json.dumps([str(folder / f"{port}.db"), port])))
        stack.enter_context(part("worker", f"127.0.0.1:{raw}"))
        slack = stack.enter_context(part("slack"))
        values = {
            "slack_bot_token": "xoxb-local-workspace",
            "slack_signing_secret": SECRET,
            "slack_api_url": slack,
            "dapr_grpc_port": ours,
            "database_url": f"sqlite:///{folder / 'countersign.db'}",
            "policy": str(ROOT / "policy.yml"),
            "secret_key": secrets.token_urlsafe(48),
        }
        app = stack.enter_context(part("app", json.dumps(values)))
        bare = stack.enter_context(part("bare"))
        settings = Settings(_env_file=None, **values)
        report(asyncio.run(measure(settings, app, bare, f"127.0.0.1:{raw}", arguments.clicks)))


if __name__ == "__main__":
    main()
