"""A program that has everything imported and starts the app in a child for each line it reads.

So a kill and a new start cost milliseconds instead of seconds. The child is killed like any other process. A line is
the settings as JSON; the answer is the child's id and port.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TextIO

import uvicorn
from pydantic import SecretStr

from bot.app import create_app
from bot.process.connections import KEEP_ALIVE_S, bounded_connections
from bot.process.settings import Settings

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Serve lines until there are no more."""
    for line in sys.stdin:
        if os.fork() == 0:
            os.close(0)
            given = json.loads(line)
            port = given.pop("port")
            asyncio.run(_serve(Settings(_env_file=None, **given), port))
            os._exit(0)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


async def _serve(settings: Settings, port: int) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the app logs is no answer
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=port,
        log_level="error",
        http=bounded_connections(),
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    await Server(config, answers).serve()


class Server(uvicorn.Server):
    """uvicorn that says its process id and port when it takes requests."""

    def __init__(self, config: uvicorn.Config, answers: TextIO) -> None:
        super().__init__(config)
        self._answers = answers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(os.getpid(), self.servers[0].sockets[0].getsockname()[1], file=self._answers, flush=True)


class Forks:
    """The program, as the tests use it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.forking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        return self

    def start(self, settings: Settings, port: int = 0) -> tuple[int, str]:
        """Start the app, on a free port or on this one; returns its process id and its address."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(_plain(settings) | {"port": port}) + "\n")
        self._process.stdin.flush()
        pid, bound = self._process.stdout.readline().split()
        return int(pid), f"http://127.0.0.1:{bound}"

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # also a child that a failing test did not come to kill
        self._process.stdin.close()  # type: ignore[union-attr] # it has pipes
        self._process.stdout.close()  # type: ignore[union-attr]
        self._process.wait()


def _plain(settings: Settings) -> dict[str, Any]:
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else _written(value)
        for name, value in given.items()
        if isinstance(value, SecretStr | str | int | float | Path | tuple)
    }


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    main()
