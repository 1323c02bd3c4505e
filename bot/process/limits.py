"""Limit bodies to 1 MiB on every route, before anything is parsed. Heads are limited in `connections`."""

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""Bytes. Slack's payloads, orders and dashboard forms all stay far below."""

SMALL_BODY = 64 * 1024
HELD_BODIES = 64 * 1024 * 1024
"""Bytes of all bodies under way together. Beyond that a body may still be SMALL_BODY: a click is far below it."""

TOO_MUCH = "Too many large requests are under way. Nothing was done: send it again in a few seconds."
TOO_LARGE = "The request is larger than 1 MiB. Nothing was read of it and nothing was done."


class BodyLimit:
    """Refuses a body that is announced as too large, and stops reading one that turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > MAX_BODY_BYTES:
            log.warning("a request was too large", path=scope["path"][:200], announced=True)
            await _refuse(send)
            return
        body = _Body(self, receive, scope["path"][:200])
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._held -= body.size

    def hold(self, size: int) -> bool:
        """Count bytes that were read; False if the bodies under way hold too much together."""
        self._held += size
        return self._held <= HELD_BODIES


class _Body:
    """One request's body while it is read."""

    def __init__(self, limit: BodyLimit, receive: Receive, path: str) -> None:
        self._limit = limit
        self._receive = receive
        self._path = path
        self.size = 0

    async def receive(self) -> Message:
        """Take the next piece. Raises HTTPException for one too many."""
        message = await self._receive()
        piece = len(message.get("body", b""))
        self.size += piece
        fits = self._limit.hold(piece)
        if self.size > MAX_BODY_BYTES:
            log.warning("a request was too large", path=self._path, announced=False)
            raise HTTPException(413, TOO_LARGE)
        if not fits and self.size > SMALL_BODY:
            log.warning("a request was refused: the bodies under way are too large together", path=self._path)
            raise HTTPException(503, TOO_MUCH, {"Retry-After": "5"})
        return message


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else MAX_BODY_BYTES + 1  # noqa: PLR2004 digits
    return 0


async def _refuse(send: Send) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": head})
    await send({"type": "http.response.body", "body": TOO_LARGE.encode()})
