"""Several apps on one PostgreSQL: on one local sidecar, or each on its own of COUNTERSIGN_TEST_SIDECARS=A,B,C."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from records.tables import metadata
from tests.postgres import running_cluster
from tests.torture.parts import World, _lives, eventually

REAL = tuple(each for each in os.environ.get("COUNTERSIGN_TEST_SIDECARS", "").split(",") if each)


class Address(NamedTuple):
    """A sidecar that is not ours to kill."""

    address: str


class Replicas(World):
    """A world of `count` apps. A kill or a stop hits them in turn; Slack calls the first that lives."""

    def __init__(self, folder: Path, stack: ExitStack, count: int, **changes: Any) -> None:
        self._cluster = stack.enter_context(running_cluster())
        self._count = count
        self._apps: dict[int, tuple[int, str]] = {}
        self._turn = 0
        super().__init__(folder, stack, database_url=self._cluster.url, **changes)

    def _engine(self, folder: Path, stack: ExitStack) -> Any:
        return Address(REAL[0]) if REAL else super()._engine(folder, stack)

    def start_app(self) -> None:
        """Start each that does not run, and point Slack at one that does."""
        for number in range(self._count):
            if number not in self._apps:
                changes = {} if not REAL else _at(REAL[number % len(REAL)])
                self._apps[number] = self._forks.start(self.settings.model_copy(update=changes))
        self._point()

    def _point(self) -> None:
        self.pid, self.url = next(iter(self._apps.values()))
        self.slack.deliver_to = f"{self.url}/slack/events"

    def _struck(self) -> int:
        self._turn += 1
        pid, _ = self._apps.pop(sorted(self._apps)[self._turn % len(self._apps)])
        if self._apps:
            self._point()
        return pid

    def kill_app(self) -> None:
        """Kill -9 the next."""
        if self._apps:
            os.kill(self._struck(), signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill -9 all."""
        while self._apps:
            self.kill_app()

    def stop_app(self) -> float:
        """Ask the next to end."""
        began, pid = time.monotonic(), self._struck()
        os.kill(pid, signal.SIGTERM)
        if not eventually(lambda: not _lives(pid), 30):
            raise RuntimeError("the app does not end")
        return time.monotonic() - began

    def rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return [tuple(row) for row in asyncio.run(self._asked(statement, arguments))]

    def write(self, statement: str, *arguments: object) -> None:
        """Write in the database, past everything that checks."""
        asyncio.run(self._asked(statement, arguments))

    def keep(self) -> None:
        """Keep a copy of all tables as they are in one moment."""
        tables = " ".join(f"CREATE TABLE kept.{name} AS TABLE public.{name};" for name in metadata.tables)
        asyncio.run(self._script(f"DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept; {tables}"))

    def restore(self) -> None:
        """Put the copy back. No app may run."""
        names = ", ".join(f"public.{name}" for name in metadata.tables)
        copies = [f"INSERT INTO public.{name} SELECT * FROM kept.{name};" for name in metadata.tables]  # noqa: S608
        back = " ".join(copies)
        asyncio.run(self._script(f"SET LOCAL session_replication_role = replica; TRUNCATE {names}; {back}"))

    async def _asked(self, statement: str, arguments: tuple[object, ...]) -> list[Any]:
        numbers = iter(range(1, 100))
        connection = await asyncpg.connect(self._cluster.local_url)
        try:
            return list(await connection.fetch(re.sub(r"\?", lambda _: f"${next(numbers)}", statement), *arguments))
        finally:
            await connection.close()

    async def _script(self, statements: str) -> None:
        connection = await asyncpg.connect(self._cluster.local_url)
        try:
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute(statements)
        finally:
            await connection.close()


def _at(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"dapr_grpc_host": host, "dapr_grpc_port": int(port)}


@contextmanager
def replicas(folder: Path, count: int, **changes: Any) -> Iterator[Replicas]:
    """Start all parts, and end them."""
    with ExitStack() as stack:
        made = Replicas(folder, stack, count, **changes)
        stack.callback(made.kill_all)
        if not made.ready():
            raise RuntimeError("the parts did not become ready")
        yield made
