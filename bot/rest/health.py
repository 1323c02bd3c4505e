"""Is it alive, is it ready, and how does it do. /livez asks nobody; /readyz asks everything that a decision needs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from fastapi import APIRouter, Response

from bot.decisions.delivery import ALARM_AGE
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.engine.worker import Worker
from bot.process.periodic import Loops
from bot.slack.sockets import Socket
from records import intake, sent
from records.database import Database
from records.errors import RecordsError

log = structlog.get_logger(__name__)

PATIENCE = 2.0

NEEDED = frozenset({"deliverer"})
"""Loops without which a decision reaches no workflow. Another that is down is shown and takes no decisions away."""


def routes(database: Database, engine: Engine, worker: Worker, socket: Socket | None, loops: Loops) -> APIRouter:
    """Return the routes of health."""
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        """Each part that a decision needs, with a sentence. 503 while one of them is not there."""
        asked = await asyncio.gather(
            _answered("database", lambda: _database(database)),
            _answered("Dapr sidecar", lambda: _sidecar(engine)),
            _answered("database", lambda: _undelivered(database)),
        )
        checks = dict(zip(("database", "sidecar", "undelivered"), asked, strict=True))
        checks["worker"] = "ok" if worker.ready else "The worker is not connected to the sidecar yet."
        if socket is not None:
            checks["slack"] = await socket.state()
        ready = all(found == "ok" for name, found in checks.items() if name != "undelivered")
        for loop in loops.down:
            checks[f"loop {loop.name}"] = loop.message
            ready = ready and loop.name not in NEEDED
        if (bad := bad_rows(database)) != "ok":
            checks["rows"] = bad
        response.status_code = 200 if ready else 503
        status = "not ready" if not ready else "ready" if not loops.down else "degraded"
        return {"status": status, "checks": checks}

    return router


def bad_rows(database: Database) -> str:
    """Say how many rows this process could not read lately; their keys are for operators alone."""
    found = database.bad_rows.by_table()
    if not found:
        return "ok"
    counted = ", ".join(f"{count} in {table}" for table, count in sorted(found.items()))
    return f"Rows that cannot be read are set aside ({counted}). Name them with: countersign doctor."


async def _answered(part: str, ask: Callable[[], Awaitable[str]]) -> str:
    """Return what a part says of itself. Whatever goes wrong with it is its state, and no failure of the answer."""
    try:
        async with asyncio.timeout(PATIENCE):
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
    async with database.write() as connection:
        await sent.probe(connection, datetime.now(UTC))
    return "ok"


async def _sidecar(engine: Engine) -> str:
    await engine.ping()
    return "ok"


async def _undelivered(database: Database) -> str:
    async with database.read() as connection:
        age = await intake.oldest_undelivered(connection, datetime.now(UTC))
    if age is None or age <= ALARM_AGE:
        return "ok"
    return f"A decision has been waiting for the workflow for {age.total_seconds():.0f} s. It is kept and tried again."
