"""The workspace's state and its rules of time: ids, triggers, response addresses, who is where. No HTTP."""

import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from local.slack import pings
from local.slack.errors import SlackError
from local.slack.manifest import AppManifest
from local.slack.seed import BOT_ID, Channel, Group, Seed, Team, User
from local.slack.values import Json, Message, Notice, ResponseUrl, Trigger, View

TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 1800.0
RESPONSE_URL_USES = 5
APP_ID = "A0LOCAL"

Listener = Callable[[str, Json], None]


class World:
    """Everything that is true in the workspace now. Changed on the server's loop only; read from anywhere."""

    def __init__(self, seed: Seed, manifest: AppManifest) -> None:
        self.team: Team = seed.team
        self.manifest = manifest
        self.users: dict[str, User] = {user.id: user for user in seed.users}
        self.channels: dict[str, Channel] = {channel.id: channel for channel in seed.channels}
        self.groups: dict[str, Group] = {group.id: group for group in seed.groups}
        self.bot_user_id, self.bot_id, self.app_id = seed.bot_user_id, BOT_ID, APP_ID
        self.messages: dict[str, dict[str, Message]] = {}
        self.ephemerals: list[Message] = []
        self.modals: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.notices: list[Notice] = []
        self.ahead = 0.0
        self.base_url = ""
        self._listeners: list[Listener] = []
        self._last_ts = 0
        self._numbers = itertools.count(1)

    # time and names

    def now(self) -> float:
        """Tell the workspace's time in epoch seconds; tests move it ahead instead of waiting."""
        return time.time() + self.ahead

    def next_ts(self) -> str:
        """Make a message timestamp that no other message has."""
        self._last_ts = max(int(self.now() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """Make an id in Slack's manner."""
        return f"{prefix}0{next(self._numbers):05d}"

    # listeners

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(kind, detail)` after each change, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def announce(self, kind: str, /, **detail: Any) -> None:
        """Tell every listener what changed."""
        for listener in tuple(self._listeners):
            listener(kind, detail)

    # people and places

    def team_of(self, user: User) -> str:
        """Tell the team a user belongs to."""
        return user.team_id or self.team.id

    def channel(self, name_or_id: str) -> Channel:
        """Find a channel by id, `#name` or name. Raises channel_not_found."""
        found = self.channels.get(name_or_id)
        name = name_or_id.removeprefix("#")
        found = found or next((c for c in self.channels.values() if c.name == name and not c.is_im), None)
        if found is None:
            raise SlackError("channel_not_found")
        return found

    def id_of(self, name_or_id: str) -> str:
        """Give a channel's id by any of its names; what is no channel stays as it is."""
        try:
            return self.channel(name_or_id).id
        except SlackError:
            return name_or_id

    def direct_message(self, user_id: str) -> Channel:
        """Give the direct message between the bot and a user, opening it on first use."""
        existing = next((c for c in self.channels.values() if c.is_im and c.user == user_id), None)
        if existing:
            return existing
        channel = Channel(
            id=f"D{user_id[1:]}", members=(user_id, self.bot_user_id), is_im=True, is_private=True, user=user_id
        )
        self.channels[channel.id] = channel
        self.announce("channel", channel=channel.id)
        return channel

    def handles(self) -> dict[str, str]:
        """Map `@name` to the id of the person or group."""
        return {user.name: user.id for user in self.users.values()} | {g.handle: g.id for g in self.groups.values()}

    # messages

    def post(self, message: Message, *, parse: str = "none") -> Message:
        """Put a message where it belongs, with block ids and the list of those it pings."""
        message.team = self.team.id
        message.blocks = with_block_ids(message.blocks)
        message.pings = pings.of_message(message.text, message.blocks, parse, self.handles())
        if message.only_for:
            self.ephemerals.append(message)
        else:
            self.messages.setdefault(message.channel, {})[message.ts] = message
        self.announce("message", channel=message.channel, ts=message.ts, only_for=message.only_for)
        return message

    def bot_message(self, channel: str, text: str, blocks: list[Json], **fields: Any) -> Message:
        """Build a message of the bot; it is not posted yet."""
        return Message(
            channel=channel,
            ts=self.next_ts(),
            user=self.bot_user_id,
            text=text,
            blocks=blocks,
            bot_id=self.bot_id,
            app_id=self.app_id,
            **fields,
        )

    def rewrite(self, message: Message, *, parse: str = "none", **changes: Any) -> None:
        """Change a message in place."""
        for name, value in changes.items():
            setattr(message, name, value)
        message.blocks = with_block_ids(message.blocks)
        message.edits += 1
        message.edited_ts = self.next_ts()
        message.pings = pings.of_message(message.text, message.blocks, parse, self.handles())
        self.announce("message", channel=message.channel, ts=message.ts, only_for=message.only_for)

    def find_message(self, channel: str, ts: str) -> Message:
        """Find a message in a channel. Raises message_not_found."""
        message = self.messages.get(channel, {}).get(ts)
        if message is None:
            raise SlackError("message_not_found")
        return message

    def find_ephemeral(self, ts: str) -> Message | None:
        """Find an ephemeral message by its timestamp."""
        return next((message for message in self.ephemerals if message.ts == ts), None)

    def remove_message(self, message: Message) -> None:
        """Take a message away."""
        if message.only_for:
            self.ephemerals.remove(message)
        else:
            del self.messages[message.channel][message.ts]
        self.announce("message", channel=message.channel, ts=message.ts, only_for=message.only_for)

    def replies(self, channel: str, ts: str) -> list[Message]:
        """List a thread: the parent first, then its replies."""
        return [m for m in list(self.messages.get(channel, {}).values()) if ts in {m.ts, m.thread_ts}]

    def notify(self, user: str, error: str, text: str) -> None:
        """Show a user what Slack's client shows when the app failed."""
        self.notices.append(Notice(user=user, error=error, text=text, at=self.now()))
        self.announce("notice", user=user)

    # things that expire

    def new_trigger(self, user: str, view_id: str | None = None) -> str:
        """Make a trigger_id."""
        trigger_id = f"{next(self._numbers)}.{int(self.now())}.{secrets.token_hex(16)}"
        self.triggers[trigger_id] = Trigger(user=user, expires=self.now() + TRIGGER_SECONDS, view_id=view_id)
        return trigger_id

    def exchange_trigger(self, trigger_id: str) -> Trigger:
        """Use a trigger_id up. Raises invalid_trigger, expired_trigger_id or exchanged_trigger_id."""
        trigger = self.triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self.now() > trigger.expires:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def new_response_url(self, user: str, channel: str, message_ts: str | None = None) -> str:
        """Make a response_url."""
        token = secrets.token_hex(16)
        expires = self.now() + RESPONSE_URL_SECONDS
        self.response_urls[token] = ResponseUrl(user=user, channel=channel, expires=expires, message_ts=message_ts)
        return f"{self.base_url}/response/{self.team.id}/{token}"

    def use_response_url(self, token: str) -> ResponseUrl:
        """Count one use of a response_url. Raises expired_url or used_url."""
        target = self.response_urls.get(token)
        if target is None or self.now() > target.expires:
            raise SlackError("expired_url")
        if target.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        target.uses += 1
        return target


def with_block_ids(blocks: Iterable[Json]) -> list[Json]:
    """Give every block an id, as Slack does, and every interactive element an action_id."""
    return [_with_action_ids({"block_id": secrets.token_urlsafe(4), **block}) for block in blocks]


_STATIC = frozenset({"image", "mrkdwn", "plain_text"})


def _with_action_ids(block: Json) -> Json:
    def named(element: Json) -> Json:
        return element if element.get("type") in _STATIC else {"action_id": secrets.token_urlsafe(4), **element}

    changed = dict(block)
    if block.get("type") == "actions":
        changed["elements"] = [named(element) for element in block["elements"]]
    changed |= {key: named(block[key]) for key in ("accessory", "element") if isinstance(block.get(key), dict)}
    return changed
