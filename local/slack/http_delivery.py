"""Delivery over HTTP: signed with the signing secret, given up after three seconds, as Slack does."""

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp

from local.slack.call_log import Delivery
from local.slack.transport import FAILED, TIMED_OUT, Envelope
from local.slack.values import Json


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a body the v0 way."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def encode(envelope: Envelope) -> tuple[bytes, str]:
    """Give body and content type of an envelope."""
    if envelope.kind == "events_api":
        return json.dumps(envelope.payload).encode(), "application/json"
    fields = {"payload": json.dumps(envelope.payload)} if envelope.kind == "interactive" else envelope.payload
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


class HttpDelivery:
    """Posts to the app's request URLs."""

    def __init__(self, secret: str, timeout: float) -> None:
        self._secret = secret
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self.deliver_to: str | None = None

    async def close(self) -> None:
        """Close kept connections."""
        if self._session:
            await self._session.close()

    def headers(self, body: bytes, content_type: str, envelope: Envelope) -> dict[str, str]:
        """Give the headers Slack sends; the timestamp is the real clock's, because apps compare it with theirs."""
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (local workspace)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self._secret, timestamp, body),
        }
        if envelope.retry:
            headers |= {"X-Slack-Retry-Num": str(envelope.retry), "X-Slack-Retry-Reason": envelope.retry_reason or ""}
        return headers

    async def deliver(self, envelope: Envelope) -> Delivery:
        """Post one envelope."""
        body, content_type = encode(envelope)
        return await self.send(envelope, body, self.headers(body, content_type, envelope))

    async def send(self, envelope: Envelope, body: bytes, headers: dict[str, str]) -> Delivery:
        """Post ready bytes; the same bytes may be sent again."""
        url, started = self.deliver_to or envelope.url, time.perf_counter()
        if not url:
            return _undelivered(envelope, FAILED, "no request URL: give deliver_to or one in the manifest", 0.0)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        try:
            limit = aiohttp.ClientTimeout(total=self._timeout)
            async with self._session.post(url, data=body, headers=headers, timeout=limit) as response:
                text, elapsed = await response.text(errors="replace"), time.perf_counter() - started
        except TimeoutError:
            return _undelivered(envelope, TIMED_OUT, "", time.perf_counter() - started)
        except aiohttp.ClientError as error:
            return _undelivered(envelope, FAILED, type(error).__name__, time.perf_counter() - started)
        error = None if response.ok else FAILED
        answer = {key.lower(): value for key, value in response.headers.items()}
        return Delivery(
            envelope.kind, envelope.payload, response.status, text, elapsed, error, envelope.retry, "http", answer
        )


def _undelivered(envelope: Envelope, error: str, reason: str, elapsed: float) -> Delivery:
    return Delivery(envelope.kind, envelope.payload, None, reason, elapsed, error, envelope.retry)


def body_of(delivery: Delivery) -> Json:
    """Read an answer's body as a JSON object, empty when it is none."""
    try:
        body = json.loads(delivery.body or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
