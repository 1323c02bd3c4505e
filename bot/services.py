"""The composition root: the only place that picks implementations and wires them. Nothing happens at import."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cached_property

import httpx
from slack_bolt.async_app import AsyncApp

from activities import Activities
from activities.bulk import BulkActivities
from activities.callbacks import Callbacks
from activities.clock import now_in_utc
from activities.judging import Judge
from activities.policies import PolicyFile
from activities.processing import Processing
from activities.proving import Prover
from activities.slack.alarming import Alarms
from activities.slack.announcing import Announcer
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.notifier import POLL_S, Notifier
from activities.slack.sending import Sender
from activities.slack.shared_pace import SharedPace
from activities.webhooks.addresses import LOOPBACK
from activities.webhooks.delivering import POLL_S as HOOKS_S
from activities.webhooks.delivering import Webhooks
from activities.webhooks.sending import Sender as WebhookSender
from approvals.signing import KeyRing
from bot.access.authenticating import Access
from bot.access.oidc import Oidc
from bot.access.throttle import Throttle
from bot.access.workloads import Workloads
from bot.control.diagnosis.gathering import FactFinder
from bot.control.observing import Observer
from bot.control.operations.asking import Asking
from bot.control.operations.bulk import Bulk
from bot.control.operations.bulk_items import Acting
from bot.control.operations.calls import Parts
from bot.control.operations.quotas import Quotas
from bot.control.operations.receipts import Receipts
from bot.control.operations.single import Operations
from bot.control.operations.starting import Starting, StartParts
from bot.control.operations.webhooks import Deliveries
from bot.control.reading.audit_trail import AuditTrail
from bot.control.reading.decided import DecisionsSearch
from bot.control.reading.delegated_requests import DelegatedRequests
from bot.control.reading.event_stream import EventStream
from bot.control.reading.kinds import Kinds
from bot.control.reading.overview import Overview
from bot.control.reading.requests import Requests
from bot.control.reconciling.card_repair import CardRepair
from bot.control.reconciling.checkpoints import Checkpointing, TrustedKeys, signers_of
from bot.control.reconciling.doctor import Doctor
from bot.control.reconciling.reaching import EVERY_S, Reach
from bot.control.reconciling.reconciler import Every, Reconciler
from bot.control.reconciling.restoring import Restoration
from bot.control.reconciling.retention import Retention
from bot.control.subjects import Subjects
from bot.decisions.answers import CHANNEL, Answers
from bot.decisions.delivery import Deliverer
from bot.decisions.state_cache import StateCache
from bot.decisions.submitting import Decisions
from bot.decisions.withdrawing import Withdrawals
from bot.engine.client import Engine
from bot.engine.extensions import Extensions, load
from bot.engine.traces import ActivityTraces
from bot.engine.worker import NAMES, OURS, STARTABLE, Worker
from bot.process.background import Background
from bot.process.leadership import Job, Leadership
from bot.process.live_secrets import LiveSecrets
from bot.process.periodic import Loops, Periodic
from bot.process.secret_files import rereading
from bot.process.settings import Settings
from bot.rest.health import Health
from bot.rest.metrics import Metrics
from bot.slack.bolt import bolt_app
from bot.slack.clicks import Clicks
from bot.slack.commands import Commands
from bot.slack.details import Details
from bot.slack.home import Home
from bot.slack.ingress import Ingress
from bot.slack.replay import ReplayGuard
from bot.slack.sockets import Socket
from records.database import Database
from records.errors import RecordsError, public_message
from records.listening import LISTEN_S, Listener
from workflows.versions import APPROVALS, Versions


class Services:
    """Everything that the app is made of. Each part is made when it is first asked for, inside the running loop."""

    clock = staticmethod(now_in_utc)

    def __init__(self, settings: Settings, approvals: Versions = APPROVALS) -> None:
        self.settings = settings
        self._approvals = approvals
        self.leaving = False
        """Whether this process is told to end: it serves on for a moment, and is not ready for more."""

    def leave(self) -> None:
        """Take no new work, at the beginning of an end: the sockets to Slack close first, and other replicas lead."""
        if self.leaving:
            return
        self.leaving = True
        self.background.start(self.leadership.hand_back(), "handing the jobs back")
        if self.socket is not None:
            self.background.start(self.socket.stop(), "closing the socket to Slack")

    @property
    def serves(self) -> bool:
        """Whether this process takes clicks and calls."""
        return self.settings.only != "worker"

    @property
    def works(self) -> bool:
        """Whether this process does activities and background jobs: clicks wait for them where they share a loop."""
        return self.settings.only != "web"

    # ---- outside: what is talked to ---------------------------------------------------------------------------------

    @cached_property
    def secrets(self) -> LiveSecrets:
        """The secrets as they are now."""
        return LiveSecrets(self.settings, rereading(type(self.settings)), self._use_token)

    def _use_token(self, token: str) -> None:
        self.slack.use(token)

    @property
    def keys(self) -> KeyRing:
        """The key ring; a rotation changes it in its place."""
        return self.secrets.keys

    @cached_property
    def database(self) -> Database:
        """The intake, the read model, the audit."""
        return Database.open(self.settings.database_url)

    @cached_property
    def http(self) -> httpx.AsyncClient:
        """For other systems: order processing, callbacks, identity providers."""
        return httpx.AsyncClient()

    @cached_property
    def slack(self) -> Slack:
        """Slack's Web API."""
        settings = self.settings
        shared = SharedPace(self.database, self.clock)
        pace = settings.slack_posts_per_second
        return Slack(self.secrets.bot_token, settings.slack_api_url, posts_per_second=pace, shared=shared)

    @cached_property
    def engine(self) -> Engine:
        """The workflow engine."""
        settings = self.settings
        token = settings.dapr_api_token.get_secret_value()
        return Engine(settings.sidecar_address, token, settings.dapr_api_timeout_seconds)

    @cached_property
    def directory(self) -> Directory:
        """Profiles and groups from Slack."""
        return Directory(self.slack)

    @cached_property
    def policies(self) -> PolicyFile:
        """The policy file."""
        return PolicyFile(self.settings.policy)

    @cached_property
    def background(self) -> Background:
        """Work that goes on after an answer."""
        return Background()

    # ---- deciding: from a click to the workflow and back ------------------------------------------------------------

    @cached_property
    def prover(self) -> Prover:
        """Derives from sealed evidence what the engine claims."""
        return Prover(self.database, self.keys, self.clock)

    @cached_property
    def judge(self) -> Judge:
        """Judges decisions, at the door and for the workflow."""
        unsigned = self.settings.accept_unsigned_decisions
        return Judge(self.directory, self.keys, self.clock, accept_unsigned=unsigned)

    @cached_property
    def announcer(self) -> Announcer:
        """Tells people."""
        return Announcer(self.database, self.slack, self.directory, self.clock)

    @cached_property
    def notifier(self) -> Notifier:
        """Sends what people are to be told."""
        alarms = Alarms(self.database, self.slack, self.directory, self.policies, self.clock)
        sender = Sender(self.database, self.slack, self.directory, self.announcer, self.mending.rewrite, alarms)
        return Notifier(self.database, sender, self.clock)

    @cached_property
    def deliverer(self) -> Deliverer:
        """Delivers the intake's decisions."""
        return Deliverer(self.database, self.engine, self.background, self.clock, self.notifier.take, self.answers)

    @cached_property
    def answers(self) -> Answers:
        """The answers of workflows that are waited for."""
        return Answers(self.database)

    @cached_property
    def listener(self) -> Listener:
        """Hears from PostgreSQL of the answers that other processes record."""
        return Listener(self.database, CHANNEL, self.answers.heard)

    @cached_property
    def states(self) -> StateCache:
        """The cache of requests' states."""
        return StateCache()

    @cached_property
    def decisions(self) -> Decisions:
        """Takes decisions in."""
        return Decisions(
            database=self.database,
            judge=self.judge,
            keys=self.keys,
            deliverer=self.deliverer,
            answers=self.answers,
            states=self.states,
            background=self.background,
            clock=self.clock,
        )

    @cached_property
    def callbacks(self) -> Callbacks:
        """The addresses that may be called back."""
        settings = self.settings
        return Callbacks(settings.callback_hosts, plain_to_loopback=settings.slack_is_local)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Tells other systems of ends."""
        networks = tuple(ipaddress.ip_network(each) for each in self.settings.callback_networks)
        allowed = (*networks, *LOOPBACK) if self.settings.slack_is_local else networks
        return Webhooks(self.database, WebhookSender(allowed), self.keys, self.clock)

    @cached_property
    def withdrawals(self) -> Withdrawals:
        """Takes withdrawals in."""
        return Withdrawals(
            database=self.database,
            judge=self.judge,
            keys=self.keys,
            deliverer=self.deliverer,
            answers=self.answers,
            background=self.background,
            clock=self.clock,
        )

    @cached_property
    def processing(self) -> Processing:
        """Does what an approval is for."""
        return Processing(
            self.database,
            self.http,
            self.prover,
            self.clock,
            order_url=self.settings.process_order_url,
            callbacks=self.callbacks,
            gate=self.restoration,
        )

    @cached_property
    def activities(self) -> Activities:
        """The effects of the approval workflow."""
        return Activities(
            database=self.database,
            slack=self.slack,
            directory=self.directory,
            policies=self.policies,
            judge=self.judge,
            processing=self.processing,
            prover=self.prover,
            clock=self.clock,
            observer=Observer(self.states, self.answers, self.notifier, self.mending),
        )

    @cached_property
    def extensions(self) -> Extensions:
        """The workflows and activities of other packages. Raises: ExtensionError."""
        return load(OURS)

    @cached_property
    def worker(self) -> Worker:
        """The Dapr worker of this process."""
        bulk_activities = BulkActivities(self.database, Acting(self.operations, self.database).act, self.clock)
        loop = asyncio.get_running_loop()
        address, own = self.settings.sidecar_address, self.extensions
        traces = ActivityTraces(self.database)
        return Worker(address, self.activities, bulk_activities, loop, self._approvals, own, traces)

    async def drain(self) -> None:
        """Let running activities and messages to Slack end at an orderly shutdown."""
        working = [self.worker.drain()] if self.works else []
        await asyncio.gather(*working, self.notifier.stop(), self.webhooks.stop())

    @cached_property
    def asking(self) -> Asking:
        """Makes requests of what callers ask."""
        return Asking(self.policies, self.access, self.subjects, self.callbacks, self.clock)

    @cached_property
    def starting(self) -> Starting:
        """The one starter."""
        return Starting(
            StartParts(
                database=self.database,
                engine=self.engine,
                policies=self.policies,
                directory=self.directory,
                keys=self.keys,
                callbacks=self.callbacks,
                quotas=Quotas(self.policies),
                names=(*STARTABLE, *self.extensions.workflows),
                clock=self.clock,
            )
        )

    @cached_property
    def deliveries(self) -> Deliveries:
        """What other systems were told."""
        return Deliveries(self.database, self.access, self.webhooks, self.callbacks, self.clock)

    @cached_property
    def receipts(self) -> Receipts:
        """Receipts of approvals, and their use."""
        return Receipts(
            self.database,
            self.subjects,
            self.keys,
            lambda: self.restoration.message if self.restoration.held else "",
            self.clock,
        )

    @cached_property
    def kinds(self) -> Kinds:
        """The kinds that can be asked for, and who would be asked."""
        return Kinds(self.asking, self.clock)

    @cached_property
    def requests(self) -> Requests:
        """Requests as their askers see them."""
        return Requests(self.database, self.overview, self.clock)

    @cached_property
    def details(self) -> Details:
        """Everything about one request."""
        return Details(self.database, self.directory, self.overview.story)

    # ---- control: seeing and managing -------------------------------------------------------------------------------

    @cached_property
    def throttle(self) -> Throttle:
        """Rate limiter for failed authentication, per client address."""
        return Throttle()

    @cached_property
    def access(self) -> Access:
        """Authentication and authorization."""
        return Access(
            database=self.database,
            directory=self.directory,
            policies=self.policies,
            key_ring=self.keys,
            clock=self.clock,
            throttle=self.throttle,
            oidc=oidc_of(self.settings, self.http),
            workloads=Workloads(self.http, self.settings.oidc_algorithms),
        )

    @cached_property
    def subjects(self) -> Subjects:
        """Finds the instance of a management call."""
        return Subjects(self.database, self.engine, self.access, self.directory, self.clock)

    @cached_property
    def operations(self) -> Operations:
        """The management calls."""
        parts = Parts(self.database, self.engine, self.notifier.take, self.clock)
        return Operations(parts, self.access, self.subjects, self.starting)

    @cached_property
    def decided(self) -> DecisionsSearch:
        """The search for decisions, for auditors."""
        return DecisionsSearch(self.database, self.directory, self.access, self.clock)

    @cached_property
    def overview(self) -> Overview:
        """Lists, one instance, statistics."""
        return Overview(
            database=self.database,
            engine=self.engine,
            access=self.access,
            subjects=self.subjects,
            directory=self.directory,
            facts=FactFinder(
                self.database, self.engine, (*NAMES, *self.extensions.workflows), self._connected, self.clock
            ),
            stand_ins=DelegatedRequests(
                database=self.database,
                directory=self.directory,
                judge=self.judge,
                subjects=self.subjects,
                clock=self.clock,
            ),
            clock=self.clock,
        )

    @cached_property
    def audit_trail(self) -> AuditTrail:
        """The audit, for auditors."""
        return AuditTrail(self.database, self.access, TrustedKeys(self.keys), self.clock)

    @cached_property
    def bulk(self) -> Bulk:
        """Many at once."""
        return Bulk(
            database=self.database,
            engine=self.engine,
            access=self.access,
            overview=self.overview,
            keys=self.keys,
            clock=self.clock,
        )

    @cached_property
    def following(self) -> EventStream:
        """The stream of news."""
        return EventStream(self.database, self.access, self.overview, self.clock)

    @cached_property
    def every(self) -> Every:
        """The reconciler's intervals."""
        return Every.sweep_every(self.settings.reconcile_every_seconds)

    @cached_property
    def mending(self) -> CardRepair:
        """Rewrites cards that lag behind."""
        return CardRepair(
            self.database, self.announcer, self.directory, self.clock, timedelta(seconds=self.every.settled)
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """Keeps read model and cards true."""
        return Reconciler(
            database=self.database,
            engine=self.engine,
            mending=self.mending,
            keys=self.keys,
            clock=self.clock,
            every=self.every,
            engine_keeps=_days(self.settings.engine_retention_days),
        )

    @cached_property
    def retention(self) -> Retention:
        """Forgets what ended long ago."""
        return Retention(self.database, self.engine, self.clock, _days(self.settings.retention_days))

    @cached_property
    def restoration(self) -> Restoration:
        """Notices a restored database."""
        settings = self.settings
        return Restoration(self.database, settings.checkpoint_dir, TrustedKeys(self.keys), self.clock)

    @cached_property
    def reach(self) -> Reach:
        """Looks whether those who are asked can still decide."""
        every_s = min(EVERY_S, self.settings.reconcile_every_seconds)
        return Reach(self.database, self.slack, self.directory, self.clock, self.settings.link_base, every_s)

    @cached_property
    def checkpointing(self) -> Checkpointing:
        """Signs the audit's end."""
        settings = self.settings
        every = settings.checkpoint_every_minutes * 60
        return Checkpointing(
            self.database,
            lambda: signers_of(self.keys)[0],
            settings.checkpoint_dir,
            self.clock,
            every,
            restoration=self.restoration,
        )

    @cached_property
    def leadership(self) -> Leadership:
        """The jobs that this process does for all of them."""
        return Leadership(self.database, self.clock, self.settings.leader_lease_seconds)

    @cached_property
    def loops(self) -> Loops:
        """The background loops."""
        return Loops(*self._beside)

    @cached_property
    def watched(self) -> Loops:
        """All loops whose failures are shown; those that look for followers and answers run only while some wait."""
        return Loops(*self._beside, self.following.loop, self.answers.loop)

    @cached_property
    def _beside(self) -> tuple[Periodic, ...]:
        telling = Periodic("notifications", self.notifier.look, POLL_S, passing=(RecordsError,), public=public_message)
        hearing = Periodic("listening", self.listener.look, LISTEN_S, passing=(RecordsError,), public=public_message)
        hooks = Periodic("webhooks", self.webhooks.look, HOOKS_S, passing=(RecordsError,), public=public_message)
        always = self.secrets.loop, self.deliverer.loop, self.restoration.loop
        serving = (hearing,) if self.serves else ()
        working = (self.leadership.loop, telling, hooks, *self._led) if self.works else ()
        return *always, *serving, *working

    @cached_property
    def _led(self) -> tuple[Periodic, ...]:
        """The loops that one process at a time runs, each under its job's lease."""
        reconciler = self.reconciler.loops
        led = {
            Job.RECONCILER: (reconciler.follow, reconciler.look, reconciler.sweep),
            Job.CARDS: (reconciler.cards,),
            Job.CHECKPOINTS: (self.checkpointing.loop,),
            Job.PRUNING: (self.replays.loop,),
            Job.RETENTION: (self.retention.loop,),
            Job.REACH: (self.reach.loop,),
        }
        return tuple(loop.led_by(self.leadership.lease(job)) for job, loops in led.items() for loop in loops)

    def _connected(self) -> bool:
        """Whether the engine can hand this process work, if it takes any."""
        return not self.works or self.worker.ready

    @cached_property
    def health(self) -> Health:
        """The checks of /readyz."""
        return Health(
            database=self.database,
            engine=self.engine,
            worker=self.worker if self.works else None,
            socket=self.socket,
            loops=self.watched,
            raises=self.deliverer.raises,
            leadership=self.leadership,
            restoration=self.restoration,
            leaving=lambda: self.leaving,
        )

    @cached_property
    def metrics(self) -> Metrics:
        """The figures of /metrics."""
        return Metrics(
            database=self.database,
            worker=self.worker if self.works else None,
            deliverer=self.deliverer,
            loops=self.watched,
            leadership=self.leadership,
            reconciler=self.reconciler,
            restoration=self.restoration,
            clock=self.clock,
        )

    # ---- Slack's side -----------------------------------------------------------------------------------------------

    @cached_property
    def bolt(self) -> AsyncApp:
        """The Bolt app with its listeners."""
        app = bolt_app(lambda: self.secrets.bot_token)
        Clicks(
            decisions=self.decisions,
            withdrawals=self.withdrawals,
            slack=self.slack,
            announcer=self.announcer,
            details=self.details,
            background=self.background,
        ).register(app)
        home = Home(self.access, self.overview, self.slack, self.background)
        home.register(app)
        Commands(
            access=self.access,
            overview=self.overview,
            operations=self.operations,
            subjects=self.subjects,
            bulk=self.bulk,
            withdrawals=self.withdrawals,
            slack=self.slack,
            home=home,
            clock=self.clock,
        ).register(app)
        return app

    @cached_property
    def replays(self) -> ReplayGuard:
        """The same signed bytes again."""
        return ReplayGuard(self.database, self.clock)

    @cached_property
    def ingress(self) -> Ingress:
        """The door for Slack over HTTP."""
        return Ingress(self.bolt, lambda: self.secrets.signing, self.replays, lambda: self.clock().timestamp())

    @cached_property
    def socket(self) -> Socket | None:
        """Socket Mode, if there is an app token."""
        return Socket(self.settings, self.ingress) if self.settings.socket_mode else None


def _days(number: float) -> timedelta | None:
    """Return a setting's days, None for 0."""
    return timedelta(days=number) if number else None


def doctor(services: Services, young: timedelta) -> Doctor:
    """Return the doctor of these parts; it ignores what moved less than `young` ago."""
    return Doctor(
        database=services.database,
        engine=services.engine,
        reconciler=services.reconciler,
        restoration=services.restoration,
        reach=services.reach,
        mending=CardRepair(services.database, services.announcer, services.directory, services.clock, settled=young),
        clock=services.clock,
        own=STARTABLE,
        young=young,
    )


@asynccontextmanager
async def doctor_of(settings: Settings, young: timedelta) -> AsyncIterator[Doctor]:
    """Give what `countersign doctor` works with: the app's parts without its web server and its worker."""
    services = Services(settings)
    async with AsyncExitStack() as stack:
        for closing in (services.database.close, services.engine.close, services.slack.close):
            stack.push_async_callback(closing)
        await services.database.migrate()
        yield doctor(services, young)


def oidc_of(settings: Settings, http: httpx.AsyncClient) -> Oidc | None:
    """Return the check of an identity provider's tokens, if one is configured."""
    if not settings.oidc_issuer:
        return None
    return Oidc(http, issuer=settings.oidc_issuer, audience=settings.oidc_audience, algorithms=settings.oidc_algorithms)
