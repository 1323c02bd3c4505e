"""What comes and goes in a workspace: messages, views, triggers, response addresses, notices. Data only, no rules."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Message:
    """A message in a channel, or an ephemeral one when `only_for` names its single reader."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: Json | None = None
    client_msg_id: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    team: str = ""
    edited_ts: str | None = None
    only_for: str | None = None
    pings: tuple[str, ...] = ()
    edits: int = 0

    def wire(self, *, metadata: bool = True) -> Json:
        """Give Slack's JSON form of the message."""
        body: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text, "team": self.team}
        if self.bot_id:
            body |= {"bot_id": self.bot_id, "app_id": self.app_id, "bot_profile": {"id": self.bot_id, "name": "bot"}}
        optional = {
            "blocks": self.blocks,
            "attachments": self.attachments,
            "thread_ts": self.thread_ts,
            "client_msg_id": self.client_msg_id,
            "metadata": self.metadata if metadata else None,
        }
        body |= {key: copy.deepcopy(value) for key, value in optional.items() if value}
        if self.edited_ts:
            body["edited"] = {"user": self.user, "ts": self.edited_ts}
        return body

    def snapshot(self) -> "Message":
        """Copy the message, so that a test can keep what it saw: an edit puts other blocks in, and changes none."""
        return replace(self)

    def action_ids(self) -> tuple[str, ...]:
        """Name every interactive element in the message, in reading order."""
        return tuple(element["action_id"] for _, element in interactive_elements(self.blocks))


@dataclass(slots=True)
class View:
    """A modal or an App Home as one user sees it."""

    id: str
    user: str
    type: str
    hash: str
    body: Json
    root_view_id: str
    previous_view_id: str | None = None
    state: Json = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    team_id: str = ""
    app_id: str = ""
    bot_id: str = ""

    @property
    def blocks(self) -> list[Json]:
        """The view's blocks."""
        blocks: list[Json] = self.body.get("blocks", [])
        return blocks

    @property
    def callback_id(self) -> str:
        """The name the app gave the view."""
        return str(self.body.get("callback_id", ""))

    def wire(self) -> Json:
        """Give Slack's JSON form of the view."""
        body = self.body
        return {
            "id": self.id,
            "team_id": self.team_id,
            "type": self.type,
            "blocks": copy.deepcopy(self.blocks),
            "private_metadata": body.get("private_metadata", ""),
            "callback_id": self.callback_id,
            "state": {"values": copy.deepcopy(self.state)},
            "hash": self.hash,
            "title": body.get("title"),
            "clear_on_close": bool(body.get("clear_on_close", False)),
            "notify_on_close": bool(body.get("notify_on_close", False)),
            "close": body.get("close"),
            "submit": body.get("submit"),
            "previous_view_id": self.previous_view_id,
            "root_view_id": self.root_view_id,
            "app_id": self.app_id,
            "external_id": body.get("external_id", ""),
            "app_installed_team_id": self.team_id,
            "bot_id": self.bot_id,
        }

    def snapshot(self) -> "View":
        """Copy the view, so that a test can keep what it saw."""
        return replace(self, body=copy.deepcopy(self.body), state=copy.deepcopy(self.state), errors=dict(self.errors))


@dataclass(slots=True)
class Trigger:
    """A trigger_id: good once, for three seconds."""

    user: str
    expires: float
    view_id: str | None = None
    used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """A response_url: good for five messages within thirty minutes."""

    user: str
    channel: str
    expires: float
    message_ts: str | None = None
    uses: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """What Slack's own client tells a user when the app did not answer as it should."""

    user: str
    error: str
    text: str
    at: float


def interactive_elements(blocks: list[Json]) -> list[tuple[Json, Json]]:
    """List (block, element) for everything in the blocks that has an action_id."""
    found: list[tuple[Json, Json]] = []
    for block in blocks:
        candidates = [*block.get("elements", ()), block.get("accessory"), block.get("element")]
        found += [(block, item) for item in candidates if isinstance(item, dict) and "action_id" in item]
    return found
