"""Slack's side of the app: listeners, the HTTP address, Socket Mode. Wiring only."""

from functools import cached_property

from slack_bolt.async_app import AsyncApp

from bot.services.keeping import Keeping
from bot.slack.bolt import bolt_app
from bot.slack.clicks import Clicks
from bot.slack.commands import Commands
from bot.slack.directory_changes import DirectoryChanges
from bot.slack.home import HomeTab
from bot.slack.ingress import Ingress
from bot.slack.sockets import Socket


class SlackSide(Keeping):
    """Slack's listeners and the two ways in."""

    @cached_property
    def bolt(self) -> AsyncApp:
        """The Bolt app with its listeners."""
        app = bolt_app(lambda: self.secrets.bot_token)
        Clicks(
            decisions=self.decisions,
            slack=self.slack,
            announcer=self.announcer,
            details=self.details,
            background=self.background,
        ).register(app)
        DirectoryChanges(self.directory, self.shared_answers, self.background).register(app)
        home = HomeTab(self.access, self.overview, self.slack, self.background)
        home.register(app)
        Commands(
            access=self.access,
            overview=self.overview,
            operations=self.operations,
            subjects=self.subjects,
            bulk=self.bulk,
            decisions=self.decisions,
            slack=self.slack,
            home=home,
            clock=self.clock,
        ).register(app)
        return app

    @cached_property
    def ingress(self) -> Ingress:
        """The door for Slack over HTTP."""
        return Ingress(self.bolt, lambda: self.secrets.signing, self.replays, lambda: self.clock().timestamp())

    @cached_property
    def socket(self) -> Socket | None:
        """Socket Mode, if there is an app token."""
        if not self.settings.socket_mode:
            return None
        socket = Socket(self.settings, self.ingress)
        self.secrets.serve("slack_app_token", socket)
        return socket
