"""Starting and stopping a sidecar: in this process as a context manager, or as a program of its own."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from dapr.proto import api_service_v1

from local.sidecar import schema
from local.sidecar.errors import SidecarError
from local.sidecar.runtime import Runtime
from local.sidecar.secret_store import SecretStore
from local.sidecar.service import Service
from local.sidecar.wire import MAX_MESSAGE, stubs

APP_ID = "countersign"
GRACE = 1.0  # seconds that calls in flight get at a stop

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", -1),
    # the SDK pings every 30 s on an idle connection, which gRPC would punish by default
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # a worker whose machine is gone is noticed after half a minute
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


def check_exposure(host: str, token: str) -> None:
    """Refuses to listen beyond this machine without a token: whoever reaches the port can raise any event."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and not token:
        raise SidecarError(f"Listening on {host} needs DAPR_API_TOKEN: set it, or listen on 127.0.0.1.")


Addresses = dict[str, str]  # HOST:PORT by app-id


async def serve(  # noqa: PLR0913, PLR0917 - the parts of one server
    database: Path,
    host: str,
    ports: dict[str, int],
    token: str,
    ready: Callable[[Addresses], None],
    stop: asyncio.Event,
    secrets: Path | None = None,
) -> None:
    """Serve each app-id on its own port until `stop` is set; the first owns the instances of a file without app-ids.

    `secrets` is the file of the secret store.

    Calls `ready` with the addresses once calls are answered. Raises SidecarError.
    """
    token = token if token.strip() else ""
    check_exposure(host, token)
    descriptor = schema.lock(database)
    try:
        schema.prepare(database, next(iter(ports)))
        runtime = Runtime(database)
        servers = {app_id: _server(runtime, app_id, token, secrets) for app_id in ports}
        try:
            addresses = {app_id: f"{host}:{_bind(servers[app_id], host, port)}" for app_id, port in ports.items()}
            for server in servers.values():
                await server.start()
            runtime.resume()
            ready(addresses)
            await stop.wait()
        finally:
            runtime.stop()
            await asyncio.gather(*(server.stop(GRACE) for server in servers.values()))
            await asyncio.to_thread(runtime.close)
    finally:
        os.close(descriptor)


def _server(runtime: Runtime, app_id: str, token: str, secrets: Path | None) -> grpc.aio.Server:
    """Make the server of one app-id: as with the runtime, the port says which app a worker or client belongs to."""
    server = grpc.aio.server(options=_OPTIONS)
    service = Service(runtime.app(app_id), token)
    stubs.add_TaskHubSidecarServiceServicer_to_server(service, server)
    stored = SecretStore(secrets, service.check_token)
    api_service_v1.add_DaprServicer_to_server(stored, server)  # type: ignore[no-untyped-call]  # generated code
    return server


def _bind(server: grpc.aio.Server, host: str, port: int) -> int:
    try:
        return server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise SidecarError(f"Can't listen on {host}:{port}: it is taken or not ours. Name another port.") from error


def run(  # noqa: PLR0913 - an option of the program each
    database: Path,
    port: int = 50001,
    host: str = "127.0.0.1",
    *,
    app_id: str = APP_ID,
    apps: Mapping[str, int] | None = None,
    token: str | None = None,
    secrets: Path | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; print the addresses when ready. Return the exit status: 0, or 1 with a message.

    `apps` are further app-ids with their ports. Without `token` DAPR_API_TOKEN of the environment guards the ports,
    if set.
    """

    async def main() -> None:
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        secret = os.environ.get("DAPR_API_TOKEN", "") if token is None else token
        await serve(database, host, {app_id: port, **(apps or {})}, secret, _announce, stop, secrets)

    def _announce(addresses: Addresses) -> None:
        main, *others = addresses.items()
        further = "".join(f", {name} on {address}" for name, address in others)
        print(f"Workflow sidecar ready on {main[1]}{further}, state in {database}", flush=True)  # noqa: T201 - its one line

    try:
        asyncio.run(main())
    except SidecarError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


class Sidecar:
    """A sidecar in a thread of this process: `with Sidecar(path, port=0) as sidecar: sidecar.address`.

    `apps` are further app-ids with their ports; `addresses` are those of all, by app-id.
    """

    def __init__(  # noqa: PLR0913 - as of run
        self,
        database: Path,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        app_id: str = APP_ID,
        apps: Mapping[str, int] | None = None,
        token: str | None = None,
        secrets: Path | None = None,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._host = host
        self._ports = {app_id: port, **(apps or {})}
        self._token = os.environ.get("DAPR_API_TOKEN", "") if token is None else token
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self.address = ""
        self.addresses: Addresses = {}

    def start(self) -> Self:
        """Return once calls are answered; `address` is HOST:PORT. Raises SidecarError."""
        self._started.clear()
        self._thread = threading.Thread(target=self._main, name="sidecar", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """End within about a second; what was accepted is on disk."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - a thread's last resort: start() raises it
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._database, self._host, self._ports, self._token, self._announce, self._stop, self._secrets)

    def _announce(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self.address = next(iter(addresses.values()))
        self._started.set()
