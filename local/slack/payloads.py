"""Builds what Slack sends to an app. Pure functions of the world and an action; sends nothing."""

from typing import Any

from local.slack.seed import Channel, User
from local.slack.values import Json, Message, View
from local.slack.world import World

VERIFICATION_TOKEN = "local-verification-token"  # noqa: S105 # Slack's deprecated field; checked by nobody


def _common(world: World, kind: str, user: User) -> Json:
    return {
        "type": kind,
        "team": {"id": world.team.id, "domain": world.team.domain},
        "user": _user(world, user),
        "api_app_id": world.app_id,
        "token": VERIFICATION_TOKEN,
        "enterprise": {"id": world.team.enterprise_id} if world.team.enterprise_id else None,
        "is_enterprise_install": False,
    }


def _user(world: World, user: User) -> Json:
    return {"id": user.id, "username": user.name, "name": user.name, "team_id": world.team_of(user)}


def _channel_name(channel: Channel) -> str:
    return "directmessage" if channel.is_im else channel.name


def slash_command(world: World, user: User, channel: Channel, command: str, text: str) -> Json:
    """Build the form of a slash command."""
    fields: Json = {
        "token": VERIFICATION_TOKEN,
        "team_id": world.team_of(user),
        "team_domain": world.team.domain,
        "channel_id": channel.id,
        "channel_name": _channel_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": world.app_id,
        "is_enterprise_install": "false",
        "response_url": world.new_response_url(user.id, channel.id),
        "trigger_id": world.new_trigger(user.id),
    }
    return fields | ({"enterprise_id": world.team.enterprise_id} if world.team.enterprise_id else {})


def message_action(world: World, user: User, message: Message, action: Json) -> Json:
    """Build block_actions for an element in a message."""
    channel = world.channels[message.channel]
    return _common(world, "block_actions", user) | {
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": bool(message.only_for),
        },
        "trigger_id": world.new_trigger(user.id),
        "channel": {"id": channel.id, "name": _channel_name(channel)},
        "message": message.wire(metadata=True),
        "state": {"values": {}},
        "response_url": world.new_response_url(user.id, channel.id, message.ts),
        "actions": [action],
    }


def view_action(world: World, user: User, view: View, action: Json) -> Json:
    """Build block_actions for an element in a modal or App Home."""
    return _common(world, "block_actions", user) | {
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": world.new_trigger(user.id, view.id),
        "view": view.wire(),
        "actions": [action],
    }


def view_submission(world: World, user: User, view: View) -> Json:
    """Build the submission of a modal."""
    return _common(world, "view_submission", user) | {
        "trigger_id": world.new_trigger(user.id, view.id),
        "view": view.wire(),
        "response_urls": [],
    }


def view_closed(world: World, user: User, view: View, *, cleared: bool) -> Json:
    """Build the notice that a modal was closed."""
    return _common(world, "view_closed", user) | {"view": view.wire(), "is_cleared": cleared}


def event_callback(world: World, event: Json, event_id: str) -> Json:
    """Wrap an event."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": world.team.id,
        "api_app_id": world.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(world.now()),
        "authorizations": [
            {
                "enterprise_id": world.team.enterprise_id,
                "team_id": world.team.id,
                "user_id": world.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def action_of(block: Json, element: Json, entry: Json, action_ts: str) -> Json:
    """Build the one entry of block_actions' `actions`."""
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": action_ts,
    }
    if element["type"] == "button":
        action["text"] = element["text"]
        action |= {name: element[name] for name in ("value", "style", "url") if name in element}
    return action | {key: value for key, value in entry.items() if key not in {"type", "value"} or value is not None}


def app_home_opened(world: World, user: User, home: View | None) -> Json:
    """Build the event of a user opening the App Home."""
    event: dict[str, Any] = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": world.direct_message(user.id).id,
        "tab": "home",
        "event_ts": world.next_ts(),
    }
    return event | ({"view": home.wire()} if home else {})
