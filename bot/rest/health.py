"""Liveness and readiness. /livez has no dependencies; /readyz says whether this process should get requests.

Parts that all replicas share (database, engine, Slack) never fail it: every replica would leave the load balancer at
once, and people would get its error in place of this app's message. It writes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

import structlog
from fastapi import APIRouter, Response

from bot.control.reconciling.restoring import Restoration
from bot.decisions.delivery import ALARM_AGE
from bot.decisions.raises import Raises
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.engine.worker import Worker
from bot.process.leadership import Leadership
from bot.process.periodic import Loops
from records import intake
from records.database import Database
from records.errors import RecordsError

log = structlog.get_logger(__name__)

PROBE_PATIENCE_S = 0.8
"""Seconds for each part: less than the second that probes wait, so that one that hangs fails no probe."""


class SocketState(Protocol):
    """Slack's Socket Mode connection, as far as its state is shown."""

    async def state(self) -> str:
        """Return `ok` or a message for operators."""
        ...  # pragma: no cover


class Health:
    """Asks the parts. `leaving` says whether this process is about to end."""

    def __init__(  # noqa: PLR0913 the parts that are asked
        self,
        *,
        database: Database,
        engine: Engine,
        worker: Worker | None,
        socket: SocketState | None,
        loops: Loops,
        raises: Raises,
        leadership: Leadership,
        restoration: Restoration,
        leaving: Callable[[], bool],
    ) -> None:
        self._database = database
        self._engine = engine
        self._worker = worker
        self._socket = socket
        self._loops = loops
        self._raises = raises
        self._leadership = leadership
        self._restoration = restoration
        self._leaving = leaving
        self._connected: set[str] = set()

    @property
    def leads(self) -> list[str]:
        """The jobs that this process does for all."""
        return [job.value for job, held in self._leadership.held.items() if held]

    async def checks(self) -> dict[str, str]:
        """Return what each part says of itself."""
        database, sidecar, undelivered = await asyncio.gather(
            _answered("database", lambda: _database(self._database)),
            _answered("Dapr sidecar", lambda: _sidecar(self._engine)),
            _answered("database", lambda: _undelivered(self._database)),
        )
        found = {
            "database": database,
            "sidecar": sidecar,
            "undelivered": undelivered,
            "delivery": self._raises.message,
        }
        if self._worker is not None:
            found["worker"] = "ok" if self._worker.ready else "The worker is not connected to its sidecar."
        if self._socket is not None:
            found["slack"] = await self._socket.state()
        found |= {f"loop {loop.name}": loop.message for loop in self._loops.down}
        if (bad := bad_rows(self._database)) != "ok":
            found["rows"] = bad
        if self._restoration.held:
            found["restore"] = self._restoration.message
        if self._leaving():
            found["process"] = "This process is ending and takes no new work."
        return found

    def status(self, checks: dict[str, str]) -> Literal["ready", "degraded", "not ready"]:
        """Return whether this process should get requests; findings that are only for operators do not count.

        A start is over once its own connections stood: a rollout stops at a replica that never gets there. A replica
        whose own sidecar went away later leaves the work to another, if there is one that is fit.
        """
        bad = {name for name, found in checks.items() if found != "ok"}
        self._connected |= OWN & (checks.keys() - bad)
        no_engine = bool(bad & ENGINE) or self._raises.everywhere
        if "process" in bad or (OWN & bad) - self._connected or (no_engine and self._leadership.another_is_fit):
            return "not ready"
        return "degraded" if bad - SHOWN_ALONE else "ready"


OWN: Final = frozenset({"worker", "slack"})
"""The connections that a process opens when it starts."""

ENGINE: Final = frozenset({"worker", "sidecar"})

SHOWN_ALONE: Final = frozenset({"undelivered", "rows"})


def routes(health: Health) -> APIRouter:
    """Return the routes of health."""
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        """Each part that a decision needs, with a message. 503 if another process should get the requests."""
        checks = await health.checks()
        status = health.status(checks)
        response.status_code = 503 if status == "not ready" else 200
        return {"status": status, "checks": checks, "leads": health.leads}

    return router


def bad_rows(database: Database) -> str:
    """Say how many rows this process could not read lately; their keys are for operators alone."""
    found = database.bad_rows.by_table()
    if not found:
        return "ok"
    counted = ", ".join(f"{count} in {table}" for table, count in sorted(found.items()))
    return f"Rows that cannot be read are set aside ({counted}). Name them with: countersign doctor."


async def _answered(part: str, ask: Callable[[], Awaitable[str]]) -> str:
    """Return a part's state. An error of the part is its state, and does not fail the answer."""
    try:
        async with asyncio.timeout(PROBE_PATIENCE_S):
            return await ask()
    except RecordsError as error:
        return error.public
    except (EngineUnavailableError, EngineRefusedError) as error:
        return f"The {part} does not answer: {error}"
    except TimeoutError:
        return f"The {part} does not answer."
    except Exception:
        log.exception("a part could not be asked how it does", part=part)
        return f"The {part} fails unexpectedly; the log has the trace."


async def _database(database: Database) -> str:
    await database.ping()
    return database.trouble or "ok"


async def _sidecar(engine: Engine) -> str:
    await engine.ping()
    return "ok"


async def _undelivered(database: Database) -> str:
    async with database.read() as connection:
        age = await intake.oldest_undelivered(connection, datetime.now(UTC))
    if age is None or age <= ALARM_AGE:
        return "ok"
    return f"A decision has been waiting for the workflow for {age.total_seconds():.0f} s. It is kept and tried again."
