"""conversations.*: channels, their members and what was said in them."""

from local.slack.arguments import flag, required
from local.slack.errors import SlackError
from local.slack.seed import Channel
from local.slack.values import Json, Message
from local.slack.web_api.call import Call, Method
from local.slack.web_api.paging import page_of
from local.slack.world import World


def describe(world: World, channel: Channel) -> Json:
    """Give Slack's JSON form of a channel."""
    body: Json = {
        "id": channel.id,
        "is_im": channel.is_im,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private and not channel.is_im,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "context_team_id": world.team.id,
    }
    if channel.is_im:
        return body | {"user": channel.user, "is_open": True}
    return body | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_member": world.bot_user_id in channel.members,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "num_members": len(channel.members),
    }


def kind_of(channel: Channel) -> str:
    """Name the scope family a channel falls under."""
    if channel.is_im:
        return "im"
    return "groups" if channel.is_private else "channels"


def _visible(call: Call, ability: str) -> Channel:
    """Find the channel if the token may do this with it. Raises channel_not_found or missing_scope."""
    (where,) = required(call.arguments, "channel")
    channel = call.world.channels.get(where)
    if channel is None or (channel.is_private and call.world.bot_user_id not in channel.members):
        raise SlackError("channel_not_found")
    needed = f"{kind_of(channel)}:{ability}"
    if needed not in call.caller.scopes:
        raise SlackError("missing_scope", needed=needed, provided=",".join(call.caller.scopes))
    return channel


def open_conversation(call: Call) -> Json:
    """Open a direct message with one user. Raises user_not_found or user_disabled."""
    named = call.arguments.get("users") or ""
    users = named if isinstance(named, list) else [user for user in str(named).split(",") if user]
    if len(users) != 1:
        raise SlackError("users_list_not_supplied" if not users else "not_enough_users")
    user = call.world.users.get(str(users[0]))
    if user is None:
        raise SlackError("user_not_found")
    if user.deleted:
        raise SlackError("user_disabled")
    channel = call.world.direct_message(user.id)
    whole = describe(call.world, channel)
    return {"channel": whole if flag(call.arguments, "return_im") else {"id": channel.id}}


def info(call: Call) -> Json:
    """Describe one channel."""
    return {"channel": describe(call.world, _visible(call, "read"))}


def list_conversations(call: Call) -> Json:
    """List the channels of the types asked for that the bot can see."""
    types = str(call.arguments.get("types") or "public_channel").split(",")
    names = {"channels": "public_channel", "groups": "private_channel", "im": "im"}
    for kind, name in names.items():
        if name in types and f"{kind}:read" not in call.caller.scopes:
            raise SlackError("missing_scope", needed=f"{kind}:read", provided=",".join(call.caller.scopes))
    bot = call.world.bot_user_id
    found = [
        describe(call.world, channel)
        for channel in call.world.channels.values()
        if names[kind_of(channel)] in types and (not channel.is_private or bot in channel.members)
    ]
    page, cursor = page_of(found, call.arguments, default=100)
    return {"channels": page, "response_metadata": {"next_cursor": cursor}}


def joined(call: Call) -> Json:
    """List the channels that the bot is in, of the types asked for."""
    listed = list_conversations(call)
    return listed | {"channels": [channel for channel in listed["channels"] if channel.get("is_member")]}


def members(call: Call) -> Json:
    """List the members of a channel."""
    page, cursor = page_of(list(_visible(call, "read").members), call.arguments, default=100)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def _between(messages: list[Message], arguments: Json) -> list[Message]:
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
    inclusive = flag(arguments, "inclusive")
    return [
        message
        for message in messages
        if oldest < float(message.ts) < latest or (inclusive and float(message.ts) in {oldest, latest})
    ]


def _said(call: Call, messages: list[Message], *, newest_first: bool) -> Json:
    chosen = sorted(_between(messages, call.arguments), key=lambda m: float(m.ts), reverse=newest_first)
    page, cursor = page_of(chosen, call.arguments, default=100)
    keep = flag(call.arguments, "include_all_metadata")
    body: Json = {"messages": [_with_thread(call.world, m, m.wire(metadata=keep)) for m in page]}
    return body | {"has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def _with_thread(world: World, message: Message, body: Json) -> Json:
    count = len(world.replies(message.channel, message.ts)) - 1
    return body | {"thread_ts": message.ts, "reply_count": count} if count > 0 else body


def history(call: Call) -> Json:
    """List a channel's messages, newest first, without replies in threads."""
    channel = _visible(call, "history")
    messages = [m for m in call.world.messages.get(channel.id, {}).values() if m.thread_ts is None]
    return _said(call, messages, newest_first=True)


def replies(call: Call) -> Json:
    """List a thread, oldest first. Raises thread_not_found."""
    (ts,) = required(call.arguments, "ts")
    found = call.world.replies(_visible(call, "history").id, ts)
    if not found:
        raise SlackError("thread_not_found")
    return _said(call, found, newest_first=False)


METHODS = {
    "conversations.open": Method(open_conversation, scope="im:write", per_minute=50),
    "conversations.info": Method(info, per_minute=50),
    "conversations.list": Method(list_conversations, per_minute=20),
    "conversations.members": Method(members),
    "users.conversations": Method(joined, per_minute=50),
    "conversations.history": Method(history, per_minute=50),
    "conversations.replies": Method(replies, per_minute=50),
}
