"""The whole of it on real parts: sidecar, local Slack and the app under uvicorn, each on a free port of loopback."""

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from bot.app import create_app
from bot.settings import Settings
from local.sidecar import Sidecar
from local.slack import LocalSlack

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
REAL_SIDECAR = os.environ.get("COUNTERSIGN_TEST_SIDECAR")


def eventually(found: Callable[[], T], seconds: float = 15.0) -> T:
    """Return the first true value; the sentence of the failure says what was last seen."""
    end = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {value!r}")
        time.sleep(0.02)


class AppServer:
    """The app under uvicorn in a thread with a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="warning", loop="uvloop")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        eventually(lambda: self._server.started or not self._thread.is_alive())
        if not self._server.started:
            raise AssertionError("the app did not start")
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(15)


class System:
    """Everything that a test needs to act and to look."""

    def __init__(self, slack: LocalSlack, url: str, settings: Settings, sidecar: str) -> None:
        self.slack = slack
        self.url = url
        self.settings = settings
        self.sidecar = sidecar
        self.http = httpx.Client(base_url=url, timeout=20)
        self._run = secrets.token_hex(3)

    def order_id(self, name: str) -> str:
        """Return an id of this run alone: a real runtime keeps what earlier runs left."""
        return f"{name}-{self._run}"

    def act(self, coroutine: Any) -> Any:
        """Run one of local Slack's coroutines."""
        return self.slack.run(coroutine)


@contextlib.contextmanager
def running(folder: Path, *, socket_mode: bool = False, **changes: Any) -> Iterator[System]:
    """Start all parts, the app last."""
    with contextlib.ExitStack() as stack:
        sidecar = REAL_SIDECAR or stack.enter_context(Sidecar(folder / "sidecar.db")).address
        slack = stack.enter_context(LocalSlack(manifest=ROOT / "manifest.yml"))
        host, _, port = sidecar.rpartition(":")
        values = {
            "slack_bot_token": slack.bot_token,
            "slack_signing_secret": "" if socket_mode else slack.signing_secret,
            "slack_app_token": slack.app_token if socket_mode else "",
            "slack_api_url": slack.api_url,
            "dapr_grpc_host": host,
            "dapr_grpc_port": int(port),
            "database_url": f"sqlite:///{folder / 'countersign.db'}",
            "policy": ROOT / "policy.yml",
            "secret_key": secrets.token_urlsafe(48),
            **changes,
        }
        settings = Settings(_env_file=None, **values)
        url = stack.enter_context(AppServer(settings))
        slack.deliver_to = None if socket_mode else f"{url}/slack/events"
        system = System(slack, url, settings, sidecar)
        stack.callback(system.http.close)
        eventually(lambda: system.http.get("/readyz").status_code == 200)
        yield system
