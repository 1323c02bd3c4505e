"""Slack's Web API as this program calls it: one client, every Retry-After obeyed, no hidden second sending.

The SDK's own retries are off: it sends chat.postMessage again on a dropped connection, which makes a second card
(docs/explanation/slack.md#a-post-may-be-sent-twice). The caller retries: a workflow's activity, or the reconciler.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from activities.slack.failures import SlackRefusedError, SlackUnavailableError
from approvals.request import CardRef
from cards import Message

PATIENCE = 12.0
"""Seconds a call may wait for its turn after a 429; a longer Retry-After is the retry policy's business."""

TIMEOUT = 8.0
"""Seconds for one call to Slack, connection and answer together."""

SERVER_ERROR = 500
TOO_MANY = 429


class Slack:
    """The calls. `token` is the bot's, `base_url` Slack's or a local workspace's, ending in /api/."""

    def __init__(
        self, token: str, base_url: str, clock: Callable[[], float] = time.monotonic, timeout: float = TIMEOUT
    ) -> None:
        self._token = token
        self._base_url = base_url
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._client: AsyncWebClient | None = None
        self._not_before: dict[tuple[str, str], float] = {}
        self._ids: dict[str, str] = {}

    @property
    def client(self) -> AsyncWebClient:
        """The SDK's client, with a timeout (docs/explanation/slack.md#a-shared-session-ignores-the-timeout)."""
        if self._client is None:
            session = aiohttp.ClientSession(timeout=self._timeout)
            self._client = AsyncWebClient(
                token=self._token, base_url=self._base_url, session=session, retry_handlers=[]
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None and self._client.session is not None:
            await self._client.session.close()
            self._client = None

    async def call(self, method: str, *, channel: str = "", **arguments: Any) -> Mapping[str, Any]:
        """Call one Web API method by the SDK's function for it, which knows how Slack wants it encoded.

        Raises: SlackRefusedError for Slack's no, SlackUnavailableError for everything that passes.
        """
        await self._turn(method, channel)
        if channel:
            arguments["channel"] = channel
        try:
            answer = await getattr(self.client, method.replace(".", "_"))(**arguments)
        except SlackApiError as error:
            raise self._failure(method, self._place(channel), error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise SlackUnavailableError(f"Slack did not answer {method}: {type(error).__name__}") from error
        return answer.data if isinstance(answer.data, dict) else {}

    async def _turn(self, method: str, channel: str) -> None:
        """Wait until a Retry-After for this method and channel is over."""
        while (wait := self._not_before.get((method, self._place(channel)), 0) - self._clock()) > 0:
            if wait > PATIENCE:
                raise SlackUnavailableError(f"Slack asked us to wait {wait:.0f} s more before {method}.")
            await asyncio.sleep(wait)

    def _place(self, channel: str) -> str:
        """Return the channel's id once Slack has said it: a channel has one limit, by whichever name it is called."""
        return self._ids.get(channel, channel)

    def _learn(self, channel: str, found: str) -> None:
        """Keep a channel's id; a wait that was asked for under its name goes on under the id."""
        if self._ids.get(channel) == found:
            return
        self._ids[channel] = found
        for (method, place), until in tuple(self._not_before.items()):
            if place == channel:
                self._not_before[method, found] = max(until, self._not_before.get((method, found), 0))

    def _failure(self, method: str, channel: str, error: SlackApiError) -> Exception:
        """Return our error. In an outage `response` is a page that is no JSON, and then it has another class."""
        response = error.response
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 200))
        word = str(response.get("error") or "") if hasattr(response, "get") else ""
        if status == TOO_MANY or word == "ratelimited":
            wait = _seconds(response.headers.get("Retry-After"))
            now = self._clock()
            self._not_before = {key: until for key, until in self._not_before.items() if until > now}
            self._not_before[method, channel] = max(now + wait, self._not_before.get((method, channel), 0))
            return SlackUnavailableError(f"Slack asked us to wait {wait:.0f} s before {method}.")
        if status >= SERVER_ERROR or word in {"internal_error", "fatal_error", "service_unavailable"}:
            return SlackUnavailableError(f"Slack answered {method} with an error of its own ({status}).")
        if not word:
            return SlackUnavailableError(f"What answered {method} is not Slack's API ({status}, not JSON).")
        return SlackRefusedError(method, word)

    # ---- messages ---------------------------------------------------------------------------------------------------

    async def post(self, channel: str, message: Message, client_msg_id: str | None = None) -> CardRef:
        """Post a message; returns where it stands. A name such as #approvals is answered with the channel's id."""
        channel = _address(channel)
        extra = {"client_msg_id": client_msg_id} if client_msg_id else {}
        answer = await self.call(
            "chat.postMessage", channel=channel, unfurl_links=False, unfurl_media=False, **_body(message), **extra
        )
        self._learn(channel, answer["channel"])
        return CardRef(channel=answer["channel"], ts=answer["ts"])

    async def update(self, card: CardRef, message: Message) -> None:
        """Rewrite a message, with `parse` said again (docs/explanation/slack.md#an-update-parses-text-again)."""
        await self.call("chat.update", channel=card.channel, ts=card.ts, parse="none", **_body(message))

    async def reply(self, card: CardRef, message: Message) -> None:
        """Answer in the card's thread."""
        await self.call("chat.postMessage", channel=card.channel, thread_ts=card.ts, **_body(message))

    async def whisper(self, channel: str, user: str, message: Message) -> None:
        """Tell one person something that only they see, in the channel where they acted."""
        await self.call("chat.postEphemeral", channel=channel, user=user, **_body(message))

    async def direct(self, user: str, message: Message) -> CardRef:
        """Send somebody a direct message."""
        opened = await self.call("conversations.open", users=user)
        return await self.post(opened["channel"]["id"], message)

    async def find_card(self, channel: str, nonce: str, since: float) -> tuple[CardRef, ...]:
        """Find the messages that carry this nonce.

        Raises: SlackRefusedError("missing_scope") without the optional history scopes.
        """
        answer = await self.call(
            "conversations.history", channel=channel, include_all_metadata=True, oldest=f"{since:.6f}", limit=200
        )
        return tuple(
            CardRef(channel=channel, ts=found["ts"])
            for found in answer.get("messages", [])
            if found.get("metadata", {}).get("event_payload", {}).get("nonce") == nonce
        )

    async def delete(self, card: CardRef) -> None:
        """Remove a message of our own."""
        await self.call("chat.delete", channel=card.channel, ts=card.ts)


def _seconds(retry_after: str | None) -> float:
    """Return a Retry-After header's seconds; one that is missing or no number is taken for a second."""
    try:
        return max(0.0, float(retry_after or 1))
    except ValueError:
        return 1.0


CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{6,}")


def _address(channel: str) -> str:
    """Return a channel as Slack takes it: an id as it is, a policy's name with its #."""
    return channel if CHANNEL_ID.fullmatch(channel) or channel.startswith("#") else f"#{channel}"


def _body(message: Message) -> dict[str, Any]:
    metadata = {"metadata": message.metadata} if message.metadata else {}
    return {"text": message.text, "blocks": list(message.blocks), **metadata}
