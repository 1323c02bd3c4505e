"""The whole of it on real parts: sidecar, local Slack and the app under uvicorn, each on a free port of loopback."""

import asyncio
import contextlib
import functools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import uvicorn
from dapr.ext.workflow import DaprWorkflowClient
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.signing import Purpose
from bot.app import create_app
from bot.process.settings import Settings
from bot.services import Services
from cards import reject_modal, request_card
from local.sidecar import Sidecar
from local.slack import Delivery, LocalSlack, Message, Outcome
from local.slack.transport import Envelope
from records import audit, intake, keys, ledger
from records.database import Database

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
REAL_SIDECAR = os.environ.get("COUNTERSIGN_TEST_SIDECAR")
"""HOST:PORT of a real runtime. All apps on it are one app-id, so only one may run at a time, and without -n."""

SHARED: list[Callable[[], None]] = []
"""What ends the systems that tests share. On a real runtime each system that starts ends them: with another database
they would take its work."""

MANAGER = "manager@example.com"
REQUESTER = "requester@example.com"
CHANNEL = "approvals"
NOT_COUNTED = {"type": "plain_text", "text": "Not counted", "emoji": False}
"""The title of the modal that refuses a click."""


def eventually(found: Callable[[], T], seconds: float = 60.0) -> T:
    """Return the first true value; the sentence of the failure says what was last seen.

    The bound is for a busy machine, and longer than the lease after which an unanswered decision is delivered again.
    """
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

    def __init__(self, settings: Settings, parts: Callable[[Settings], Services] = Services) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(create_app(settings, parts), host="127.0.0.1", port=0, log_level="warning", loop="uvloop")
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
        self._tokens: dict[tuple[str, tuple[str, ...]], str] = {}

    def order_id(self, name: str) -> str:
        """Return an id of this run alone: a real runtime keeps what earlier runs left."""
        return f"{name}-{self._run}"

    def act(self, coroutine: Any) -> Any:
        """Run one of local Slack's coroutines."""
        return _apart(self.slack.run, coroutine)

    # ---- what programs do

    def records(self, query: Callable[[AsyncConnection], Awaitable[T]], *, write: bool = False) -> T:
        """Ask the app's own database."""

        async def asked() -> T:
            database = Database.open(self.settings.database_url)
            try:
                async with database.write() if write else database.read() as connection:
                    return await query(connection)
            finally:
                await database.close()

        return _apart(asyncio.run, asked())

    def token(self, person: str = REQUESTER, *roles: str) -> str:
        """Return an API key of a person."""
        known = (person, roles or ("requester", "approver"))
        if known not in self._tokens:
            made = functools.partial(
                keys.create,
                secret=self.settings.keys.subkey(Purpose.API_KEY),
                now=datetime.now(UTC),
                name="test",
                person=person,
                roles=known[1],
                created_by="test",
            )
            self._tokens[known] = self.records(made, write=True)[1]
        return self._tokens[known]

    def post(self, path: str, body: Any = None, *, by: str = REQUESTER, roles: tuple[str, ...] = ()) -> httpx.Response:
        """Call REST with a person's key."""
        return self.http.post(path, json=body, headers={"Authorization": f"Bearer {self.token(by, *roles)}"})

    def start(self, name: str, amount: str = "2400", *, by: str = REQUESTER, **body: Any) -> httpx.Response:
        """Start an order; `name` becomes an id of this run."""
        return self.post(f"/orders/{self.order_id(name)}/start", {"amount": amount, **body}, by=by)

    def order(self, name: str, amount: str = "2400", *, by: str = REQUESTER, **body: Any) -> "Order":
        """Start an order that must start."""
        answer = self.start(name, amount, by=by, **body)
        assert answer.status_code == 200, answer.text
        return Order(self, self.order_id(name))

    # ---- what people do and see

    def deliver(self, payload: dict[str, Any]) -> Delivery:
        """Send an interaction as Slack sends it, freshly signed or in a new envelope. A click's trigger is spent."""
        if payload.get("type") == "block_actions":
            payload = payload | {"trigger_id": "spent"}
        envelope = Envelope("interactive", payload, None)
        delivered: Delivery = self.act(self.slack.on_loop(self.slack.workspace.deliver(envelope)))
        return delivered

    def private(self, user: str) -> list[str]:
        """Return what only this person sees, and what the bot wrote to them."""
        messages = [message.text for message in (*self.slack.ephemerals(user), *self.slack.dms(user))]
        refused = [view for view in self.slack.modals(user) if view.body.get("title") == NOT_COUNTED]
        return [*messages, *(json.dumps(view.blocks, ensure_ascii=False) for view in refused)]

    @contextlib.contextmanager
    def hears(self, user: str, part: str) -> Iterator[None]:
        """Wait at the end of the block until the person is told a sentence that holds `part`."""
        before = self.private(user).count
        known = {text: before(text) for text in self.private(user)}
        yield

        def new() -> list[str]:
            now = self.private(user)
            return [text for text in now if part in text and now.count(text) > known.get(text, 0)]

        eventually(new)

    # ---- the engine

    @property
    def engine(self) -> DaprWorkflowClient:
        """The SDK's client, as an operator's own program has it."""
        return _client(self.sidecar)


