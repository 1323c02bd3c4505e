"""`countersign demo`: sidecar, local Slack and the app in one process, an order waiting, and what to click.

The one command that uses local/. Everything it makes lies in a folder that goes when it ends.
"""

import contextlib
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer
import uvicorn

from approvals.audit_actions import AuditAction
from approvals.signing import Purpose
from bot.app import create_app
from bot.cli import output
from bot.cli.database_session import operator, with_database
from bot.cli.init import POLICY
from bot.dashboard.one_time_link import address
from bot.process import logs
from bot.process.connections import KEEP_ALIVE_S, bounded_connections
from bot.process.settings import Settings
from bot.slack import manifest as slack_manifest
from local.sidecar import Sidecar
from local.slack import LocalSlack
from local.slack.workspace import LOCAL_CLIENT_ID, LOCAL_CLIENT_SECRET
from records import audit, keys
from records.database import Database

T = TypeVar("T")

HOST = "127.0.0.1"
DEMO_PATIENCE_S = 15.0
ORDER = {"amount": "2400.00", "description": "Two replacement laptops", "requester": "requester@example.com"}
QUICK_RULE = """\
  - name: a manager within 4 seconds, in this demo only
    when:
      amount: {from: 3000, to: 3000}
    approve:
      - group: managers
    within: 4 seconds

"""
"""The shipped policy gives people days; nobody watches a demo that long."""


class DemoError(Exception):
    """Something did not come out as told. The text is a message."""


class Demo:
    """The running parts, and hands to act with."""

    def __init__(
        self, slack: LocalSlack, url: str, settings: Settings, tokens: dict[str, str], key_ids: dict[str, str]
    ) -> None:
        self.slack = slack
        self.url = url
        self.settings = settings
        self.tokens = tokens
        self._key_ids = key_ids
        self._http = httpx.Client(base_url=url, timeout=DEMO_PATIENCE_S)

    def close(self) -> None:
        """Let go of the connection to the app."""
        self._http.close()

    def link(self, who: str) -> str:
        """Return a link to the dashboard that signs in once as one of the cast."""
        return address(self.url, self.settings.keys, self._key_ids[who], datetime.now(UTC) + timedelta(days=1))

    def act(self, work: Coroutine[Any, Any, T]) -> T:
        """Do one of local Slack's coroutines."""
        return self.slack.run(work)

    def until(self, what: str, found: Callable[[], T], seconds: float = DEMO_PATIENCE_S) -> T:
        """Return the first true value. Raises: DemoError, saying what never happened."""
        end = time.monotonic() + seconds
        while not (value := found()):
            if time.monotonic() > end:
                raise DemoError(f"This never happened: {what}.")
            time.sleep(0.05)
        return value

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, who: str = "operator") -> Any:
        """Call REST with a person's key. Raises: DemoError with the app's message."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        answer = self._http.request(method, path, json=body, headers=headers)
        if answer.is_error:
            raise DemoError(str(answer.json().get("detail", answer.status_code)))
        return answer.json()

    def ready(self) -> bool:
        """Whether every part that a decision needs is there."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def demo(
    *,
    auto: Annotated[bool, typer.Option("--auto", help="play the whole story by itself, then end")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the app; 0: a free one")] = 0,
    slack_port: Annotated[int, typer.Option(min=0, max=65535, help="of local Slack; 0: a free one")] = 0,
    sidecar_port: Annotated[int, typer.Option(min=0, max=65535, help="of the sidecar; 0: a free one")] = 0,
) -> None:
    """Show everything in one terminal: an order of $2,400 waits in a local Slack until you decide. Ctrl-C ends it.

    Example: countersign demo --auto
    """
    from bot.cli import demo_invitation, demo_story

    logs.configure("ERROR")
    try:
        with _interruptible(), running(port, slack_port, sidecar_port, quick=auto) as parts:
            if auto:
                demo_story.play(parts)
                if sys.stdout.isatty():
                    output.say(f"\nAll of it is still there, until Ctrl-C:\n{demo_invitation.addresses(parts)}")
                    threading.Event().wait()
            else:
                demo_invitation.invite(parts)
                threading.Event().wait()
    except DemoError as error:
        output.fail(f"The demo did not come out as told. {error}")
    except KeyboardInterrupt:
        output.say("\nStopped; the demo's folder is gone.")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """End on SIGTERM the way Ctrl-C ends it, so that nothing is left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def running(port: int = 0, slack_port: int = 0, sidecar_port: int = 0, *, quick: bool = False) -> Iterator[Demo]:
    """Start all parts, the app last; end them in the opposite order. Raises: DemoError."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-demo-")))
        listener = stack.enter_context(_listener(port))
        token = secrets.token_urlsafe(32)
        if sidecar_port:
            _listener(sidecar_port).close()  # gRPC would tell of a taken port in its own words
        sidecar = stack.enter_context(Sidecar(folder / "sidecar.db", sidecar_port, token=token))
        slack = stack.enter_context(_slack(slack_port))
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        settings = _settings(folder, slack, sidecar.address, token, url, quick=quick)
        made = with_database(settings, lambda database: _keys(database, settings), make=True)
        tokens, key_ids = ({name: key[at] for name, key in made.items()} for at in (1, 0))
        parts = Demo(slack, url, settings, tokens, key_ids)
        stack.callback(parts.close)
        stack.enter_context(_app(settings, listener))
        slack.deliver_to = f"{url}/slack/events"
        parts.until("the app became ready", parts.ready)
        yield parts


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise DemoError(f"Port {port} cannot be had ({error.strerror}): name another one, or none.") from error


