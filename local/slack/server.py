"""Runs one workspace on a port, in a thread of its own, so that a busy app cannot stall it. Knows no method."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from local.slack.api_routes import ApiRoutes
from local.slack.connections import Connections
from local.slack.control_routes import ControlRoutes
from local.slack.page_routes import PAGE_ROUTES
from local.slack.sign_in_routes import SignInRoutes
from local.slack.workspace import Workspace

T = TypeVar("T")
STOP_SECONDS = 5.0


def _leaving_quietly(app: ASGIApp) -> ASGIApp:
    """Keep uvicorn from logging requests that were under way when the workspace stopped."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return quiet


class _Uvicorn(uvicorn.Server):
    """uvicorn that leaves when told, at once: it neither looks every tenth of a second nor waits for idle clients."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()
        self._connections = connections

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        self._connections.drop_all()
        tasks = tuple(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Server:
    """A thread with an event loop, a listening socket and uvicorn."""

    def __init__(self, build: Callable[[Connections], Workspace], host: str, port: int) -> None:
        self._connections = Connections()
        self._workspace = build(self._connections)
        self._socket = socket.create_server((host, port))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="local-slack", daemon=True)
        self._server: _Uvicorn | None = None
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 # compared, not bound
        self._workspace.world.base_url = f"http://{shown}:{self._socket.getsockname()[1]}"

    @property
    def workspace(self) -> Workspace:
        """The workspace this server serves."""
        return self._workspace

    def start(self) -> None:
        """Serve from now on; connections made before uvicorn is ready wait in the listening socket."""
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the server's loop, the only place where the world may change."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Stop serving and give the port back."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave)
            self._thread.join(STOP_SECONDS)
        self._socket.close()

    def _leave(self) -> None:
        self._workspace.world.announce("stop")
        if self._server:
            self._server.leave.set()

    def _routes(self) -> list[BaseRoute]:
        workspace = self._workspace
        return [
            *ApiRoutes(workspace).routes,
            *ControlRoutes(workspace).routes,
            *SignInRoutes(workspace.sign_in, workspace.world).routes,
            *PAGE_ROUTES,
            WebSocketRoute("/link", workspace.socket.serve),
        ]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        config = uvicorn.Config(
            _leaving_quietly(Starlette(routes=self._routes())),
            http=self._connections.protocol(),
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        self._server = _Uvicorn(config, self._connections)
        self._loop.run_until_complete(self._serve(self._server))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, server: _Uvicorn) -> None:
        try:
            await server.serve(sockets=[self._socket])
        finally:
            await self._workspace.close()
