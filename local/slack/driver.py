"""How tests and the demo drive a workspace from Python: start it, act as people, look at what they see, wait for it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from local.slack import changes
from local.slack.actor import Actor
from local.slack.call_log import ApiCall, Delivery
from local.slack.connections import Connections
from local.slack.errors import UsageError
from local.slack.faults import Fault
from local.slack.interactions import Interactions
from local.slack.manifest import AppManifest, load_manifest
from local.slack.seed import Channel, Group, Seed, User, default_seed
from local.slack.server import Server
from local.slack.values import Message, Notice, View
from local.slack.workspace import Settings, Workspace

T = TypeVar("T")
ManifestSource = AppManifest | Mapping[str, Any] | Path | str | None


class LocalSlack:
    """A local Slack workspace on a port of this machine.

    Use it as `async with`, as `with`, or with start() and stop(). `deliver_to` is the app's one request URL; None means
    the manifest's addresses or Socket Mode; it can be set at any time. Further keyword arguments are the fields of
    Settings (bot_token, signing_secret, app_token, client_id, client_secret, rate_limits, deliver_timeout, ...).
    """

    def __init__(
        self,
        *,
        manifest: ManifestSource = None,
        seed: Seed | None = None,
        deliver_to: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        **settings: Any,
    ) -> None:
        self._start = (seed or default_seed(), load_manifest(manifest), Settings(**settings), host, port)
        self._deliver_to = deliver_to
        self._server: Server | None = None

    # life

    def start(self) -> Self:
        """Start serving in a background thread."""
        seed, manifest, settings, host, port = self._start

        def build(connections: Connections) -> Workspace:
            return Workspace(seed, manifest, settings, connections.drop)

        self._server = Server(build, host, port)
        self.workspace.http.deliver_to = self._deliver_to
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving. Does nothing when it is not running."""
        server, self._server = self._server, None
        if server:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise UsageError("the workspace is not running: use it in a with statement, or call start()")
        return self._server

    @property
    def workspace(self) -> Workspace:
        """The inside, for what this class does not offer; change it only through `on_loop`."""
        return self._running.workspace

    async def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the workspace's own loop and wait for it here."""
        return await asyncio.wrap_future(self._running.run(work))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one of this class's coroutines from code that is not async."""
        return asyncio.run(work)

    # addresses and secrets

    @property
    def page_url(self) -> str:
        """The page to open in a browser."""
        return f"{self.workspace.base_url}/"

    @property
    def api_url(self) -> str:
        """The base_url for slack_sdk's clients."""
        return f"{self.workspace.base_url}/api/"

    @property
    def bot_token(self) -> str:
        """The bot's token."""
        return self.workspace.settings.bot_token

    @property
    def app_token(self) -> str:
        """The app-level token for Socket Mode."""
        return self.workspace.settings.app_token

    @property
    def signing_secret(self) -> str:
        """The secret that deliveries are signed with."""
        return self.workspace.settings.signing_secret

    def rotate_signing_secret(self, secret: str) -> None:
        """Sign with another secret from now on, as after a rotation on the app's page at Slack."""
        self.workspace.http.secret = secret

    def rotate_app_token(self, token: str) -> None:
        """Take another app token from now on; sockets that are open stay open."""
        self.workspace.settings = self.workspace.settings.model_copy(update={"app_token": token})

    @property
    def deliver_to(self) -> str | None:
        """The app's request URL for everything."""
        return self._deliver_to

    @deliver_to.setter
    def deliver_to(self, url: str | None) -> None:
        self._deliver_to = url
        if self._server:
            self.workspace.http.deliver_to = url

    # people

    def act_as(self, user: str) -> Actor:
        """Act as a user, named by id, name or e-mail. Raises UsageError for somebody who is not there."""
        world = self.workspace.world
        found = next((u for u in world.users.values() if user in {u.id, u.name, u.email}), None)
        if found is None:
            raise UsageError(f"there is no user {user}; the workspace has: {', '.join(world.users)}")
        return Actor(self, Interactions(self.workspace), found.id)

    # what is there to see

    def messages(self, channel: str) -> list[Message]:
        """Copy a channel's messages, oldest first, replies in threads among them."""
        world = self.workspace.world
        return [message.snapshot() for message in list(world.messages.get(world.channel(channel).id, {}).values())]

    def message(self, channel: str, ts: str) -> Message:
        """Copy one message. Raises SlackError(message_not_found)."""
        world = self.workspace.world
        return world.find_message(world.channel(channel).id, ts).snapshot()

    def thread(self, channel: str, ts: str) -> list[Message]:
        """Copy the replies in a thread, oldest first, without the parent."""
        return [message for message in self.messages(channel) if message.thread_ts == ts and message.ts != ts]

    def ephemerals(self, user: str) -> list[Message]:
        """Copy the messages only this user sees, oldest first."""
        return [message.snapshot() for message in list(self.workspace.world.ephemerals) if message.only_for == user]

    def dms(self, user: str) -> list[Message]:
        """Copy the direct messages between the bot and a user, oldest first."""
        places = [
            place.id for place in list(self.workspace.world.channels.values()) if place.is_im and place.user == user
        ]
        return [message for place in places for message in self.messages(place)]

    def modals(self, user: str) -> list[View]:
        """Copy a user's open modals, the topmost last."""
        return [view.snapshot() for view in list(self.workspace.world.modals.get(user, []))]

    def home(self, user: str) -> View | None:
        """Copy a user's App Home."""
        view = self.workspace.world.homes.get(user)
        return view.snapshot() if view else None

    def notices(self, user: str) -> list[Notice]:
        """List what Slack's client told a user when the app failed."""
        return [notice for notice in list(self.workspace.world.notices) if notice.user == user]

    def calls(self, method: str | None = None) -> list[ApiCall]:
        """List the Web API calls so far; the method "response_url" stands for uses of a response_url."""
        return [call for call in list(self.workspace.calls) if method in {None, call.method}]

    def deliveries(self, kind: str | None = None) -> list[Delivery]:
        """List what was delivered to the app so far: interactive, slash_commands, events_api."""
        return [delivery for delivery in list(self.workspace.deliveries) if kind in {None, delivery.kind}]

    @property
    def sockets(self) -> int:
        """Count the open Socket Mode connections."""
        return self.workspace.socket.connected

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:  # noqa: ASYNC109 # a test's word
        """Wait until a predicate is true and give its value; it is asked after every change, never in a loop.

        Raises TimeoutError after `timeout` seconds.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake(_kind: str, _detail: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(changed.set)

        stop = self.workspace.world.listen(wake)
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    await changed.wait()
                    changed.clear()
                return value
        finally:
            stop()

    # changing the workspace

    async def change_user(self, user: str, **fields: Any) -> User:
        """Change a user's fields, for instance deleted=True; a new id adds a user."""
        return await self.on_loop(changes.change_user(self.workspace.world, user, fields))

    async def change_group(self, group: str, **fields: Any) -> Group:
        """Change a user group's fields, for instance members=("U0MANAGER",); a new id adds a group."""
        return await self.on_loop(changes.change_group(self.workspace.world, group, fields))

    async def change_channel(self, channel: str, **fields: Any) -> Channel:
        """Change a channel's fields; a new id adds a channel."""
        return await self.on_loop(changes.change_channel(self.workspace.world, channel, fields))

    # time and trouble

    def advance(self, seconds: float) -> None:
        """Move the workspace's clock ahead: trigger_ids, response_urls and rate limits follow it."""
        self.workspace.world.ahead += seconds

    def fault(self, **fields: Any) -> Fault:
        """Arm a failure; the keyword arguments are the fields of Fault."""
        fault = Fault(**fields)
        self.workspace.faults.arm(fault)
        return fault

    def clear_faults(self) -> None:
        """End every failure."""
        self.workspace.faults.clear()

    async def replay(self, delivery: Delivery) -> Delivery:
        """Send the very bytes and headers of an earlier HTTP delivery again."""
        return await self.on_loop(self.workspace.replay(delivery))

    async def verify_request_url(self) -> bool:
        """Send url_verification, as Slack does when a request URL is entered, and tell whether the app answered it."""
        return await self.on_loop(self.workspace.events.verify())

    async def disconnect_socket(self, reason: str = "refresh_requested") -> None:
        """Send a Socket Mode disconnect: warning, refresh_requested or link_disabled."""
        await self.on_loop(self.workspace.socket.disconnect(reason))

    async def drop_socket(self) -> None:
        """Cut every Socket Mode connection without a word."""
        await self.on_loop(self.workspace.socket.drop())
