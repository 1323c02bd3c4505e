"""The composition root: the only place that picks implementations and wires them. Nothing happens at import."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import structlog
from fastapi import FastAPI, Request, Response

from activities import Activities
from activities.announcing import Announcer
from activities.bulk import BulkActivities
from activities.directory import Directory
from activities.judging import Judge
from activities.policies import PolicyFile
from activities.processing import Processing
from activities.slack import Slack
from bot import metrics
from bot.access import Access
from bot.background import Background
from bot.checkpointing import Checkpointing, signers_of
from bot.control.acting import Acting
from bot.control.bulk import Bulk
from bot.control.finding import FactFinder
from bot.control.following import Following
from bot.control.mending import Mending
from bot.control.operations import Operations
from bot.control.overview import Overview
from bot.control.reconcile import Every, Reconciler
from bot.control.starting import Starting
from bot.control.subjects import Subjects
from bot.correlation import CorrelationMiddleware
from bot.dashboard import site as dashboard
from bot.decisions import Decisions
from bot.delivery import Deliverer
from bot.details import Details
from bot.doctor import Doctor
from bot.engine import Engine
from bot.limits import BodyLimit
from bot.metrics import Metrics
from bot.oidc import Oidc
from bot.orders import Orders
from bot.rest import bulk, documented, events, failures, health, orders, problems, statistics, workflows
from bot.settings import Settings
from bot.slack.bolt import bolt_app
from bot.slack.clicks import Clicks
from bot.slack.commands import Commands
from bot.slack.home import Home
from bot.slack.ingress import Ingress
from bot.slack.replay import ReplayGuard
from bot.slack.sockets import Socket
from bot.worker import NAMES, STARTABLE, Worker
from records.database import Database

log = structlog.get_logger(__name__)


class MissingSettingsError(Exception):
    """Settings are missing or unusable. The text has a sentence for each."""


def now_in_utc() -> datetime:
    """Return this machine's time, for what is written down."""
    return datetime.now(UTC)


