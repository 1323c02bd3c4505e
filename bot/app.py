"""The web app: it starts what runs beside the requests, and serves Slack, REST and the dashboard from the services."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response

from activities.slack.channels import channels_of
from activities.slack.channels import problems as channel_problems
from activities.slack.failures import SlackRefusedError, SlackUnavailableError
from approvals.policy.routing import PolicyError
from bot.dashboard import site as dashboard
from bot.engine.extensions import load
from bot.engine.worker import OURS
from bot.process.correlation import CorrelationMiddleware
from bot.process.ending import Shutdown
from bot.process.limits import BodyLimit
from bot.process.settings import Settings
from bot.process.tracing import TRACING
from bot.rest import (
    audit,
    bulk,
    documented,
    events,
    health,
    metrics,
    orders,
    problems,
    receipts,
    requests,
    statistics,
    webhooks,
    workflows,
)
from bot.rest.headers import SafeHeaders
from bot.services import Services
from bot.slack.ingress import Ingress
from records.database import Database
from records.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)


DRAIN_S: Final = 10.0
"""How long activities and messages under way have at the end; each of them waits for less (bot/engine/worker.py)."""


class MissingSettingsError(Exception):
    """Settings are missing or unusable. The text has a sentence for each."""


@asynccontextmanager
async def started(services: Services) -> AsyncIterator[None]:
    """Start what runs beside the requests, and end it in the opposite order."""
    async with Shutdown() as ending:
        TRACING.start()
        ending.then("tracing", lambda: asyncio.to_thread(TRACING.stop))
        ending.then("connections to others", services.http.aclose)
        ending.then("connections to Slack", services.slack.close)
        ending.then("the sidecar's client", services.engine.close)
        ending.then("database", services.database.close)
        ready = services.database.migrate if services.settings.migrate_at_start else services.database.demand
        await waited_for(services.database, ready, services.settings.database_patience_seconds)
        ending.then("deliverer", services.deliverer.hand_back)
        ending.then("background work", services.background.drain)
        await services.restoration.look()  # before the worker: no effect may be done first
        if services.works:
            services.worker.start()
            ending.then("worker", services.worker.stop)
        ending.then("activities and messages", services.drain, DRAIN_S)
        if services.works:
            ending.then("leases", services.leadership.hand_back)
            await services.leadership.loop.once()
        services.loops.start()
        ending.then("listener", services.listener.stop)
        ending.then("loops", services.loops.stop)
        if services.serves and services.socket is not None:
            await services.socket.start()
            ending.then("socket", services.socket.stop)
        services.background.start(_name_deaf_channels(services), "looking at the policy's channels")
        yield


async def _name_deaf_channels(services: Services) -> None:
    """Say in the log which channels of the policy cannot be posted to: requests would wait there unseen."""
    try:
        names = channels_of(await services.policies.current())
        found = await channel_problems(services.slack, names)
    except (PolicyError, SlackRefusedError, SlackUnavailableError) as error:
        log.warning("the policy's channels could not be looked at", why=str(error))
        return
    for name, problem in found.items():
        log.error("no card can be posted", channel=name, what_to_do=problem)


async def waited_for(database: Database, ready: Callable[[], Awaitable[str]], patience_s: float) -> None:
    """Bring the schema up to date, or see that it is, waiting for a server that is away: it may start later than we do.

    Raises: DatabaseUnavailableError after `patience_s`, and at once for a file: nobody will start that.
    """
    pause, until = 0.5, time.monotonic() + patience_s
    while True:
        try:
            await ready()
        except DatabaseUnavailableError as error:
            if database.dialect == "sqlite" or time.monotonic() + pause > until:
                raise
            log.warning("the database is away; the start waits for it", why=error.public, again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(5.0, 2 * pause)
        else:
            return


def create_app(settings: Settings, parts: Callable[[Settings], Services] = Services) -> FastAPI:
    """Return the web app, made of `parts`.

    Raises: MissingSettingsError, ExtensionError before anything starts (law: fail closed).
    """
    if missing := settings.missing():
        raise MissingSettingsError("\n".join(missing))
    load(OURS)
    for caution in settings.cautions():
        log.warning(caution)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = parts(settings)
        app.state.services = services
        _mount(app, services)
        async with started(services):
            yield

    app = FastAPI(title="Countersign", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit)
    app.add_middleware(SafeHeaders)
    app.add_middleware(CorrelationMiddleware)
    problems.install(app)
    documented.install(app)
    return app


def _mount(app: FastAPI, services: Services) -> None:
    if services.serves:
        _mount_doors(app, services)
    app.include_router(metrics.routes(services.metrics))
    app.include_router(health.routes(services.health))
    if services.serves:
        _mount_rest(app, services)


def _mount_doors(app: FastAPI, services: Services) -> None:
    if services.settings.slack_signing_secret.get_secret_value().strip():
        _mount_slack(app, services.ingress)
    _mount_dashboard(app, services)  # before REST: its pages share addresses with REST and answer browsers alone


def _mount_rest(app: FastAPI, services: Services) -> None:
    app.include_router(
        orders.routes(services.access, services.asking, services.starting, services.subjects, services.decisions)
    )
    app.include_router(
        requests.routes(
            services.access,
            services.asking,
            services.starting,
            services.subjects,
            services.decisions,
            services.requests,
            services.kinds,
        )
    )
    app.include_router(receipts.routes(services.access, services.receipts))
    app.include_router(webhooks.routes(services.access, services.deliveries))
    app.include_router(events.routes(services.access, services.following))
    app.include_router(bulk.routes(services.access, services.bulk))
    app.include_router(workflows.routes(services.access, services.operations, services.overview, services.clock))
    app.include_router(workflows.order_routes(services.access, services.overview))
    app.include_router(audit.routes(services.access, services.decided))
    app.include_router(statistics.routes(services.access, services.overview, services.clock))
    dashboard.mount_unknown(app)  # after everything: its page answers browsers at every other address


def _mount_slack(app: FastAPI, ingress: Ingress) -> None:
    """Mount Slack's door, the first of all routes and made before the first click: those three seconds are short."""

    async def slack_events(request: Request) -> Response:
        return await ingress(request)

    app.add_route("/slack/events", slack_events, methods=["POST"], include_in_schema=False)  # it validates by itself


def _mount_dashboard(app: FastAPI, services: Services) -> None:
    dashboard.mount(
        app,
        settings=services.settings,
        keys=services.keys,
        database=services.database,
        access=services.access,
        directory=services.directory,
        policies=services.policies,
        overview=services.overview,
        decided=services.decided,
        trail=services.audit_trail,
        operations=services.operations,
        subjects=services.subjects,
        decisions=services.decisions,
        bulk=services.bulk,
        deliveries=services.deliveries,
        following=services.following,
        http=services.http,
        clock=services.clock,
    )