class Order:
    """One order on its way."""

    def __init__(self, system: System, order_id: str, instance_id: str = "") -> None:
        self.system = system
        self.id = order_id
        self.instance_id = instance_id or f"order-{order_id}-workflow"

    def cards(self) -> list[Message]:
        """Return the cards of this order, oldest first."""
        found = self.system.slack.messages(CHANNEL)
        return [each for each in found if _instance_of(each) == self.instance_id]

    def card(self, stage: int = 0) -> Message:
        """Wait for the card of a stage and return it as it stands."""
        return eventually(lambda: self._cards_of(stage))[-1]

    def _cards_of(self, stage: int) -> list[Message]:
        return [each for each in self.cards() if each.metadata["event_payload"]["stage"] == stage]

    def card_says(self, *parts: str, stage: int = 0, seconds: float = 60.0) -> Message:
        """Wait until the card says all of this somewhere."""

        def found() -> Message | None:
            card = self.card(stage)
            return card if all(part in text_of(card) for part in parts) else None

        return eventually(found, seconds)

    def thread(self, stage: int = 0) -> list[str]:
        """Return the replies in the card's thread."""
        return [message.text for message in self.system.slack.thread(CHANNEL, self.card(stage).ts)]

    def click(self, user: str, action: str = request_card.APPROVE, stage: int = 0) -> Outcome:
        """Press a button of the card."""
        return self.system.act(self.system.slack.act_as(user).click(CHANNEL, self.card(stage).ts, action))

    def open_rejection(self, user: str) -> None:
        """Press Reject and wait for the modal that asks why."""
        self.click(user, request_card.REJECT)
        eventually(lambda: any(view.callback_id == reject_modal.CALLBACK for view in self.system.slack.modals(user)))

    def reject(self, user: str, reason: str) -> Outcome:
        """Reject with a reason."""
        self.open_rejection(user)
        return self.system.act(self.system.slack.act_as(user).submit(values={reject_modal.ACTION: reason}))

    def approve_by_rest(self, *, by: str = MANAGER, roles: tuple[str, ...] = (), **body: Any) -> httpx.Response:
        """Decide through REST."""
        return self.system.post(f"/orders/{self.id}/approve", {"approved": True, **body}, by=by, roles=roles)

    def state(self) -> Any:
        """Return the engine's state of the instance."""
        return self.system.engine.get_workflow_state(self.instance_id, fetch_payloads=True)

    def status(self) -> str:
        """Return one of Dapr's six statuses."""
        return str(self.state().runtime_status.name)

    def output(self, seconds: float = 60.0) -> Any:
        """Wait for the instance's end and return its output."""
        ended = eventually(lambda: (found := self.state()) and found.runtime_status.name in ENDED and found, seconds)
        return json.loads(ended.serialized_output)

    def result(self, seconds: float = 60.0) -> dict[str, Any]:
        """Return the output's status and reason: who decided it is the business of the tests of that."""
        found = self.output(seconds)
        return {name: found[name] for name in ("status", "reason") if name in found}

    def audit(self) -> tuple[audit.Chained, ...]:
        """Return the order's audit entries, oldest first."""
        return self.system.records(lambda connection: audit.of_instance(connection, self.instance_id))

    def actions(self) -> list[str]:
        """Return the actions of the order's audit entries, oldest first."""
        return [entry.action for entry in self.audit()]

    def decisions(self) -> tuple[intake.Row, ...]:
        """Return what the intake holds for this order."""
        return self.system.records(lambda connection: intake.of_instance(connection, self.instance_id))

    def processed(self) -> tuple[ledger.LedgerRow, ...]:
        """Return what the order ledger holds for this order."""
        return self.system.records(lambda connection: ledger.of_order(connection, self.id))

    def raise_event(self, payload: Any, name: str = "approval_decision") -> None:
        """Raise an event at the sidecar, past everything that checks."""
        self.system.engine.raise_workflow_event(self.instance_id, name, data=payload)


