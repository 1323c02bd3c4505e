"""Socket Mode: the same payloads over a socket that we open, where no public address is wanted. By SLACK_APP_TOKEN."""

import asyncio
import hashlib
import json
from typing import Any

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.correlation import new_correlation_id
from bot.settings import Settings
from bot.slack.ingress import Ingress
from bot.slack.replay import Answer, ReplayGuard
from records.errors import RecordsError

log = structlog.get_logger(__name__)


class Socket:
    """The open socket. Readiness asks `connected`: connecting never returns on a bad token (SLACK.md, trap 11)."""

    def __init__(self, settings: Settings, ingress: Ingress, replays: ReplayGuard) -> None:
        self._settings = settings
        self._ingress = ingress
        self._replays = replays
        self._client: SocketModeClient | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; comes back at once."""
        token = self._settings.slack_app_token.get_secret_value()
        self._client = SocketModeClient(
            app_token=token, web_client=AsyncWebClient(token=token, base_url=self._settings.slack_api_url)
        )
        self._client.socket_mode_request_listeners.append(self._take)
        self._connecting = asyncio.create_task(self._client.connect(), name="socket mode")  # type: ignore[no-untyped-call]

    async def stop(self) -> None:
        """Close the socket."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]

    async def connected(self) -> bool:
        """Return whether Slack can reach us now."""
        return self._client is not None and bool(await self._client.is_connected())

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Answer one envelope. The same envelope again has the same id, so it has no second effect."""
        with structlog.contextvars.bound_contextvars(correlation_id=new_correlation_id()):
            try:
                answer = await self._answer(dict(request.payload), request.envelope_id)
            except RecordsError as error:
                # Not acknowledged, because nothing is durable: Slack tells the person, who tries again (law 3).
                log.warning("an envelope was not taken", type=request.type, why=str(error))
                return
        if answer.status == OK:
            await client.send_socket_mode_response(
                SocketModeResponse(envelope_id=request.envelope_id, payload=_body(answer))
            )
        else:
            log.error("an envelope was not answered", type=request.type, status=answer.status)

    async def _answer(self, payload: dict[str, Any], envelope_id: str) -> Answer:
        fingerprint = hashlib.sha256(f"socket:{envelope_id}".encode()).hexdigest()
        return await self._replays.once(fingerprint, payload, lambda: self._ingress.dispatch(payload, fingerprint))


OK = 200


def _body(answer: Answer) -> dict[str, Any] | None:
    """Return the answer's body as an envelope wants it: an object, or nothing."""
    if not answer.body:
        return None
    text = answer.body.decode()
    return json.loads(text) if text.startswith("{") else {"text": text}
