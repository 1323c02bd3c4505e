"""The Events API: which events the app subscribed to, and Slack's three retries."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from local.slack import payloads
from local.slack.call_log import Delivery
from local.slack.seed import Channel, Group, User
from local.slack.transport import TIMED_OUT, Envelope
from local.slack.values import Json, Message
from local.slack.world import World

RETRY_DELAYS = (0.0, 60.0, 300.0)


class EventsApi:
    """Sends events the manifest subscribes to."""

    def __init__(
        self, world: World, deliver: Callable[[Envelope], Awaitable[Delivery]], delays: tuple[float, ...]
    ) -> None:
        self._world = world
        self._deliver = deliver
        self._delays = delays
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, event: Json, subscription: str | None = None) -> Delivery | None:
        """Send an event and give the first delivery's answer; retries go on behind. None when nobody subscribed."""
        if (subscription or event["type"]) not in self._world.manifest.bot_events:
            return None
        payload = payloads.event_callback(self._world, event, self._world.next_id("Ev"))
        first = await self._deliver(Envelope("events_api", payload, self._world.manifest.events_url))
        if first.error and first.headers.get("x-slack-no-retry") != "1":
            self._keep(asyncio.create_task(self._retry(payload, first)))
        return first

    async def verify(self) -> bool:
        """Send url_verification and tell whether the app gave the challenge back."""
        challenge = secrets.token_urlsafe(24)
        payload = {"token": payloads.VERIFICATION_TOKEN, "challenge": challenge, "type": "url_verification"}
        answer = await self._deliver(Envelope("events_api", payload, self._world.manifest.events_url))
        return not answer.error and challenge in answer.body

    def send_behind(self, event: Json, subscription: str) -> None:
        """Send an event without waiting for it."""

        async def send() -> None:
            await self.send(event, subscription)

        self._keep(asyncio.create_task(send()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retry(self, payload: Json, last: Delivery) -> None:
        for number, delay in enumerate(self._delays, start=1):
            await asyncio.sleep(delay)
            reason = "http_timeout" if last.error == TIMED_OUT else "http_error" if last.status else "connection_failed"
            envelope = Envelope("events_api", payload, self._world.manifest.events_url, number, reason)
            last = await self._deliver(envelope)
            if not last.error or last.headers.get("x-slack-no-retry") == "1":
                return

    def stop(self) -> None:
        """Give up what is still to be retried."""
        for task in tuple(self._tasks):
            task.cancel()

    def on_user(self, user: User) -> None:
        """Tell the app that a person changed, if it subscribed to that."""
        about = {"id": user.id, "team_id": self._world.team_of(user), "name": user.name, "deleted": user.deleted}
        self.send_behind({"type": "user_change", "user": about, "event_ts": self._world.next_ts()}, "user_change")

    def on_group(self, group: Group) -> None:
        """Tell the app that a group changed, if it subscribed to that."""
        about = {"id": group.id, "handle": group.handle, "name": group.name, "users": list(group.members)}
        event = {"type": "subteam_updated", "subteam": about, "event_ts": self._world.next_ts()}
        self.send_behind(event, "subteam_updated")

    def on_message(self, message: Message, channel: Channel) -> None:
        """Tell the app of a message it subscribed to; ephemeral ones are nobody's business."""
        if message.only_for:
            return
        body = message.wire() | {"channel": channel.id, "event_ts": message.ts}
        kind = "im" if channel.is_im else "group" if channel.is_private else "channel"
        self.send_behind(body | {"channel_type": kind}, f"message.{kind}s".replace("ims", "im"))
        if self._world.bot_user_id in message.pings and not message.bot_id and not channel.is_im:
            self.send_behind(body | {"type": "app_mention"}, "app_mention")
