"""One running workspace: its world, its log, its faults and its ways to the app, wired together. No HTTP routes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from local.slack.call_log import ApiCall, Delivery
from local.slack.errors import UsageError
from local.slack.events_api import RETRY_DELAYS, EventsApi
from local.slack.faults import Faults
from local.slack.http_delivery import HttpDelivery
from local.slack.manifest import AppManifest
from local.slack.rate_limits import RateLimits
from local.slack.seed import Seed, Value
from local.slack.sign_in import SignIn
from local.slack.socket_mode import SocketMode
from local.slack.transport import Envelope
from local.slack.values import Json
from local.slack.world import World

# Well-known on purpose: they open nothing but a workspace on this machine.
LOCAL_BOT_TOKEN = "xoxb-local-workspace"  # noqa: S105 # see above
LOCAL_APP_TOKEN = "xapp-local-workspace"  # noqa: S105 # see above
LOCAL_SIGNING_SECRET = "local-signing-secret"  # noqa: S105 # see above
LOCAL_CLIENT_ID = "local-client-id"
LOCAL_CLIENT_SECRET = "local-client-secret"  # noqa: S105 # see above


def is_local(url: str | None) -> bool:
    """Tell whether a manifest's address is on this machine; others are ignored, so that no payload leaves it."""
    host = urlsplit(url or "").hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")


class Settings(Value):
    """How strict the workspace is and which secrets it shares with the app. Times in seconds."""

    bot_token: str = LOCAL_BOT_TOKEN
    app_token: str = LOCAL_APP_TOKEN
    signing_secret: str = LOCAL_SIGNING_SECRET
    client_id: str = LOCAL_CLIENT_ID
    client_secret: str = LOCAL_CLIENT_SECRET
    app_scopes: tuple[str, ...] = ("connections:write",)
    rate_limits: bool = False
    deliver_timeout: float = 3.0
    event_retry_delays: tuple[float, ...] = RETRY_DELAYS


class Workspace:
    """Everything but the HTTP routes."""

    def __init__(self, seed: Seed, manifest: AppManifest, settings: Settings, drop: Callable[[Any], None]) -> None:
        self.settings = settings
        self.world = World(seed, manifest)
        self.faults = Faults()
        self.limits = RateLimits() if settings.rate_limits else None
        self.calls: list[ApiCall] = []
        self.deliveries: list[Delivery] = []
        self.drop = drop
        self.http = HttpDelivery(settings.signing_secret, settings.deliver_timeout)
        self.socket = SocketMode(self.world, self.faults, settings.deliver_timeout, drop)
        self.sign_in = SignIn(self.world, settings.client_id, settings.client_secret)
        self.events = EventsApi(self.world, self.deliver, settings.event_retry_delays)
        self.world.listen(self._on_change)

    @property
    def base_url(self) -> str:
        """The address of the workspace without a slash at its end."""
        return self.world.base_url

    def socket_url(self) -> str:
        """Make the address of one Socket Mode connection."""
        return f"{self.base_url.replace('http', 'ws', 1)}/link?ticket={self.socket.new_ticket()}"

    async def deliver(self, envelope: Envelope) -> Delivery:
        """Send something to the app, over Socket Mode when it is connected and no address was given."""
        nowhere = not is_local(envelope.url)
        envelope = replace(envelope, url=None) if nowhere else envelope
        over_socket = self.http.deliver_to is None and (nowhere or bool(self.socket.connected))
        return self._logged(await (self.socket if over_socket else self.http).deliver(envelope))

    async def replay(self, delivery: Delivery) -> Delivery:
        """Send the bytes of an HTTP delivery once more. Raises UsageError for one that went over Socket Mode."""
        if delivery.sent is None:
            raise UsageError("only HTTP deliveries can be replayed; over Socket Mode arm the fault 'duplicate'")
        envelope = Envelope(delivery.kind, delivery.payload, retry=delivery.retry)
        return self._logged(await self.http.send(envelope, delivery.sent))

    def _logged(self, delivery: Delivery) -> Delivery:
        self.deliveries.append(delivery)
        self.world.announce("delivery", of=delivery.kind, error=delivery.error)
        return delivery

    def log_call(self, call: ApiCall) -> None:
        """Keep one Web API call."""
        self.calls.append(call)
        self.world.announce("call", method=call.method, status=call.status)

    def _on_change(self, kind: str, detail: Json) -> None:
        if kind == "user":
            self.events.on_user(self.world.users[detail["user"]])
        elif kind == "group":
            self.events.on_group(self.world.groups[detail["group"]])
        if kind != "message" or detail["only_for"] or not self.world.manifest.bot_events:
            return
        message = self.world.messages.get(detail["channel"], {}).get(detail["ts"])
        if message and not message.edits:
            self.events.on_message(message, self.world.channels[message.channel])

    async def close(self) -> None:
        """Stop what runs behind."""
        self.events.stop()
        await self.http.close()
