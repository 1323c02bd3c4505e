"""One person in the workspace, as tests act. Every call runs on the workspace's own loop."""

from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from local.slack.errors import UsageError
from local.slack.interactions import Interactions, Outcome
from local.slack.values import Message, View

T = TypeVar("T")


class _Stage(Protocol):
    async def on_loop(self, work: Coroutine[Any, Any, T]) -> T: ...
    def messages(self, channel: str) -> list[Message]: ...
    def ephemerals(self, user: str) -> list[Message]: ...
    def dms(self, user: str) -> list[Message]: ...
    def modals(self, user: str) -> list[View]: ...
    def home(self, user: str) -> View | None: ...


class Actor:
    """A user's hands and eyes."""

    def __init__(self, stage: _Stage, interactions: Interactions, user: str) -> None:
        self._stage = stage
        self._interactions = interactions
        self.user = user

    # hands

    async def click(self, channel: str, ts: str, action_id: str, value: Any = None) -> Outcome:
        """Use an element of a message: press a button (confirming its dialog), or choose `value` in a select.

        With a string `value`, a button is also picked by its value when several share the action_id.
        """
        return await self._stage.on_loop(self._interactions.click(self.user, channel, ts, action_id, value))

    async def slash(self, command: str, text: str = "", channel: str = "C0GENERAL") -> Outcome:
        """Type a slash command into a channel."""
        return await self._stage.on_loop(self._interactions.slash(self.user, command, text, channel))

    async def say(self, channel: str, text: str, thread_ts: str | None = None) -> Message:
        """Write a message."""
        return await self._stage.on_loop(self._interactions.say(self.user, channel, text, thread_ts))

    async def submit(self, view: View | str | None = None, values: Mapping[str, Any] | None = None) -> Outcome:
        """Fill a modal in and submit it; the topmost when none is named. Keys of `values` are action or block ids."""
        view_id = view.id if isinstance(view, View) else view
        return await self._stage.on_loop(self._interactions.submit(self.user, view_id, values or {}))

    async def close(self, view: View | str | None = None, *, everything: bool = False) -> Outcome:
        """Close a modal, or the whole stack with `everything`."""
        view_id = view.id if isinstance(view, View) else view
        return await self._stage.on_loop(self._interactions.close(self.user, view_id, everything=everything))

    async def use(self, view: View | str, action_id: str, value: Any = None) -> Outcome:
        """Use an element in a modal or App Home that sends its action at once."""
        view_id = view.id if isinstance(view, View) else view
        return await self._stage.on_loop(self._interactions.use(self.user, view_id, action_id, value))

    async def open_home(self) -> Outcome:
        """Open the app's Home."""
        return await self._stage.on_loop(self._interactions.open_home(self.user))

    async def sign_in(self, authorize_url: str) -> str:
        """Agree to a Sign in with Slack request; gives the address the browser is sent back to, with code and state."""
        return await self._stage.on_loop(self._interactions.sign_in(self.user, authorize_url))

    # eyes

    def messages(self, channel: str) -> list[Message]:
        """Copy what this user sees in a channel: its messages and the ephemeral ones for them, oldest first."""
        mine = [message for message in self.ephemerals() if message.channel == channel]
        return sorted([*self._stage.messages(channel), *mine], key=lambda message: float(message.ts))

    def ephemerals(self) -> list[Message]:
        """Copy what only this user sees."""
        return self._stage.ephemerals(self.user)

    def dms(self) -> list[Message]:
        """Copy the direct messages with the bot."""
        return self._stage.dms(self.user)

    def modals(self) -> list[View]:
        """Copy the open modals, the topmost last."""
        return self._stage.modals(self.user)

    @property
    def modal(self) -> View:
        """The topmost modal. Raises UsageError when none is open."""
        stack = self.modals()
        if not stack:
            raise UsageError(f"{self.user} has no modal open")
        return stack[-1]

    @property
    def home(self) -> View | None:
        """The App Home."""
        return self._stage.home(self.user)
