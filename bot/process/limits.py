"""How much anybody may send: 1 MiB of body and 64 KiB of head, on every route, before anything is parsed."""

from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger(__name__)

MAX_BODY = 1024 * 1024
"""Bytes. Slack's payloads, orders and dashboard forms all stay far below."""

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together; uvicorn's fast parser sets no limit of its own."""

TOO_LARGE = "The request is larger than 1 MiB. Nothing was read of it and nothing was done."


class BodyLimit:
    """Refuses a body that is announced as too large, and stops reading one that turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > MAX_BODY:
            log.warning("a request was too large", path=scope["path"][:200], announced=True)
            await _refuse(send)
            return
        await self._app(scope, _counted(receive, scope), send)


def _counted(receive: Receive, scope: Scope) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            log.warning("a request was too large", path=scope["path"][:200], announced=False)
            raise HTTPException(413, TOO_LARGE)
        return message

    return counted


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else MAX_BODY + 1  # noqa: PLR2004 digits
    return 0


async def _refuse(send: Send) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": head})
    await send({"type": "http.response.body", "body": TOO_LARGE.encode()})


class _HeadTooLargeError(Exception):
    """A head that is complete and over the limit."""


class BoundedHead(HttpToolsProtocol):
    """uvicorn's fast parser, which ends a connection whose head grows over MAX_HEAD. Use it as uvicorn's `http`.

    What follows a body (trailers), or stands between its pieces, is kept by the parser as well and bounded alike.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._waiting = 0
        self._moved = self._over = False
        super().__init__(*args, **kwargs)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network; what ends no head and brings no body is counted, read by read.

        A read in which something ended may hold the next beginning too: that is not counted, for a read is bounded.
        """
        self._moved = False
        super().data_received(data)
        self._waiting = 0 if self._moved else self._waiting + len(data)
        if self._waiting > MAX_HEAD:
            self._over = True
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Hold a whole head against the limit, also one that came in a single read."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD:
            self._over = True
            raise _HeadTooLargeError  # the parser stops, and uvicorn has the bad request answered
        self._moved = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew after a piece of the body: BodyLimit counts those."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew: a next request may follow on this connection."""
        self._moved = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; a head over the limit with its own status."""
        if not self._over:
            super().send_400_response(msg)
        elif not self.transport.is_closing():
            log.warning("a request's head was too large")
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()


_HEAD_SENTENCE = b"The request's head is larger than 64 KiB. Nothing was read of it and nothing was done."
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_HEAD_SENTENCE), _HEAD_SENTENCE)
)
