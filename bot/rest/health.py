"""Is it alive, is it ready, and how does it do. /livez asks nobody; /readyz asks everything that a decision needs."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter, Response

from bot.decisions.delivery import ALARM_AGE
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.engine.worker import Worker
from bot.slack.sockets import Socket
from records import intake, sent
from records.database import Database
from records.errors import RecordsError

PATIENCE = 2.0


def routes(database: Database, engine: Engine, worker: Worker, socket: Socket | None) -> APIRouter:
    """Return the routes of health."""
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        """Each part that a decision needs, with a sentence. 503 while one of them is not there."""
        asked = await asyncio.gather(_database(database), _sidecar(engine), _undelivered(database))
        checks = dict(zip(("database", "sidecar", "undelivered"), asked, strict=True))
        checks["worker"] = "ok" if worker.ready else "The worker is not connected to the sidecar yet."
        if socket is not None:
            checks["slack"] = await socket.state()
        ready = all(found == "ok" for name, found in checks.items() if name != "undelivered")
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "not ready", "checks": checks}

    return router


async def _database(database: Database) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            async with database.write() as connection:
                await sent.probe(connection, datetime.now(UTC))
    except RecordsError as error:
        return error.public
    except TimeoutError:
        return "The database does not answer."
    return "ok"


async def _sidecar(engine: Engine) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await engine.ping()
    except (EngineUnavailableError, EngineRefusedError) as error:
        return f"The Dapr sidecar does not answer: {error}"
    except TimeoutError:
        return "The Dapr sidecar does not answer."
    return "ok"


async def _undelivered(database: Database) -> str:
    try:
        async with asyncio.timeout(PATIENCE), database.read() as connection:
            age = await intake.oldest_undelivered(connection, datetime.now(UTC))
    except RecordsError as error:
        return error.public
    except TimeoutError:
        return "The database does not answer."
    if age is None or age <= ALARM_AGE:
        return "ok"
    return f"A decision has been waiting for the workflow for {age.total_seconds():.0f} s. It is kept and tried again."
