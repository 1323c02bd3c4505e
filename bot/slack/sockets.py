"""Socket Mode: the same payloads over a socket that we open, without a public address. Set by SLACK_APP_TOKEN."""

import asyncio
import hashlib
import json
import time
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.process.correlation import new_correlation_id
from bot.process.secret_files import SecretFileError
from bot.process.settings import Settings
from bot.process.tracing import TRACING
from bot.slack.ingress import Ingress
from bot.slack.replay import SlackReply
from records.errors import RecordsError

log = structlog.get_logger(__name__)


OK = 200

SOCKET_DRAIN_S = 2.0
"""Seconds that envelopes under way have when the app ends."""

OPENED_WITHIN_S = 5.0
"""Seconds that a socket with a new token has to open before the token counts as refused."""

PONG_S = 0.5
"""Seconds that Slack has to answer a ping when the app ends: what it sent before is read by then."""

REFUSED = "Slack refuses the app token ({error}): check SLACK_APP_TOKEN (xapp-…) and its scope connections:write."


class Client(SocketModeClient):
    """The SDK's client, with a reason if it cannot connect, and never the same address twice."""

    refusal = ""

    async def issue_new_wss_url(self) -> str:
        """Ask Slack for an address, and keep why it gave none."""
        try:
            url = await super().issue_new_wss_url()
        except SlackApiError as error:
            self.refusal = REFUSED.format(error=error.response["error"])
            raise
        self.refusal = ""
        return url

    def forget_addresses(self) -> None:
        """Let each address be used once, as Slack wants it: the SDK would try a spent one again for ever."""

        async def spent(session: aiohttp.ClientSession, context: Any, sent: Any) -> None:
            self.wss_uri = None

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(spent)
        trace.freeze()
        self.aiohttp_client_session.trace_configs.append(trace)

    async def read_all(self, within_s: float) -> None:
        """Return once everything that Slack sent before this call is read: its answer to a ping comes after it."""
        session, asked = self.current_session, time.time()
        if session is None or session.closed:
            return
        try:
            await session.ping(f"sdk-ping-pong:{asked}".encode())
        except (aiohttp.ClientError, ConnectionError):
            return
        until = time.monotonic() + within_s
        while (  # noqa: ASYNC110 the SDK keeps a moment, no event
            (self.last_ping_pong_time or 0.0) < asked and not session.closed and time.monotonic() < until
        ):
            await asyncio.sleep(0.005)


class Socket:
    """The socket, with a `state` for readiness (docs/explanation/slack.md#connecting-never-returns-on-a-bad-token)."""

    def __init__(self, settings: Settings, ingress: Ingress, ping_interval: float = 5) -> None:
        self._settings = settings
        self._ingress = ingress
        self._ping_interval = ping_interval
        self._token = settings.slack_app_token.get_secret_value()
        self._client: Client | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._under_way: dict[asyncio.Task[Any], AsyncBaseSocketModeClient] = {}
        self._ending = False

    async def start(self) -> None:
        """Begin to connect; comes back at once."""
        self._client, self._connecting = self._opening(self._token)

    def _opening(self, token: str) -> tuple[Client, "asyncio.Task[None]"]:
        client = Client(
            app_token=token,
            web_client=AsyncWebClient(token=token, base_url=self._settings.slack_api_url),
            ping_interval=self._ping_interval,
        )
        client.forget_addresses()
        client.socket_mode_request_listeners.append(self._take)
        return client, asyncio.create_task(client.connect(), name="socket mode")  # type: ignore[no-untyped-call]

    async def use(self, token: str) -> None:
        """Open a socket with a new token, then close the one that was: Slack sends to the other meanwhile.

        Raises: SecretFileError if none opens; then the socket that was goes on.
        """
        if self._client is None:
            self._token = token
            return
        client, connecting = self._opening(token)
        await asyncio.wait({connecting}, timeout=OPENED_WITHIN_S)
        if self._ending or not await client.is_connected():
            await _closed(client, connecting)
            raise SecretFileError(client.refusal or "No socket to Slack opens with the new SLACK_APP_TOKEN.")
        before, (self._client, self._connecting) = (self._client, self._connecting), (client, connecting)
        await self._settle(before[0])
        await _closed(*before)

    async def stop(self) -> None:
        """Close the socket at a moment when no envelope is under way: Slack then takes the app's other sockets.

        Until then every envelope is answered. What Slack sends within the way of a close frame, and the last ones under
        a load without such a moment, are left to Slack, which tells the person to try again.
        """
        if self._ending:
            return
        if self._client is not None:
            await self._settle(self._client)
        self._ending = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=SOCKET_DRAIN_S)
        if self._client is not None:
            await _closed(self._client, self._connecting)

    async def _settle(self, client: Client) -> None:
        until = time.monotonic() + SOCKET_DRAIN_S
        while (left := until - time.monotonic()) > 0:
            await client.read_all(min(PONG_S, left))
            await asyncio.sleep(0)  # for envelopes that were read and not begun
            under_way = [task for task, by in self._under_way.items() if by is client]
            if client.message_queue.empty() and not under_way:
                return
            if under_way:
                await asyncio.wait(under_way, timeout=left)

    async def state(self) -> str:
        """Return "ok" when Slack can reach us now, else why not."""
        if self._client is None:
            return "The socket to Slack is not open yet."
        if await self._client.is_connected():
            return "ok"
        return self._client.refusal or "The socket to Slack is not open. It is tried again."

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Answer one envelope. What comes too late is left to Slack, which tells the person to try again."""
        task = asyncio.current_task()
        if self._ending or task is None:
            return
        self._under_way[task] = client
        task.add_done_callback(self._under_way.pop)
        with (
            structlog.contextvars.bound_contextvars(correlation_id=new_correlation_id()),
            TRACING.span("slack envelope", root=True, kind="server"),
        ):
            try:
                answer = await self._answer(dict(request.payload), request.envelope_id)
            except RecordsError as error:
                # Not recorded, so not acknowledged: Slack shows an error and the person tries again.
                log.warning("an envelope was not taken", type=request.type, why=str(error))
                return
        if answer.status != OK:
            log.error("an envelope was not answered", type=request.type, status=answer.status)
            return
        try:
            await client.send_socket_mode_response(
                SocketModeResponse(envelope_id=request.envelope_id, payload=_body(answer))
            )
        except (aiohttp.ClientError, ConnectionError):
            # What was decided stands and is counted once; Slack tells the person that there was no answer.
            log.warning("the socket dropped before an answer could be given", type=request.type)

    async def _answer(self, payload: dict[str, Any], envelope_id: str) -> SlackReply:
        """Dispatch once: the same envelope again has the same id, so it has no second effect."""
        fingerprint = hashlib.sha256(f"socket:{envelope_id}".encode()).hexdigest()
        return await self._ingress.answer(payload, fingerprint)


async def _closed(client: Client, connecting: "asyncio.Task[None] | None") -> None:
    if connecting is not None:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    await client.close()  # type: ignore[no-untyped-call]


def _body(answer: SlackReply) -> dict[str, Any] | None:
    """Return the answer's body as an envelope wants it: an object, or nothing."""
    if not answer.body:
        return None
    text = answer.body.decode()
    return json.loads(text) if text.startswith("{") else {"text": text}
