"""The one door for Slack over HTTP: verify the raw bytes, then parse, then hand over to Bolt.

Bolt's own reading is skipped (mode "socket_mode"): it parses before it verifies and takes bodies of any size
(docs/explanation/slack.md#unsigned-garbage-reaches-bolt). HTTP and Socket Mode then share one code path.
"""

import json
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import structlog
import yarl
from fastapi import Request, Response
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from bot.process import measures
from bot.process.correlation import correlation_id
from bot.slack.replay import ReplayGuard, SlackReply
from bot.slack.shapes import is_listened_to, is_slacks
from bot.slack.signature import MAX_SLACK_BODY_BYTES, Flaw, SignedBytes, early_flaw, flaw_of_any
from cards import private
from records.errors import RecordsError

log = structlog.get_logger(__name__)

Payload = dict[str, Any]
MAX_FIELDS = 1000
"""Maximum form fields."""

UNHANDLED = 404
"""Bolt's answer if no listener matches."""

PLAIN = {"content-type": "text/plain; charset=utf-8"}


class TooLargeError(Exception):
    """The body is over MAX_SLACK_BODY_BYTES."""


class UnreadableError(Exception):
    """The body is signed but it is nothing that Slack sends."""


class Ingress:
    """Answers POST /slack/events: 401, 413 or 400 by itself, everything else by Bolt."""

    def __init__(
        self,
        app: AsyncApp,
        secrets: Callable[[], Sequence[bytes]],
        replays: ReplayGuard,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._secrets = secrets
        self._replays = replays
        self._clock = clock

    async def __call__(self, request: Request) -> Response:
        """Take one HTTP request of Slack's. Its body is read only if its headers can be Slack's."""
        now = self._clock()
        headers = request.headers
        timestamp = headers.get("x-slack-request-timestamp", "")
        early = early_flaw(timestamp, headers.get("x-slack-signature", ""), now)
        if early is not None:
            return _unsigned(early, timestamp, now, 0)
        try:
            signed = await _signed_bytes(request)
        except TooLargeError:
            log.warning("request refused at Slack's door", why="larger than 1 MiB")
            return _refusal(413, "The request is larger than 1 MiB.")
        except ClientDisconnect:
            return _refusal(400, "The request broke off.")
        wrong = flaw_of_any(signed, self._secrets(), now)
        if wrong is not None:
            return _unsigned(wrong, timestamp, now, len(signed.body))
        try:
            payload = parsed(signed.body, request.headers.get("content-type", ""))
        except UnreadableError:
            log.warning("signed request is unreadable", bytes=len(signed.body))
            return _refusal(400, "The signed body is neither a form nor a JSON object of Slack's.")
        began, ok = time.monotonic(), False
        try:
            answer = await self._answer(signed, payload)
            ok = answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
        finally:
            measures.acknowledged(time.monotonic() - began, ok=ok)
        return answer

    async def _answer(self, signed: SignedBytes, payload: Payload) -> Response:
        if "ssl_check" in payload:
            return Response(status_code=200)
        if payload.get("type") == "url_verification":
            return Response(str(payload.get("challenge", "")), media_type="text/plain")
        try:
            answer = await self.answer(payload, signed.fingerprint)
        except RecordsError as error:
            if "command" not in payload:
                raise  # law: acknowledged means durable
            # Slack shows a command's answer only with a 200; for any other the person sees a generic error.
            log.warning("a command was not taken", why=str(error))
            sentence = private.SORRY.format(correlation_id=correlation_id())
            return JSONResponse({"response_type": "ephemeral", "text": sentence})
        return Response(answer.body, answer.status, dict(answer.headers))

    async def answer(self, payload: Payload, fingerprint: str) -> SlackReply:
        """Answer a verified payload once; `fingerprint` names what was signed. What is none of Slack's gets 400."""
        if not is_slacks(payload):
            log.warning("signed payload is none of Slack's", fields=len(payload))
            return SlackReply(status=400, headers=PLAIN, body=b"The signed body is nothing that Slack sends.")
        return await self._replays.once(fingerprint, payload, lambda: self._dispatch(payload, fingerprint))

    async def _dispatch(self, payload: Payload, fingerprint: str) -> SlackReply:
        if not is_listened_to(payload):
            return _ignored(payload)
        request = AsyncBoltRequest(body=payload, mode="socket_mode", context={"fingerprint": fingerprint})
        answer = await self._app.async_dispatch(request)
        if answer.status == UNHANDLED:
            return _ignored(payload)
        kept = {name: values[0] for name, values in answer.headers.items() if name.lower() == "content-type"}
        return SlackReply(status=answer.status, headers=kept, body=(answer.body or "").encode())


def _ignored(payload: Payload) -> SlackReply:
    """Answer what this app does not listen to, such as a shortcut: Slack shows an error for anything but 200."""
    log.info("something of Slack's is not for this app", kind=str(payload.get("type") or payload.get("command"))[:60])
    if "command" not in payload:
        return SlackReply()
    text = json.dumps({"response_type": "ephemeral", "text": "This app only answers /approval. Try /approval help."})
    return SlackReply(headers={"content-type": "application/json"}, body=text.encode())


async def _signed_bytes(request: Request) -> SignedBytes:
    """Read at most MAX_SLACK_BODY_BYTES bytes. Raises: TooLargeError, before more is taken into memory."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_SLACK_BODY_BYTES:
            raise TooLargeError
    return SignedBytes(
        body=bytes(body),
        timestamp=request.headers.get("x-slack-request-timestamp", ""),
        signature=request.headers.get("x-slack-signature", ""),
    )


def parsed(body: bytes, content_type: str) -> Payload:
    """Return a verified body's payload: JSON, or a form whose `payload` may hold JSON. Raises: UnreadableError."""
    try:
        text = body.decode("utf-8")
        if content_type.partition(";")[0].strip().lower() == "application/json":
            return _object(text)
        form: Payload = dict(reversed(yarl.query_to_pairs(text, max_fields=MAX_FIELDS)))  # of one name the first counts
        return _object(form["payload"]) if "payload" in form else form
    except (ValueError, RecursionError) as error:
        raise UnreadableError from error


def _object(text: str) -> Payload:
    found: Any = json.loads(text)
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate can be written nowhere: UnicodeEncodeError
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 one kind of error for all that cannot be read
    return found


def _unsigned(wrong: Flaw, timestamp: str, now: float, size: int) -> Response:
    off = {"seconds_off": round(now - int(timestamp))} if wrong is Flaw.WINDOW else {}
    log.warning("request refused at Slack's door", why=wrong.value, bytes=size, **off)
    answer = _refusal(401, "This request is not signed by Slack for this app.")
    answer.headers["connection"] = "close"  # whatever else it sends is not read
    return answer


def _refusal(status: int, sentence: str) -> Response:
    return Response(sentence, status, media_type="text/plain")
