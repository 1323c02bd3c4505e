"""Changes of people, groups and channels while the workspace runs. Coroutines, because they belong on its loop."""

from collections.abc import Mapping
from typing import Any

from local.slack.seed import Channel, Group, User
from local.slack.world import World


async def change_user(world: World, user: str, fields: Mapping[str, Any]) -> User:
    """Change or add a user. Raises pydantic.ValidationError for fields that do not exist."""
    known = world.users.get(user)
    before = known.model_dump() if known else {"id": user, "name": user.lower(), "real_name": user}
    world.users[user] = User.model_validate(before | dict(fields))
    world.announce("user", user=user)
    return world.users[user]


async def change_group(world: World, group: str, fields: Mapping[str, Any]) -> Group:
    """Change or add a user group. Raises pydantic.ValidationError for fields that do not exist."""
    known = world.groups.get(group)
    before = known.model_dump() if known else {"id": group, "handle": group.lower(), "name": group}
    world.groups[group] = Group.model_validate(before | dict(fields))
    world.announce("group", group=group)
    return world.groups[group]


async def change_channel(world: World, channel: str, fields: Mapping[str, Any]) -> Channel:
    """Change or add a channel. Raises pydantic.ValidationError for fields that do not exist."""
    known = world.channels.get(channel)
    before = known.model_dump() if known else {"id": channel, "name": channel.lower()}
    world.channels[channel] = Channel.model_validate(before | dict(fields))
    world.announce("channel", channel=channel)
    return world.channels[channel]
