"""Socket Mode, the workspace's side: tickets, connections, envelopes and their acknowledgements."""

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from local.slack.call_log import Delivery
from local.slack.faults import Faults
from local.slack.transport import FAILED, TIMED_OUT, Envelope
from local.slack.values import Json
from local.slack.world import World

NO_SOCKET = "no Socket Mode connection is open, and no deliver_to was given"

CLOSED = "the app closed the connection before it had answered"
"""What an unanswered delivery says whose connection ended meanwhile."""


class SocketMode:
    """All Socket Mode connections of the app."""

    def __init__(self, world: World, faults: Faults, timeout: float, drop: Callable[[Any], None]) -> None:
        self._world = world
        self._faults = faults
        self._timeout = timeout
        self._drop = drop
        self._tickets: set[str] = set()
        self._connections: list[WebSocket] = []
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._turn = itertools.count()

    @property
    def connected(self) -> int:
        """Count the connections that are open now."""
        return len(self._connections)

    def new_ticket(self) -> str:
        """Make a ticket that is good for one connection."""
        ticket = secrets.token_urlsafe(16)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        """Hold one connection until it ends."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self._tickets:
            await socket.close(1008)
            return
        self._tickets.discard(ticket)
        await socket.accept()
        self._connections.append(socket)
        try:
            await socket.send_text(json.dumps(self._hello()))
            self._world.announce("socket", connected=self.connected)
            while True:
                self._take(await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            # Starlette raises RuntimeError when the peer vanished between two frames.
            pass
        finally:
            self._forget(socket)
            self._world.announce("socket", connected=self.connected)

    def _forget(self, socket: WebSocket) -> None:
        with contextlib.suppress(ValueError):
            self._connections.remove(socket)

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connected,
            "debug_info": {"host": "local", "build_number": 1, "approximate_connection_time": 3600},
            "connection_info": {"app_id": self._world.app_id},
        }

    def _take(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            answer = json.loads(text)
            waiting = self._waiting.pop(answer.get("envelope_id", ""), None) if isinstance(answer, dict) else None
            if waiting and not waiting.done():
                waiting.set_result(answer)

    async def deliver(self, envelope: Envelope) -> Delivery:
        """Send an envelope over one open connection and wait for its acknowledgement.

        A connection that turns out to be closed before anything was sent is passed over.
        """
        started = time.perf_counter()
        envelope_id = secrets.token_hex(8)
        waiting = self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            socket = await self._send_over_one(envelope, envelope_id)
            if socket is None:
                return self._answer(envelope, None, NO_SOCKET, started, FAILED)
            return await self._answered(envelope, waiting, socket, started)
        finally:
            self._waiting.pop(envelope_id, None)

    async def _send_over_one(self, envelope: Envelope, envelope_id: str) -> WebSocket | None:
        while self._connections:
            socket = self._connections[next(self._turn) % len(self._connections)]
            try:
                await self._send(socket, envelope, envelope_id)
            except (WebSocketDisconnect, RuntimeError):
                self._forget(socket)
            else:
                return socket
        return None

    async def _answered(
        self, envelope: Envelope, waiting: asyncio.Future[Json], socket: WebSocket, started: float
    ) -> Delivery:
        try:
            answer = await asyncio.wait_for(waiting, self._timeout)
        except TimeoutError:
            closed = socket.client_state is WebSocketState.DISCONNECTED
            return self._answer(envelope, None, CLOSED if closed else "", started, TIMED_OUT)
        body = answer.get("payload")
        text = body if isinstance(body, str) else json.dumps(body) if body else ""
        return self._answer(envelope, 200, text, started, None)

    async def _send(self, socket: WebSocket, envelope: Envelope, envelope_id: str) -> None:
        frame: Json = {
            "envelope_id": envelope_id,
            "type": envelope.kind,
            "payload": envelope.payload,
            "accepts_response_payload": envelope.kind != "events_api",
        }
        if envelope.kind == "events_api":
            frame |= {"retry_attempt": envelope.retry, "retry_reason": envelope.retry_reason or ""}
        text = json.dumps(frame)
        fault = self._faults.strike(envelope.kind, socket=True)
        await socket.send_text(text)
        if fault and fault.kind == "duplicate":
            await socket.send_text(text)
        elif fault:
            self._forget(socket)
            self._drop(socket.scope)

    @staticmethod
    def _answer(envelope: Envelope, status: int | None, body: str, started: float, error: str | None) -> Delivery:
        elapsed = time.perf_counter() - started
        return Delivery(envelope.kind, envelope.payload, status, body, elapsed, error, envelope.retry, "socket")

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tell the app that its connection ends: warning, refresh_requested or link_disabled.

        After a warning nothing changes. After refresh_requested the connection gets no more envelopes, and the app
        closes it once it has a new one. Only link_disabled closes it from this side.
        """
        frame = json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}})
        for socket in tuple(self._connections):
            await socket.send_text(frame)
            if reason != "warning":
                self._forget(socket)
            if reason == "link_disabled" and socket.application_state is WebSocketState.CONNECTED:
                await socket.close(1000)

    async def drop(self) -> None:
        """Cut every connection without a word."""
        for socket in tuple(self._connections):
            self._forget(socket)
            self._drop(socket.scope)