class Services:
    """Everything that the app is made of, made once inside the running loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = now_in_utc
        self.background = Background()
        self.database = Database.open(settings.database_url)
        self.http = httpx.AsyncClient()
        self.slack = Slack(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
        self.directory = Directory(self.slack)
        self.policies = PolicyFile(settings.policy)
        self.engine = Engine(
            settings.sidecar_address, settings.dapr_api_token.get_secret_value(), settings.dapr_api_timeout_seconds
        )
        self.judge = Judge(
            self.directory, settings.keys, self.clock, accept_unsigned=settings.accept_unsigned_decisions
        )
        self.announcer = Announcer(self.database, self.slack, self.directory, self.clock)
        self.processing = Processing(
            self.database,
            self.http,
            self.clock,
            order_url=settings.process_order_url,
            callback_hosts=settings.callback_hosts,
        )
        self.deliverer = Deliverer(self.database, self.engine, self.background, self.clock, self.announcer)
        self.activities = Activities(
            database=self.database,
            slack=self.slack,
            directory=self.directory,
            policies=self.policies,
            announcer=self.announcer,
            judge=self.judge,
            processing=self.processing,
            clock=self.clock,
            answered=self.deliverer.answered,
        )
        self.decisions = Decisions(
            database=self.database,
            judge=self.judge,
            keys=settings.keys,
            deliverer=self.deliverer,
            clock=self.clock,
        )
        self.access = Access(
            database=self.database,
            directory=self.directory,
            policies=self.policies,
            key_ring=settings.keys,
            clock=self.clock,
            oidc=oidc_of(settings, self.http),
        )
        self.orders = Orders(self.database, self.engine, self.policies, self.clock)
        self.subjects = Subjects(self.database, self.engine, self.access, self.directory, self.clock)
        self.operations = Operations(
            database=self.database,
            engine=self.engine,
            access=self.access,
            subjects=self.subjects,
            starting=Starting(self.database, self.engine, STARTABLE, self.clock),
            announcer=self.announcer,
            background=self.background,
            clock=self.clock,
        )
        self.overview = Overview(
            database=self.database,
            engine=self.engine,
            access=self.access,
            subjects=self.subjects,
            directory=self.directory,
            facts=FactFinder(self.database, self.engine, NAMES, lambda: self.worker.ready, self.clock),
            clock=self.clock,
        )
        self.bulk_activities = BulkActivities(self.database, Acting(self.operations).act, self.clock)
        self.following = Following(self.database, self.access, self.overview, self.clock)
        self.bulk = Bulk(
            database=self.database,
            engine=self.engine,
            access=self.access,
            overview=self.overview,
            keys=settings.keys,
            clock=self.clock,
        )
        self.reconciler = Reconciler(
            database=self.database,
            engine=self.engine,
            announcer=self.announcer,
            directory=self.directory,
            clock=self.clock,
            every=Every.sweep_every(settings.reconcile_every_seconds),
        )
        self.details = Details(self.database, self.directory)
        self.worker = Worker(
            settings.sidecar_address, self.activities, self.bulk_activities, asyncio.get_running_loop()
        )
        self.bolt = bolt_app(settings)
        Clicks(
            decisions=self.decisions,
            slack=self.slack,
            announcer=self.announcer,
            details=self.details,
            background=self.background,
        ).register(self.bolt)
        Commands(
            access=self.access,
            overview=self.overview,
            operations=self.operations,
            subjects=self.subjects,
            bulk=self.bulk,
            slack=self.slack,
            clock=self.clock,
        ).register(self.bolt)
        Home(self.access, self.overview, self.slack, self.background).register(self.bolt)
        self.metrics = Metrics(self.database, self.worker, self.deliverer, self.clock)
        self.checkpointing = Checkpointing(
            self.database,
            signers_of(settings.secret_key.get_secret_value())[0],
            settings.checkpoint_dir,
            self.clock,
            settings.checkpoint_every_minutes * 60,
        )
        self.replays = ReplayGuard(self.database, self.clock)
        self.ingress = Ingress(self.bolt, settings.slack_signing_secret.get_secret_value(), self.replays)
        self.socket = Socket(settings, self.ingress, self.replays) if settings.socket_mode else None


@asynccontextmanager
async def doctor_of(settings: Settings, young: timedelta) -> AsyncIterator[Doctor]:
    """Give what `countersign doctor` works with: the app's parts without its web server and its worker."""
    async with AsyncExitStack() as stack:
        database = Database.open(settings.database_url)
        stack.push_async_callback(database.close)
        await database.migrate()
        engine = Engine(
            settings.sidecar_address, settings.dapr_api_token.get_secret_value(), settings.dapr_api_timeout_seconds
        )
        stack.push_async_callback(engine.close)
        slack = Slack(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
        stack.push_async_callback(slack.close)
        directory = Directory(slack)
        announcer = Announcer(database, slack, directory, now_in_utc)
        yield Doctor(
            database=database,
            engine=engine,
            reconciler=Reconciler(
                database=database, engine=engine, announcer=announcer, directory=directory, clock=now_in_utc
            ),
            mending=Mending(database, announcer, directory, now_in_utc, settled=young),
            clock=now_in_utc,
            young=young,
        )


def oidc_of(settings: Settings, http: httpx.AsyncClient) -> Oidc | None:
    """Return the check of an identity provider's tokens, where one is configured."""
    if not settings.oidc_issuer:
        return None
    return Oidc(http, issuer=settings.oidc_issuer, audience=settings.oidc_audience, algorithms=settings.oidc_algorithms)


@asynccontextmanager
async def started(services: Services) -> AsyncIterator[None]:
    """Start what runs beside the requests, and end it in the opposite order."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(services.http.aclose)
        stack.push_async_callback(services.slack.close)
        stack.push_async_callback(services.engine.close)
        stack.push_async_callback(services.database.close)
        await services.database.migrate()
        stack.push_async_callback(services.background.drain)
        services.worker.start()
        stack.push_async_callback(services.worker.stop)
        delivering = asyncio.create_task(services.deliverer.run(), name="deliverer")
        stack.push_async_callback(_cancelled, delivering)
        reconciling = asyncio.create_task(services.reconciler.run(), name="reconciler")
        stack.push_async_callback(_cancelled, reconciling)
        signing = asyncio.create_task(services.checkpointing.run(), name="checkpoints")
        stack.push_async_callback(_cancelled, signing)
        pruning = asyncio.create_task(services.replays.prune(), name="pruning of replays")
        stack.push_async_callback(_cancelled, pruning)
        if services.socket is not None:
            await services.socket.start()
            stack.push_async_callback(services.socket.stop)
        yield


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def create_app(settings: Settings) -> FastAPI:
    """Return the web app. Errors: MissingSettingsError before anything starts (law 6)."""
    if missing := settings.missing():
        raise MissingSettingsError("\n".join(missing))
    for caution in settings.cautions():
        log.warning(caution)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services(settings)
        app.state.services = services
        _mount(app, services)
        async with started(services):
            yield

    app = FastAPI(title="Countersign", version="0.1.0", lifespan=lifespan)
    app.add_middleware(BodyLimit)
    app.add_middleware(CorrelationMiddleware)
    problems.install(app)
    failures.install(app)
    documented.install(app)
    return app


def _mount(app: FastAPI, services: Services) -> None:
    _mount_dashboard(app, services)  # first: its pages share addresses with REST and answer browsers alone
    app.include_router(metrics.routes(services.metrics))
    app.include_router(health.routes(services.database, services.engine, services.worker, services.socket))
    app.include_router(
        orders.routes(services.access, services.orders, services.decisions, services.policies, services.database)
    )
    app.include_router(events.routes(services.access, services.following))
    app.include_router(bulk.routes(services.access, services.bulk))
    app.include_router(workflows.routes(services.access, services.operations, services.overview, services.clock))
    app.include_router(statistics.routes(services.access, services.overview, services.clock))
    if services.settings.slack_signing_secret.get_secret_value().strip():

        @app.post("/slack/events", include_in_schema=False)
        async def slack_events(request: Request) -> Response:
            return await services.ingress(request)


def _mount_dashboard(app: FastAPI, services: Services) -> None:
    dashboard.mount(
        app,
        settings=services.settings,
        database=services.database,
        access=services.access,
        directory=services.directory,
        policies=services.policies,
        overview=services.overview,
        operations=services.operations,
        subjects=services.subjects,
        decisions=services.decisions,
        bulk=services.bulk,
        http=services.http,
        clock=services.clock,
    )
