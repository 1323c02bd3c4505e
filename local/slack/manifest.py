"""A Slack app manifest, as far as the workspace enforces it: scopes, commands, events, addresses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field

from local.slack.seed import Value

DEFAULT_SCOPES = ("chat:write", "commands", "users:read", "users:read.email", "usergroups:read", "im:write")


class Command(Value):
    """One slash command of the manifest."""

    command: str
    url: str | None = None
    description: str = ""
    usage_hint: str = ""
    should_escape: bool = False


class AppManifest(Value):
    """What the app asked for when it was installed."""

    name: str = "Local app"
    bot_scopes: tuple[str, ...] = DEFAULT_SCOPES
    user_scopes: tuple[str, ...] = ()
    commands: tuple[Command, ...] | None = None
    bot_events: tuple[str, ...] = ()
    events_url: str | None = None
    interactivity_url: str | None = None
    interactivity_enabled: bool = True
    home_tab_enabled: bool = True
    socket_mode_enabled: bool = False
    redirect_urls: tuple[str, ...] = Field(default=())

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Take the enforced parts out of a whole manifest document."""
        features, settings = document.get("features") or {}, document.get("settings") or {}
        oauth = document.get("oauth_config") or {}
        scopes, events = oauth.get("scopes") or {}, settings.get("event_subscriptions") or {}
        interactivity = settings.get("interactivity") or {}
        return cls(
            name=(document.get("display_information") or {}).get("name", "Local app"),
            bot_scopes=tuple(scopes.get("bot") or ()),
            user_scopes=tuple(scopes.get("user") or ()),
            commands=tuple(Command.model_validate(command) for command in features.get("slash_commands") or ()),
            bot_events=tuple(events.get("bot_events") or ()),
            events_url=events.get("request_url"),
            interactivity_url=interactivity.get("request_url"),
            interactivity_enabled=bool(interactivity.get("is_enabled", False)),
            home_tab_enabled=bool((features.get("app_home") or {}).get("home_tab_enabled", False)),
            socket_mode_enabled=bool(settings.get("socket_mode_enabled", False)),
            redirect_urls=tuple(oauth.get("redirect_urls") or ()),
        )

    def command(self, name: str) -> Command | None:
        """Find a slash command; a workspace without a manifest knows every command."""
        if self.commands is None:
            return Command(command=name)
        return next((command for command in self.commands if command.command == name), None)


def load_manifest(source: AppManifest | Mapping[str, Any] | Path | str | None) -> AppManifest:
    """Accept a parsed manifest, a document, or the path of a YAML or JSON file; None restricts nothing but scopes."""
    if source is None:
        return AppManifest(bot_events=("app_home_opened",))
    if isinstance(source, AppManifest):
        return source
    if isinstance(source, Mapping):
        return AppManifest.parse(source)
    return AppManifest.parse(yaml.safe_load(Path(source).read_text(encoding="utf-8")))
