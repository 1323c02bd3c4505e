"""The Slack app's manifest in both forms, and which scope each Web API method of ours needs. Reads one packaged file.

`manifest.yml` is the HTTP form, importable as it is. Socket Mode has the same app without any address.
"""

from importlib import resources
from pathlib import Path
from typing import Any

import yaml

PLACEHOLDER = "https://countersign.example.com"
EVENTS_PATH = "/slack/events"
FILE = "manifest.yml"

METHODS: dict[str, tuple[str, ...]] = {
    "auth.test": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.open": ("im:write",),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "users.conversations": ("channels:read", "groups:read"),
    "users.info": ("users:read",),
    "users.lookupByEmail": ("users:read.email",),
    "views.open": (),
    "views.publish": (),
    "views.update": (),
}
"""Every Web API method the code calls, with the bot scopes it needs, none if Slack asks for none."""

OPTIONAL_METHODS = {"conversations.history": ("channels:history", "groups:history")}
"""Methods the code can do without. Their scopes are not asked for: grant them to find cards that were posted twice."""

APP_TOKEN_METHODS = {"apps.connections.open": "connections:write"}
"""Methods of the app token (Socket Mode); their scope is chosen when that token is made and stands in no manifest."""

COMMAND_SCOPE = "commands"


class ManifestError(ValueError):
    """The manifest cannot be made. The message says why."""


def scopes() -> frozenset[str]:
    """Return the bot scopes that the table and the slash command need."""
    return frozenset({scope for needed in METHODS.values() for scope in needed} | {COMMAND_SCOPE})


def manifest(*, socket_mode: bool = False, url: str | None = None) -> dict[str, Any]:
    """Return the app's manifest. `url` is the public https address of this app, without a path.

    Raises ManifestError for an address that Slack would not take, and for a missing or unreadable file.
    """
    document = _document()
    return _without_addresses(document) if socket_mode else _with_address(document, url)


def as_yaml(*, socket_mode: bool = False, url: str | None = None) -> str:
    """Return the manifest as YAML, in the order of the file."""
    return yaml.safe_dump(manifest(socket_mode=socket_mode, url=url), sort_keys=False, allow_unicode=True, width=120)


def _document() -> dict[str, Any]:
    try:
        document = yaml.safe_load(_text())
    except yaml.YAMLError as error:
        raise ManifestError(f"{FILE} is no valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ManifestError(f"{FILE} holds no mapping. Restore it from the release.")
    return document


def _text() -> str:
    """Read the file from beside the packages (a checkout), or from inside `bot` (a wheel)."""
    beside = Path(__file__).resolve().parents[2] / FILE
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    packaged = resources.files("bot").joinpath(FILE)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    raise ManifestError(f"{FILE} is missing: neither {beside} nor one inside the installed package exists.")


def _without_addresses(document: dict[str, Any]) -> dict[str, Any]:
    settings = document["settings"]
    settings["socket_mode_enabled"] = True
    settings["interactivity"].pop("request_url", None)
    settings["event_subscriptions"].pop("request_url", None)
    for command in document["features"]["slash_commands"]:
        command.pop("url", None)
    return document


def _with_address(document: dict[str, Any], url: str | None) -> dict[str, Any]:
    address = f"{_checked(url or PLACEHOLDER)}{EVENTS_PATH}"
    document["settings"]["interactivity"]["request_url"] = address
    document["settings"]["event_subscriptions"]["request_url"] = address
    for command in document["features"]["slash_commands"]:
        command["url"] = address
    return document


def _checked(url: str) -> str:
    address = url.rstrip("/").removesuffix(EVENTS_PATH)
    if not address.startswith("https://") or len(address) <= len("https://") or any(c.isspace() for c in address):
        raise ManifestError(f"{url!r} is no public https address. Give one such as {PLACEHOLDER}.")
    return address