@contextlib.contextmanager
def _slack(port: int) -> Iterator[LocalSlack]:
    try:
        slack = LocalSlack(manifest=slack_manifest.manifest(), port=port).start()
    except OSError as error:
        raise DemoError(f"Port {port} cannot be had ({error.strerror}): name another one, or none.") from error
    try:
        yield slack
    finally:
        slack.stop()


def _settings(  # noqa: PLR0913 what the parts say of themselves
    folder: Path, slack: LocalSlack, sidecar: str, token: str, url: str, *, quick: bool
) -> Settings:
    """Return settings of the demo's own: nothing of this machine's environment or .env reaches it."""
    host, _, port = sidecar.rpartition(":")
    policy = folder / POLICY
    policy.write_text(_policy(quick=quick), encoding="utf-8")
    own: dict[str, Any] = {
        "slack_bot_token": slack.bot_token,
        "slack_signing_secret": slack.signing_secret,
        "slack_api_url": slack.api_url,
        "dapr_grpc_host": host,
        "dapr_grpc_port": int(port),
        "dapr_api_token": token,
        "database_url": f"sqlite:///{folder / 'countersign.db'}",
        "policy": policy,
        "secret_key": secrets.token_urlsafe(48),
        "public_url": url,
        "slack_client_id": LOCAL_CLIENT_ID,
        "slack_client_secret": LOCAL_CLIENT_SECRET,
        "checkpoint_dir": folder / "checkpoints",
    }
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    return Settings(_env_file=None, **(defaults | own))


def _policy(*, quick: bool) -> str:
    beside = Path(__file__).resolve().parents[2] / POLICY
    source = beside if beside.is_file() else resources.files("bot").joinpath(POLICY)
    text = source.read_text(encoding="utf-8")
    return text.replace("\nrules:\n", f"\nrules:\n{QUICK_RULE}", 1) if quick else text


async def _keys(database: Database, settings: Settings) -> dict[str, tuple[str, str]]:
    """Make a key for each of the cast, and return its id and its token. They end with the day."""
    now = datetime.now(UTC)
    cast = {
        "requester": ("requester",),
        "manager": ("approver",),
        "operator": ("operator", "auditor", "admin"),
    }
    found = {}
    secret = settings.keys.subkey(Purpose.API_KEY)
    for name, roles in cast.items():
        async with database.write() as connection:
            made, token = await keys.create(
                connection,
                secret,
                now,
                name=f"demo {name}",
                person=f"{name}@example.com",
                roles=roles,
                created_by=operator(),
                expires_at=now + timedelta(days=1),
            )
            await audit.append(
                connection, audit.Entry(at=now, actor=operator(), action=AuditAction.KEY_CREATED, data={"key": made.id})
            )
        found[name] = (made.id, token)
    return found


@contextlib.contextmanager
def _app(settings: Settings, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread of its own, so that the terminal stays free for Ctrl-C."""
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http=bounded_connections(),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="app", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2)
