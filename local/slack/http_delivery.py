"""Delivery over HTTP: signed with the signing secret, given up after three seconds, as Slack does."""

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp

from local.slack.call_log import Delivery, Sent
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
        self.secret = secret
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self.deliver_to: str | None = None

    async def close(self) -> None:
        """Close what is still open."""
        if self._session:
            await self._session.close()

    def signed(self, envelope: Envelope) -> Sent:
        """Give the bytes and headers Slack sends; the timestamp is the real clock's, which apps compare with theirs."""
        body, content_type = encode(envelope)
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (local workspace)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self.secret, timestamp, body),
        }
        if envelope.retry:
            headers |= {"X-Slack-Retry-Num": str(envelope.retry), "X-Slack-Retry-Reason": envelope.retry_reason or ""}
        return Sent(body, headers)

    async def deliver(self, envelope: Envelope) -> Delivery:
        """Post one envelope."""
        return await self.send(envelope, self.signed(envelope))

    async def send(self, envelope: Envelope, sent: Sent) -> Delivery:
        """Post ready bytes; the same bytes may be sent again."""
        url, started = self.deliver_to or envelope.url, time.perf_counter()
        status: int | None = None
        error: str | None = None
        answer: dict[str, str] = {}
        if not url:
            text = "no request URL: give deliver_to or one in the manifest"
            return Delivery(envelope.kind, envelope.payload, None, text, 0.0, FAILED, envelope.retry, sent=sent)
        try:
            status, text, answer = await self._post(url, sent)
            error = None if status < 300 else FAILED  # noqa: PLR2004 # the end of HTTP's class of success
        except TimeoutError:
            text, error = "", TIMED_OUT
        except aiohttp.ClientError as failure:
            text, error = type(failure).__name__, FAILED
        elapsed = time.perf_counter() - started
        return Delivery(
            envelope.kind, envelope.payload, status, text, elapsed, error, envelope.retry, headers=answer, sent=sent
        )

    async def _post(self, url: str, sent: Sent) -> tuple[int, str, dict[str, str]]:
        if self._session is None:
            # A kept connection to an app that was restarted would look like a failed click.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        limit = aiohttp.ClientTimeout(total=self._timeout)
        async with self._session.post(
            url, data=sent.body, headers=sent.headers, timeout=limit, allow_redirects=False
        ) as response:
            headers = {key.lower(): value for key, value in response.headers.items()}
            return response.status, await response.text(errors="replace"), headers


def body_of(delivery: Delivery) -> Json:
    """Read an answer's body as a JSON object, empty when it is none."""
    try:
        body = json.loads(delivery.body or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
