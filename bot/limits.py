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


class BoundedHead(HttpToolsProtocol):
    """uvicorn's fast parser, which ends a connection whose head grows over MAX_HEAD. Use it as uvicorn's `http`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._head = 0
        self._in_head = True
        super().__init__(*args, **kwargs)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network; a head that does not end is cut off."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > MAX_HEAD:
            log.warning("a request's head was too large", bytes=self._head)
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Count no further: what follows is the body's."""
        self._head, self._in_head = 0, False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count again: a next request may follow on this connection."""
        self._in_head = True
        super().on_message_complete()


HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
