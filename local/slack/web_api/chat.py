"""chat.*: posting, rewriting and deleting messages."""

from typing import Any

from local.slack.arguments import flag, required
from local.slack.block_checks import check_blocks
from local.slack.errors import SlackError
from local.slack.seed import Channel
from local.slack.values import Json, Message
from local.slack.web_api.call import Call, Method

TRUNCATED_AT = 40_000
UPDATE_TEXT = 4000


def content_of(arguments: Json) -> tuple[str, list[Json], list[Json]]:
    """Give text, blocks and attachments after Slack's checks. Raises no_text, invalid_blocks or its like."""
    text, blocks = str(arguments.get("text") or ""), arguments.get("blocks")
    attachments = arguments.get("attachments") or []
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    if blocks:
        refuse_bad_blocks(blocks)
    return text, blocks or [], attachments


def refuse_bad_blocks(blocks: Any) -> None:
    """Raise invalid_blocks with every complaint."""
    complaints = check_blocks(blocks)
    if complaints:
        raise SlackError("invalid_blocks", errors=complaints, response_metadata={"messages": complaints})


def metadata_of(arguments: Json) -> Json | None:
    """Give the message metadata. Raises invalid_metadata_format."""
    metadata = arguments.get("metadata")
    if metadata is None or metadata == {}:
        return None
    complete = isinstance(metadata, dict) and metadata.get("event_type")
    if not complete or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_format")
    return dict(metadata)


def _destination(call: Call) -> Channel:
    """Find where to post: a channel, or a person's direct message. Raises channel_not_found or not_in_channel."""
    world, (where,) = call.world, required(call.arguments, "channel")
    if where in world.users:
        if world.users[where].deleted:
            raise SlackError("user_disabled")
        return world.direct_message(where)
    channel = world.channel(where)
    if channel.is_archived:
        raise SlackError("is_archived")
    _refuse_outsider(call, channel)
    return channel


def _refuse_outsider(call: Call, channel: Channel) -> None:
    if call.world.bot_user_id in channel.members:
        return
    if channel.is_private:
        raise SlackError("channel_not_found")
    if "chat:write.public" not in call.caller.scopes:
        raise SlackError("not_in_channel")


def _warn_about_text(call: Call, text: str) -> None:
    if not text:
        call.warnings.append("missing_text_in_message")


def _thread_of(call: Call, channel: Channel) -> str | None:
    ts = call.arguments.get("thread_ts")
    if ts and str(ts) not in call.world.messages.get(channel.id, {}):
        raise SlackError("thread_not_found")
    return str(ts) if ts else None


def post_message(call: Call) -> Json:
    """Post a message into a channel, a thread or a direct message."""
    arguments, world = call.arguments, call.world
    channel = _destination(call)
    text, blocks, attachments = content_of(arguments)
    _warn_about_text(call, text)
    message = world.bot_message(
        channel.id,
        text[:TRUNCATED_AT],
        blocks,
        attachments=attachments,
        thread_ts=_thread_of(call, channel),
        metadata=metadata_of(arguments),
        client_msg_id=arguments.get("client_msg_id"),
    )
    names = "full" if flag(arguments, "link_names") else "none"
    world.post(message, parse=str(arguments.get("parse") or names))
    return {"channel": channel.id, "ts": message.ts, "message": message.wire()}


def post_ephemeral(call: Call) -> Json:
    """Show a message to one member of a channel. Raises user_not_in_channel."""
    arguments, world = call.arguments, call.world
    (user,) = required(arguments, "user")
    channel = _destination(call)
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    text, blocks, attachments = content_of(arguments)
    _warn_about_text(call, text)
    thread_ts = _thread_of(call, channel)
    message = world.bot_message(channel.id, text, blocks, attachments=attachments, thread_ts=thread_ts, only_for=user)
    world.post(message, parse=str(arguments.get("parse") or "none"))
    return {"message_ts": message.ts}


def update(call: Call) -> Json:
    """Rewrite one of the bot's own messages. Blocks and metadata that are not given stay as they are."""
    arguments, world = call.arguments, call.world
    message = _own_message(call, "cant_update_message")
    text = str(arguments.get("text") or "")
    if len(text) > UPDATE_TEXT:
        raise SlackError("msg_too_long")
    if not text and not arguments.get("blocks") and not arguments.get("attachments"):
        raise SlackError("no_text")
    _warn_about_text(call, text)
    world.rewrite(message, parse=str(arguments.get("parse") or "client"), **_changes(arguments, text))
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": message.wire()}


def _changes(arguments: Json, text: str) -> Json:
    changes: Json = {"text": text}
    if arguments.get("blocks") is not None:
        refuse_bad_blocks(arguments["blocks"])
        changes["blocks"] = arguments["blocks"]
    if arguments.get("attachments") is not None:
        changes["attachments"] = arguments["attachments"]
    if arguments.get("metadata") is not None:
        changes["metadata"] = metadata_of(arguments)
    return changes


def _own_message(call: Call, refusal: str) -> Message:
    where, ts = required(call.arguments, "channel", "ts")
    message = call.world.find_message(call.world.channel(where).id, ts)
    if message.bot_id != call.world.bot_id:
        raise SlackError(refusal)
    return message


def delete(call: Call) -> Json:
    """Delete one of the bot's own messages."""
    message = _own_message(call, "cant_delete_message")
    call.world.remove_message(message)
    return {"channel": message.channel, "ts": message.ts}


def get_permalink(call: Call) -> Json:
    """Give a message's address in the browser page."""
    where, ts = required(call.arguments, "channel", "message_ts")
    message = call.world.find_message(call.world.channel(where).id, ts)
    link = f"{call.base_url}/archives/{message.channel}/p{ts.replace('.', '')}"
    return {"channel": message.channel, "permalink": link}


METHODS = {
    "chat.postMessage": Method(post_message, scope="chat:write"),
    "chat.postEphemeral": Method(post_ephemeral, scope="chat:write"),
    "chat.update": Method(update, scope="chat:write", per_minute=50),
    "chat.delete": Method(delete, scope="chat:write", per_minute=50),
    "chat.getPermalink": Method(get_permalink, per_minute=600),
}
