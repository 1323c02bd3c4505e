"""The channels that the bot is in. In any other no card can be posted, and the request's time runs out unseen."""

from collections.abc import Mapping
from typing import Any

from activities.slack.client import Slack
from approvals.policy.model import Policy

TYPES = "public_channel,private_channel"


def channels_of(policy: Policy) -> tuple[str, ...]:
    """Return every channel that a policy names, by name without `#` or by id, each once."""
    named = (policy.channel, policy.operators_channel, *(rule.channel or "" for rule in policy.rules))
    return tuple(dict.fromkeys(name.lstrip("#") for name in named if name.strip()))


async def problems(slack: Slack, names: tuple[str, ...]) -> dict[str, str]:
    """Return, for each channel in which no card could be posted, what to do about it.

    Raises: SlackRefusedError (`missing_scope` if channels:read or groups:read was not granted), SlackUnavailableError.
    """
    there = await joined(slack)
    found = {name: problem_of(name, there) for name in names}
    return {name: problem for name, problem in found.items() if problem}


def problem_of(name: str, there: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what keeps cards out of a channel, given by name or id; nothing if they can be posted."""
    channel = there.get(name)
    if channel is None:
        return (
            f"The bot is not in the channel {_shown(name)}, so no card can be posted there. Create the channel if it "
            "is missing, then write /invite @Countersign in it."
        )
    if channel.get("is_archived"):
        called = _shown(str(channel.get("name") or name))
        return f"The channel {called} is archived. Unarchive it, or name another `channel` in the policy."
    return ""


def _shown(name: str) -> str:
    return name if name[:1] in {"C", "G"} and name.isupper() else f"#{name}"


async def joined(slack: Slack) -> dict[str, Mapping[str, Any]]:
    """Return the channels that the bot is in, by id and by name."""
    found: dict[str, Mapping[str, Any]] = {}
    cursor = ""
    while True:
        answer = await slack.call("users.conversations", types=TYPES, limit=200, cursor=cursor)
        for channel in answer["channels"]:
            found |= {str(channel["id"]): channel, str(channel.get("name", channel["id"])): channel}
        cursor = str(answer.get("response_metadata", {}).get("next_cursor", ""))
        if not cursor:
            return found
