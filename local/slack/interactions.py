"""What a person does in Slack's client: clicks, commands, forms, messages. Delivers it and shows what came back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local.slack import payloads
from local.slack.call_log import Delivery
from local.slack.errors import SlackError, UsageError
from local.slack.http_delivery import body_of
from local.slack.seed import Channel, User
from local.slack.transport import FAILED, TIMED_OUT, Envelope
from local.slack.values import Json, Message, View, interactive_elements
from local.slack.view_state import complaints, entry_for, fill
from local.slack.web_api.chat import content_of
from local.slack.web_api.views import push_view, refuse_bad_view, replace_view
from local.slack.workspace import Workspace

_SENTENCES = {
    TIMED_OUT: "The app did not answer within 3 seconds. It may still have worked: look before you try again.",
    FAILED: "The app could not be reached or answered with an error. Try again.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an interaction.

    `status` and `body` are the app's HTTP answer (None when there was none), `elapsed` seconds until it, `error` what
    the user is told when it went wrong (operation_timeout, dispatch_failed, invalid_command ...), `errors` the
    complaints shown in a form by block id.
    """

    status: int | None = None
    body: str = ""
    elapsed: float = 0.0
    error: str | None = None
    errors: Mapping[str, str] | None = None
    payload: Json | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the user saw no error."""
        return self.error is None and not self.errors


def _outcome(delivery: Delivery, errors: Mapping[str, str] | None = None, error: str | None = None) -> Outcome:
    return Outcome(
        delivery.status, delivery.body, delivery.elapsed, error or delivery.error, errors, payload=delivery.payload
    )


class Interactions:
    """The client's side of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._world = workspace.world

    def person(self, user_id: str) -> User:
        """Find somebody who can act. Raises UsageError."""
        user = self._world.users.get(user_id)
        if user is None:
            known = ", ".join(self._world.users)
            raise UsageError(f"there is no user {user_id}; the workspace has: {known}")
        return user

    def _place(self, name: str) -> Channel:
        try:
            return self._world.channel(name)
        except SlackError as error:
            known = ", ".join(channel.id for channel in self._world.channels.values())
            raise UsageError(f"there is no channel {name}; the workspace has: {known}") from error

    async def _deliver(self, user: User, envelope: Envelope) -> Delivery:
        delivery = await self._workspace.deliver(envelope)
        if delivery.error:
            self._world.notify(user.id, delivery.error, _SENTENCES[delivery.error])
        return delivery

    def _interactive(self, payload: Json) -> Envelope:
        return Envelope("interactive", payload, self._workspace.world.manifest.interactivity_url)

    # messages

    async def click(self, user_id: str, channel: str, ts: str, action_id: str, value: Any = None) -> Outcome:
        """Use an element of a message; a confirmation dialog counts as confirmed."""
        user, place = self.person(user_id), self._place(channel)
        message = self._seen_message(user, place, ts)
        block, element = _element(message.blocks, action_id, value)
        action = payloads.action_of(block, element, _chosen(element, value), self._world.next_ts())
        payload = payloads.message_action(self._world, user, message, action)
        return _outcome(await self._deliver(user, self._interactive(payload)))

    def _seen_message(self, user: User, channel: Channel, ts: str) -> Message:
        message = self._world.messages.get(channel.id, {}).get(ts) or self._world.find_ephemeral(ts)
        if message is None or message.only_for not in {None, user.id}:
            raise UsageError(f"{user.id} sees no message {ts} in {channel.id}")
        if channel.is_private and user.id not in channel.members:
            raise UsageError(f"{user.id} is not a member of {channel.id} and cannot click there")
        return message

    async def say(self, user_id: str, channel: str, text: str, thread_ts: str | None = None) -> Message:
        """Write a message as a person."""
        user, place = self.person(user_id), self._place(channel)
        if place.members and user.id not in place.members:
            raise UsageError(f"{user.id} is not a member of {place.id} and cannot write there")
        message = Message(channel=place.id, ts=self._world.next_ts(), user=user.id, text=text, thread_ts=thread_ts)
        return self._world.post(message, parse="full")

    # commands

    async def slash(self, user_id: str, command: str, text: str, channel: str) -> Outcome:
        """Type a slash command."""
        user, place = self.person(user_id), self._place(channel)
        known = self._world.manifest.command(command)
        if known is None:
            self._world.notify(user.id, "invalid_command", f"{command} is not a valid command.")
            return Outcome(error="invalid_command")
        words = escape_mentions(text, self._world.handles(), self._world.users) if known.should_escape else text
        payload = payloads.slash_command(self._world, user, place, command, words)
        delivery = await self._deliver(user, Envelope("slash_commands", payload, known.url))
        if delivery.error:
            return _outcome(delivery)
        return _outcome(delivery, error=self._show_answer(user, place, f"{command} {text}".strip(), delivery))

    def _show_answer(self, user: User, place: Channel, typed: str, delivery: Delivery) -> str | None:
        answer = body_of(delivery)
        if not answer and delivery.body.strip() in {"", "{}"}:
            return None
        try:
            text, blocks, _ = content_of(answer or {"text": delivery.body})
        except SlackError as error:
            self._world.notify(user.id, error.error, f"The app's answer was no valid message: {error.error}.")
            return error.error
        public = answer.get("response_type") == "in_channel"
        if public:
            self._world.post(Message(channel=place.id, ts=self._world.next_ts(), user=user.id, text=typed))
        only_for = None if public else user.id
        self._world.post(self._world.bot_message(place.id, text, blocks, only_for=only_for), parse="none")
        return None

    # views

    def view_of(self, user_id: str, view_id: str | None = None) -> View:
        """Find the view a user has before them, the topmost modal when none is named."""
        stack = self._world.modals.get(user_id, [])
        home = self._world.homes.get(user_id)
        for view in [*reversed(stack), *([home] if home else [])]:
            if view_id in {None, view.id}:
                return view
        raise UsageError(f"{user_id} has no open view {view_id or ''}".strip())

    async def use(self, user_id: str, view_id: str, action_id: str, value: Any = None) -> Outcome:
        """Use an element of a modal or App Home that sends its action at once."""
        user, view = self.person(user_id), self.view_of(user_id, view_id)
        block, element = _element(view.blocks, action_id, value)
        entry = _chosen(element, value)
        if element["type"] not in {"button", "overflow"}:
            view.state.setdefault(block["block_id"], {})[action_id] = entry
        action = payloads.action_of(block, element, entry, self._world.next_ts())
        return _outcome(
            await self._deliver(user, self._interactive(payloads.view_action(self._world, user, view, action)))
        )

    async def submit(self, user_id: str, view_id: str | None, values: Mapping[str, Any]) -> Outcome:
        """Fill a modal in and submit it. What Slack's client refuses never reaches the app."""
        user, view = self.person(user_id), self.view_of(user_id, view_id)
        fill(view.blocks, view.state, values)
        view.errors = complaints(view.blocks, view.state)
        if view.errors:
            self._world.announce("view", user=user.id, view=view.id)
            return Outcome(errors=dict(view.errors))
        delivery = await self._deliver(user, self._interactive(payloads.view_submission(self._world, user, view)))
        if delivery.error:
            return _outcome(delivery)
        return self._apply(user, view, delivery)

    def _apply(self, user: User, view: View, delivery: Delivery) -> Outcome:
        answer = body_of(delivery)
        action, stack = answer.get("response_action"), self._world.modals.get(user.id, [])
        if action == "errors":
            return self._show_errors(user, view, delivery, answer.get("errors") or {})
        try:
            if action in {"update", "push"}:
                refuse_bad_view(answer.get("view"), "modal")
            if action == "update":
                replace_view(self._world, view, answer["view"])
            elif action == "push":
                push_view(self._world, user.id, answer["view"])
        except SlackError as error:
            self._world.notify(user.id, error.error, "We had some trouble connecting. Try again?")
            return _outcome(delivery, error=error.error)
        if action == "clear":
            stack.clear()
        elif action is None and view in stack:
            stack.remove(view)
        self._world.announce("view", user=user.id, view=view.id)
        return _outcome(delivery)

    def _show_errors(self, user: User, view: View, delivery: Delivery, errors: dict[str, str]) -> Outcome:
        inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
        if not errors or not set(errors) <= inputs:
            self._world.notify(user.id, "invalid_errors", "We had some trouble connecting. Try again?")
            return _outcome(delivery, error="invalid_errors")
        view.errors = dict(errors)
        self._world.announce("view", user=user.id, view=view.id)
        return _outcome(delivery, errors=dict(errors))

    async def close(self, user_id: str, view_id: str | None = None, *, everything: bool = False) -> Outcome:
        """Close a modal, or the whole stack; the app hears of it when the view asked for that."""
        user, view = self.person(user_id), self.view_of(user_id, view_id)
        stack = self._world.modals.get(user.id, [])
        leaving = list(stack) if everything or view.body.get("clear_on_close") else [view]
        self._world.modals[user.id] = [kept for kept in stack if kept not in leaving]
        self._world.announce("view", user=user.id, view=view.id)
        if not view.body.get("notify_on_close"):
            return Outcome()
        closed = payloads.view_closed(self._world, user, view, cleared=everything)
        return _outcome(await self._deliver(user, self._interactive(closed)))

    async def sign_in(self, user_id: str, authorize_url: str) -> str:
        """Agree to a Sign in with Slack request and give the address the browser is sent back to."""
        query = dict(parse_qsl(urlsplit(authorize_url).query))
        return self._workspace.sign_in.agree(self.person(user_id).id, query)

    async def open_home(self, user_id: str) -> Outcome:
        """Open the App Home; the app hears of it when it subscribed to app_home_opened."""
        user = self.person(user_id)
        event = payloads.app_home_opened(self._world, user, self._world.homes.get(user.id))
        delivery = await self._workspace.events.send(event)
        return _outcome(delivery) if delivery else Outcome()


def _element(blocks: list[Json], action_id: str, value: Any) -> tuple[Json, Json]:
    found = [(b, e) for b, e in interactive_elements(blocks) if e["action_id"] == action_id]
    if isinstance(value, str) and len(found) > 1:
        found = [(b, e) for b, e in found if e.get("value") == value] or found
    if not found:
        offered = ", ".join(element["action_id"] for _, element in interactive_elements(blocks)) or "nothing to use"
        raise UsageError(f"there is no element {action_id} here; there is: {offered}")
    return found[0]


def _chosen(element: Json, value: Any) -> Json:
    return {} if element["type"] == "button" else entry_for(element, value)


def escape_mentions(text: str, handles: Mapping[str, str], users: Mapping[str, User]) -> str:
    """Turn @name into the control sequence that Slack sends to commands with should_escape."""
    words = []
    for word in text.split(" "):
        target = handles.get(word.removeprefix("@")) if word.startswith("@") else None
        name = word.removeprefix("@")
        if target is None:
            words.append(word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        else:
            words.append(f"<@{target}|{name}>" if target in users else f"<!subteam^{target}|{word}>")
    return " ".join(words)