def _apart(run: Callable[[Any], T], coroutine: Any) -> T:
    """Run a coroutine in a thread of its own where a loop runs in this one: Playwright keeps one in the test's."""
    if asyncio._get_running_loop() is None:
        return run(coroutine)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, coroutine).result()


ENDED = frozenset({"COMPLETED", "FAILED", "TERMINATED"})


def clicked_by(payload: Mapping[str, Any], user: str) -> dict[str, Any]:
    """Return a click's payload as another person's; the address for answers in it was the first one's own."""
    return {**payload, "user": payload["user"] | {"id": user}, "response_url": ""}


def text_of(message: Message) -> str:
    """Return all that a message says."""
    return message.text + json.dumps(message.blocks, ensure_ascii=False)


def buttons_of(message: Message) -> dict[str, dict[str, Any]]:
    """Return a message's buttons by their action."""
    found = [each for block in message.blocks if block["type"] == "actions" for each in block["elements"]]
    return {each["action_id"]: each for each in found}


def _instance_of(message: Message) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("instance_id", ""))


@functools.cache
def _client(address: str) -> DaprWorkflowClient:
    """Return one client for each address: every construction adds a log handler."""
    host, _, port = address.rpartition(":")
    return DaprWorkflowClient(host=host, port=port)


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    socket_mode: bool = False,
    sidecar: str | None = None,
    parts: Callable[[Settings], Services] = Services,
    **changes: Any,
) -> Iterator[System]:
    """Start all parts, the app last. `sidecar` names one that runs already, `parts` makes the app's parts."""
    with contextlib.ExitStack() as stack:
        for stop in SHARED if REAL_SIDECAR else ():
            stop()
        sidecar = sidecar or REAL_SIDECAR or stack.enter_context(Sidecar(folder / "sidecar.db")).address
        slack = stack.enter_context(workspace())
        settings = settings_for(folder, slack, sidecar, socket_mode=socket_mode, **changes)
        url = stack.enter_context(AppServer(settings, parts))
        slack.deliver_to = None if socket_mode else f"{url}/slack/events"
        system = System(slack, url, settings, sidecar)
        stack.callback(system.http.close)
        eventually(lambda: system.http.get("/readyz").status_code == 200)
        yield system


def workspace() -> LocalSlack:
    """Return a workspace that waits 30 s for the app: on a busy machine 3 s decided what a test was about.

    That Slack gives up after three seconds is tested in tests/local/slack.
    """
    return LocalSlack(manifest=ROOT / "manifest.yml", deliver_timeout=30.0)


def settings_for(
    folder: Path, slack: LocalSlack, sidecar: str, *, socket_mode: bool = False, **changes: Any
) -> Settings:
    """Return the settings that join an app to these parts. `policy` is a file or a text."""
    host, _, port = sidecar.rpartition(":")
    if isinstance(changes.get("policy"), str):
        (folder / "policy.yml").write_text(changes["policy"])
        changes["policy"] = folder / "policy.yml"
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
        "leader_lease_seconds": 2.0,
        **changes,
    }
    return Settings(_env_file=None, **values)


class SidecarProcess:
    """A local sidecar as a program of its own, that can be frozen and killed. Always the local one."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it, again on the same port and file."""
        code = "import sys; from pathlib import Path; from local.sidecar import run; "
        code += "run(Path(sys.argv[1]), int(sys.argv[2]))"
        command = [sys.executable, "-c", code, str(self._database), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        assert "ready" in self._process.stdout.readline()

    def send(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP freezes it, SIGCONT lets it go on, SIGKILL ends it."""
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
