"""The whole workspace as one user sees it, as JSON for the page. Reads only."""

from local.slack.seed import Channel, User
from local.slack.values import Json, Message, View
from local.slack.workspace import Workspace
from local.slack.world import World

SHOWN_MESSAGES = 200
SHOWN_NOTICES = 5


def snapshot(workspace: Workspace, user: User) -> Json:
    """Give everything this user sees."""
    world = workspace.world
    channels = [channel for channel in world.channels.values() if sees(channel, user)]
    home = world.homes.get(user.id)
    return {
        "team": world.team.model_dump(),
        "app": {"name": world.manifest.name, "user": world.bot_user_id, "sockets": workspace.socket.connected},
        "me": user.id,
        "users": [person.model_dump() for person in world.users.values()],
        "groups": [group.model_dump() for group in world.groups.values()],
        "channels": [_channel(channel, user) for channel in channels],
        "messages": {channel.id: _messages(world, channel.id, user) for channel in channels},
        "modals": [_view(view) for view in world.modals.get(user.id, [])],
        "home": _view(home) if home else None,
        "home_enabled": world.manifest.home_tab_enabled,
        "commands": [command.model_dump() for command in world.manifest.commands or ()],
        "notices": [
            {"error": notice.error, "text": notice.text, "at": notice.at}
            for notice in world.notices
            if notice.user == user.id
        ][-SHOWN_NOTICES:],
    }


def sees(channel: Channel, user: User) -> bool:
    """Tell whether a user sees a channel: members always, staff also public ones."""
    outsider = user.is_restricted or user.is_ultra_restricted or user.is_stranger
    return user.id in channel.members or not (channel.is_private or outsider)


def _channel(channel: Channel, user: User) -> Json:
    return channel.model_dump() | {"is_member": user.id in channel.members}


def _messages(world: World, channel: str, user: User) -> list[Json]:
    private = [m for m in world.ephemerals if m.channel == channel and m.only_for == user.id]
    seen = sorted([*world.messages.get(channel, {}).values(), *private], key=lambda message: float(message.ts))
    return [_message(message) for message in seen[-SHOWN_MESSAGES:]]


def _message(message: Message) -> Json:
    return message.wire() | {"only_you": message.only_for is not None, "pings": list(message.pings)}


def _view(view: View) -> Json:
    return view.wire() | {"errors": view.errors}
