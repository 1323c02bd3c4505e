"""An app in a process of its own for benchmarks, beside a local sidecar and a local Slack. Measures nothing."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from approvals.signing import Purpose
from bot.process.settings import Settings
from local.slack import LocalSlack
from records import keys
from records.database import Database

ROOT = Path(__file__).parents[1]
SECRET = secrets.token_urlsafe(48)
SERVE = """
import sys, uvicorn
from bot.app import create_app
from bot.process.settings import Settings
uvicorn.run(create_app(Settings(_env_file=None)), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


class App(NamedTuple):
    """The running app. `http` bears a key with the roles of a requester and an operator."""

    pid: int
    http: httpx.Client
    database: Path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def sidecar(folder: Path) -> Iterator[str]:
    """Run the local sidecar as a program of its own; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "local.sidecar", "--db", str(folder / "sidecar.db"), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def serving(folder: Path, slack: LocalSlack, sidecar_address: str) -> Iterator[App]:
    """Run the app."""
    host, _, sidecar_port = sidecar_address.rpartition(":")
    database = folder / "countersign.db"
    environment = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "DAPR_RUNTIME_HOST": host,
        "DAPR_GRPC_PORT": sidecar_port,
        "COUNTERSIGN_DATABASE_URL": f"sqlite:///{database}",
        "COUNTERSIGN_POLICY": str(ROOT / "policy.yml"),
        "COUNTERSIGN_SECRET_KEY": SECRET,
    }
    port = free_port()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)], env=os.environ | environment, cwd=ROOT, stdout=quiet, stderr=quiet
    )
    slack.deliver_to = f"http://127.0.0.1:{port}/slack/events"
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            until(lambda: ready(http))
            http.headers["Authorization"] = f"Bearer {asyncio.run(make_key(f'sqlite:///{database}'))}"
            yield App(process.pid, http, database)
    finally:
        process.terminate()
        process.wait(30)


async def make_key(url: str) -> str:
    settings = Settings(_env_file=None, secret_key=SECRET)
    database = Database.open(url)
    async with database.write() as connection:
        secret = settings.keys.subkey(Purpose.API_KEY)
        _, token = await keys.create(
            connection,
            secret,
            datetime.now(UTC),
            name="bench",
            person="requester@example.com",
            roles=("requester", "operator"),
            created_by="benchmark",
        )
    await database.close()
    return token


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(true: Any, seconds: float = 60) -> None:
    """Wait until it is true. Raises: TimeoutError."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)
