"""Connections to other systems, and what all parts share: database, engine, Slack, keys, access, the jobs it leads.

Wiring only.
"""

import secrets
from functools import cached_property

import httpx

from activities.clock import now_in_utc
from activities.policies import PolicyFile
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.shared_answers import SharedAnswers
from activities.slack.shared_pace import SharedPace
from approvals.signing import KeyRing
from bot.access.authenticating import Access
from bot.access.oidc import Oidc
from bot.access.throttle import Throttle
from bot.access.workloads import Workloads
from bot.control.reconciling.checkpoints import TrustedKeys
from bot.control.reconciling.restoring import Restoration
from bot.engine.client import Engine
from bot.engine.extensions import Extensions, load
from bot.engine.worker import OURS
from bot.process.background import Background
from bot.process.leadership import Leadership
from bot.process.live_secrets import LiveSecrets
from bot.process.secret_files import rereading
from bot.process.settings import Settings
from records.database import Database
from workflows.versions import APPROVALS, Versions


class Outside:
    """Connections and shared parts. Each is made when it is first asked for, inside the running loop."""

    clock = staticmethod(now_in_utc)

    def __init__(self, settings: Settings, approvals: Versions = APPROVALS) -> None:
        self.settings = settings
        self._approvals = approvals
        self.leaving = False
        """Whether this process is told to end: it serves on for a moment, and is not ready for more."""

    @property
    def serves(self) -> bool:
        """Whether this process takes clicks and calls."""
        return self.settings.only != "worker"

    @property
    def works(self) -> bool:
        """Whether this process does activities and background jobs: clicks wait for them where they share a loop."""
        return self.settings.only != "web"

    @cached_property
    def secrets(self) -> LiveSecrets:
        """The secrets as they are now."""
        return LiveSecrets(self.settings, rereading(type(self.settings)))

    @property
    def keys(self) -> KeyRing:
        """The key ring; a rotation changes it in its place."""
        return self.secrets.keys

    @cached_property
    def database(self) -> Database:
        """The intake, the read model, the audit."""
        database = Database.open(self.settings.database_url)
        self.secrets.serve("database_url", database)
        return database

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
        slack = Slack(self.secrets.bot_token, settings.slack_api_url, posts_per_second=pace, shared=shared)
        self.secrets.serve("slack_bot_token", slack)
        return slack

    @cached_property
    def engine(self) -> Engine:
        """The workflow engine."""
        settings = self.settings
        token = settings.dapr_api_token.get_secret_value()
        engine = Engine(settings.sidecar_address, token, settings.dapr_api_timeout_seconds)
        self.secrets.serve("dapr_api_token", engine)
        return engine

    @cached_property
    def directory(self) -> Directory:
        """Profiles and groups from Slack."""
        shared = self.shared_answers if self.database.dialect != "sqlite" else None  # there is one process
        return Directory(self.slack, shared=shared)

    @cached_property
    def shared_answers(self) -> SharedAnswers:
        """Slack's answers about groups, for all processes."""
        return SharedAnswers(self.database, self.keys, secrets.token_hex(8), self.clock)

    @cached_property
    def policies(self) -> PolicyFile:
        """The policy file."""
        return PolicyFile(self.settings.policy)

    @cached_property
    def background(self) -> Background:
        """Work that continues after an answer."""
        return Background()

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
    def leadership(self) -> Leadership:
        """The jobs that this process does for all of them."""
        return Leadership(self.database, self.clock, self.settings.leader_lease_seconds)

    @cached_property
    def restoration(self) -> Restoration:
        """Notices a restored database."""
        settings = self.settings
        return Restoration(self.database, settings.checkpoint_dir, TrustedKeys(self.keys), self.clock)

    @cached_property
    def extensions(self) -> Extensions:
        """The workflows and activities of other packages. Raises: ExtensionError."""
        return load(OURS)


def oidc_of(settings: Settings, http: httpx.AsyncClient) -> Oidc | None:
    """Return the check of an identity provider's tokens, if one is configured."""
    if not settings.oidc_issuer:
        return None
    return Oidc(http, issuer=settings.oidc_issuer, audience=settings.oidc_audience, algorithms=settings.oidc_algorithms)
