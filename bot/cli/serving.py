"""The web server of `countersign run`: says its address once it takes requests, and ends in bounded time."""

import asyncio
import contextlib
import errno
import functools
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import uvicorn
import uvloop
from fastapi import FastAPI

from bot.cli import output
from bot.process.connections import KEEP_ALIVE_S, bounded_connections
from records.errors import RecordsError

GRACE_S = 3
"""Seconds for requests under way at SIGTERM: Slack waits no longer for an answer."""


class Leaving(NamedTuple):
    """The app's shutdown: `begin` ends its readiness, it serves on for `drain_s` seconds, then `close` is called."""

    begin: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None
    drain_s: float = 0.0


class Server(uvicorn.Server):
    """Prints one line on standard output when it is ready: a script can wait for it.

    At SIGTERM the load balancer must see that it is not ready before its address closes, so it serves on for a
    moment. SIGINT, and a second SIGTERM, are a person's: it ends at once.
    """

    def __init__(self, config: uvicorn.Config, leaving: Leaving) -> None:
        super().__init__(config)
        self._leaving = leaving
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig != signal.SIGTERM or self._draining or not self.started or not self._leaving.drain_s:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        self._loop.call_soon_threadsafe(self._drain, functools.partial(super().handle_exit, sig, frame))

    def _drain(self, end: Callable[[], None]) -> None:
        self._leaving.begin()
        self.config.encoded_headers.append((b"connection", b"close"))  # the next request goes to another process
        self._loop.call_later(self._leaving.drain_s, end)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            # What stands now stays: without it the collector looks through all of it in the middle of a click.
            gc.collect()
            gc.freeze()
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            output.say(f"Countersign is ready at http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what would not end by itself, then wait for the rest."""
        self._leaving.begin()
        self._leaving.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as an order that was carried out: the exit code is 0, not the signal's."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()  # uvicorn would raise them again, before the loop has been closed


def serve(app: FastAPI, host: str, port: int, leaving: Leaving | None = None) -> bool:
    """Serve until SIGTERM or SIGINT, then end as `leaving` says. Returns whether it had started."""
    settings: dict[str, Any] = {
        "loop": "uvloop",
        "http": bounded_connections(),
        "log_config": None,
        "access_log": False,
        "timeout_keep_alive": KEEP_ALIVE_S,
    }
    logging.getLogger("uvicorn.error").addFilter(_not_our_own_end)
    logging.getLogger("uvicorn.error").addFilter(database_in_a_sentence)
    config = uvicorn.Config(app, host=host, port=port, timeout_graceful_shutdown=GRACE_S, **settings)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # for the loop that the worker's thread makes, too
    server = Server(config, leaving or Leaving())
    if port and (taken := _why_not(host, port)):
        output.fail(f"Countersign does not start: {taken}")
    with contextlib.suppress(SystemExit):  # uvicorn's 3 for a start that failed is our "no such instance"
        server.run()
    return server.started


def _why_not(host: str, port: int) -> str:
    """Return why the address cannot be listened on, in words; nothing if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is taken by another program. Choose another with --port or COUNTERSIGN_PORT."
            return f"{host}:{port} cannot be listened on ({error.strerror}). Look at --host and --port."
    return ""


def _not_our_own_end(record: logging.LogRecord) -> bool:
    """Leave out the traceback of a request that the end cut off, an open page's stream: one line says so already."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def database_in_a_sentence(record: logging.LogRecord) -> bool:
    """Put a message in the place of the traceback if the database refuses the start: it says what to do."""
    last = record.getMessage().rstrip().rpartition("\n")[2]
    kind, _, sentence = last.partition(": ")
    if record.getMessage().startswith("Traceback") and kind.startswith(f"{RecordsError.__module__}."):
        record.msg, record.args = f"Countersign does not start. {sentence}", ()
    return True


def leave(code: int) -> NoReturn:
    """End the process without waiting for threads: everything of ours is closed, and one of the SDK's may hang."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
