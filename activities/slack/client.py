"""Slack's Web API as this program calls it: one client, one queue for each limit, no hidden second sending.

The SDK's own retries are off: it sends chat.postMessage again on a dropped connection, which makes a second card
(docs/explanation/slack.md#a-post-may-be-sent-twice). The caller retries: a workflow's activity, the notifier or the
reconciler. Only a 429 is waited for here: Slack did nothing then, so the call waits in its queue and costs no attempt.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from activities.slack.failures import NotBegunError, SlackRefusedError, SlackUnavailableError
from activities.slack.queue import POST, Queues, Turn, Urgency
from activities.slack.shared_pace import SharedPace
from approvals.request import CardRef
from cards import Message

SLACK_PATIENCE_S = 12.0
"""Seconds that a call may wait in its queue. One that a person or a workflow does not wait for may wait for ever."""

FOR_EVER = float("inf")

SLACK_TIMEOUT_S = 8.0
"""Seconds for one call to Slack, connection and answer together."""

Begin = Callable[[], Awaitable[bool]]

TOO_MANY = 429
SERVER_ERRORS = range(500, 600)


class Slack:
    """The calls. `token` is the bot's, `base_url` Slack's or a local workspace's, ending in /api/."""

    def __init__(  # noqa: PLR0913 where Slack is, and how it is called
        self,
        token: str,
        base_url: str,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = SLACK_TIMEOUT_S,
        *,
        posts_per_second: float = 1.0,
        shared: SharedPace | None = None,
    ) -> None:
        self._shared = shared
        self._token = token
        self._base_url = base_url
        self._clock = clock
        self.queues = Queues(posts_per_second, clock)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._client: AsyncWebClient | None = None
        self._direct: dict[str, str] = {}

    @property
    def client(self) -> AsyncWebClient:
        """The SDK's client, with a timeout (docs/explanation/slack.md#a-shared-session-ignores-the-timeout)."""
        if self._client is None:
            session = aiohttp.ClientSession(timeout=self._timeout)
            self._client = AsyncWebClient(
                token=self._token, base_url=self._base_url, session=session, retry_handlers=[]
            )
        return self._client

    async def use(self, token: str) -> None:
        """Use another token from the next call on."""
        self._token = token
        if self._client is not None:
            self._client.token = token

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None and self._client.session is not None:
            await self._client.session.close()
            self._client = None

    async def call(
        self,
        method: str,
        *,
        channel: str = "",
        urgency: Urgency = Urgency.ANSWER,
        patience: float = SLACK_PATIENCE_S,
        begin: Begin | None = None,
        **arguments: Any,
    ) -> Mapping[str, Any]:
        """Call one Web API method by the SDK's function for it, which knows how Slack wants it encoded.

        `begin` is asked when the turn has come, right before the call; with False nothing is sent.
        Raises: SlackRefusedError for Slack's no, SlackUnavailableError for everything that passes, NotBegunError.
        """
        end, place = self._clock() + patience, self.queues.place(urgency)
        if channel:
            arguments["channel"] = channel
        while True:
            async with self.queues.turn(method, channel, place, end - self._clock()) as turn:
                if begin is not None and not await begin():
                    raise NotBegunError(method)
                self._demand_patience(method, await self._with_the_others(turn), end)
                await turn.begins()
                try:
                    answer = await self._once(method, arguments)
                except _RateLimitedError as error:
                    await self._stop(turn, error.seconds)
                    self._demand_patience(method, error.seconds, end)
                else:
                    if method == POST:  # before the next one's turn: it may wait under the channel's other name
                        self.queues.learn(channel, str(answer["channel"]))
                    return answer

    def _demand_patience(self, method: str, wait_s: float, end: float) -> None:
        if wait_s and wait_s > end - self._clock():
            raise SlackUnavailableError(f"Slack asked us to wait {wait_s:.0f} s before {method}.")

    async def _with_the_others(self, turn: Turn) -> float:
        """Stop the queue as long as Slack has told any process to, and until its turn among them. Returns seconds."""
        wait = await self._shared.wait(turn.key, turn.spacing, turn.until_free) if self._shared is not None else None
        if wait is None:
            return 0.0
        turn.stop(wait)
        return wait

    async def _stop(self, turn: Turn, seconds: float) -> None:
        turn.stop(seconds)
        if self._shared is not None:
            await self._shared.stop(turn.key, seconds)

    async def _once(self, method: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        try:
            answer = await getattr(self.client, method.replace(".", "_"))(**arguments)
        except SlackApiError as error:
            raise _failure(method, error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise SlackUnavailableError(f"Slack did not answer {method}: {type(error).__name__}") from error
        return answer.data if isinstance(answer.data, dict) else {}

    # ---- messages ---------------------------------------------------------------------------------------------------

    async def post(  # noqa: PLR0913 how it is to be sent
        self,
        channel: str,
        message: Message,
        client_msg_id: str | None = None,
        *,
        thread: str | None = None,
        urgency: Urgency = Urgency.TELLING,
        patience: float = SLACK_PATIENCE_S,
        begin: Begin | None = None,
    ) -> CardRef:
        """Post a message; returns where it stands. A name such as #approvals is answered with the channel's id."""
        channel = _address(channel)
        extra: dict[str, Any] = {"client_msg_id": client_msg_id} if client_msg_id else {}
        if thread is None:
            extra |= {"unfurl_links": False, "unfurl_media": False}
        else:
            extra["thread_ts"] = thread
        answer = await self.call(
            "chat.postMessage",
            channel=channel,
            urgency=urgency,
            patience=patience,
            begin=begin,
            **_body(message),
            **extra,
        )
        return CardRef(channel=answer["channel"], ts=answer["ts"])

    async def update(
        self,
        card: CardRef,
        message: Message,
        *,
        urgency: Urgency = Urgency.CARD_UPDATE,
        patience: float = SLACK_PATIENCE_S,
    ) -> None:
        """Rewrite a message. `parse` is said again: chat.update would parse the text otherwise."""
        await self.call(
            "chat.update",
            channel=card.channel,
            ts=card.ts,
            parse="none",
            urgency=urgency,
            patience=patience,
            **_body(message),
        )

    async def post_ephemeral(self, channel: str, user: str, message: Message, **how: Any) -> None:
        """Tell one person something that only they see, in the channel where they acted."""
        await self.call("chat.postEphemeral", channel=channel, user=user, **_body(message), **how)

    async def respond(self, url: str, message: Message) -> bool:
        """Answer a click where its response_url says, for its person alone. False if Slack does not take it there."""
        body = {"response_type": "ephemeral", "replace_original": False, **_body(message)}
        session = self.client.session
        if session is None:
            return False
        try:
            async with session.post(url, json=body) as answer:
                return answer.status == 200  # noqa: PLR2004 OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def send_dm(self, user: str, message: Message, client_msg_id: str | None = None, **how: Any) -> CardRef:
        """Send a person a direct message."""
        if (channel := self._direct.get(user)) is None:
            patience = how.get("patience", SLACK_PATIENCE_S)
            opened = await self.call("conversations.open", users=user, patience=patience)
            channel = self._direct[user] = str(opened["channel"]["id"])
        return await self.post(channel, message, client_msg_id, **how)

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


class _RateLimitedError(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _failure(method: str, error: SlackApiError) -> Exception:
    """Return our error. In an outage `response` is a page that is no JSON, and then it has another class."""
    response = error.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 200))
    word = str(response.get("error") or "") if hasattr(response, "get") else ""
    if status == TOO_MANY or word == "ratelimited":
        return _RateLimitedError(_seconds(response.headers.get("Retry-After")))
    if status in SERVER_ERRORS or word in {"internal_error", "fatal_error", "service_unavailable"}:
        return SlackUnavailableError(f"Slack answered {method} with an error of its own ({status}).")
    if not word:
        return SlackUnavailableError(f"What answered {method} is not Slack's API ({status}, not JSON).")
    return SlackRefusedError(method, word)


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
