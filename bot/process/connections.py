"""The connections of the web server: heads of 64 KiB, ten seconds for a head and for a body, and a ceiling of them all.

Slow clients, or many connections, must not keep Slack out: a click has three seconds. So a new connection is always
taken, in the place of the one that has been waiting longest for the rest of its request.
"""

import asyncio
import functools
import resource
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 10
"""Seconds that a connection may wait for its next request: longer than clients keep theirs (httpx 5), else one of them
sends a request into the close."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of request line and headers together; uvicorn's fast parser sets no limit of its own."""

HEAD_S: Final = 10.0
BODY_S: Final = 10.0
"""Seconds from the first byte, or the connection's begin, to a whole head, and from there to a whole body."""

MOST_CONNECTIONS: Final = 1_000
SERVED_SHARE: Final = 0.8
"""Beyond this share of the ceiling other requests than SPARED are answered 503."""

SPARED: Final = (b"/slack/", b"/livez")
"""Paths that are served even if connections are scarce: Slack's calls and the liveness probe."""


class Ceiling:
    """Counts a server's connections, and knows which of them wait for the rest of a request, the longest first."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit or _fitting()
        self._open: set[BoundedConnection] = set()
        self._waiting: dict[BoundedConnection, None] = {}

    def opened(self, connection: "BoundedConnection") -> None:
        """Take a connection in, in the place of the one that waits longest if there are too many."""
        self._open.add(connection)
        if len(self._open) > self.limit:
            longest = next(iter(self._waiting), connection)
            log.warning("a connection was closed: there are too many", open=len(self._open), limit=self.limit)
            longest.give_up()
        self._waiting[connection] = None

    def closed(self, connection: "BoundedConnection") -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def waits(self, connection: "BoundedConnection") -> None:
        """Note that a connection was answered and waits for its next request."""
        if connection in self._open:
            self._waiting[connection] = None

    def served(self, connection: "BoundedConnection") -> None:
        """Note that a connection's request is whole."""
        self._waiting.pop(connection, None)

    @property
    def crowded(self) -> bool:
        """Whether requests other than SPARED are refused because too many are being served."""
        return len(self._open) - len(self._waiting) > self.limit * SERVED_SHARE


def _fitting() -> int:
    """Return a ceiling that leaves half of the file descriptors to the database, the sidecar and Slack's Web API."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_CONNECTIONS if soft < 0 else max(16, min(MOST_CONNECTIONS, soft // 2))


def bounded_connections(limit: int | None = None) -> Any:
    """Return what uvicorn takes as its `http`: connections under one ceiling."""
    return functools.partial(BoundedConnection, ceiling=Ceiling(limit))


class _HeadTooLargeError(Exception):
    """A head that is complete and over the limit."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's fast parser with bounds in size and time.

    What follows a body (trailers), or stands between its pieces, is kept by the parser as well and bounded alike.
    """

    def __init__(self, *args: Any, ceiling: Ceiling, **kwargs: Any) -> None:
        self._ceiling = ceiling
        self._unfinished = 0
        self._moved = self._over = self._in_message = False
        self._deadline: asyncio.TimerHandle | None = None
        super().__init__(*args, **kwargs)

    # ---- time -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._ceiling.opened(self)
        self._expect(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._ceiling.closed(self)
        self._expect(None)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request: uvicorn closes a connection that brings none."""
        self._ceiling.waits(self)
        super().on_response_complete()

    def _expect(self, seconds: float | None) -> None:
        """Limit the rest of a head or a body to this many seconds; None for no limit."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        log.warning("a connection was closed: its request took too long to come", client=(self.client or ("?",))[0])
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(TOO_SLOW)
        self.transport.close()

    def give_up(self) -> None:
        """Close at once: the place is needed."""
        self.transport.abort()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    # ---- size -------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network, and count those of a head that has not ended yet.

        A read that ends a head or brings a body starts the count again: a read is bounded, so the rest of it is small.
        """
        self._moved = False
        super().data_received(data)
        self._unfinished = 0 if self._moved else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD:
            self._over = True
            self.send_400_response("")
        elif self._deadline is None and (self._in_message or self._idle) and not self.transport.is_closing():
            self._expect(HEAD_S)  # a next request begins on this connection

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold a whole head against the limit, also one that came in a single read."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD:
            self._over = True
            raise _HeadTooLargeError  # the parser stops, and uvicorn has the bad request answered
        self._moved = True
        self._expect(BODY_S)
        # uvicorn answers 503 by itself over its limit of connections: 1 is always reached.
        self.limit_concurrency = 1 if self._ceiling.crowded and not self.url.startswith(SPARED) else None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew after a piece of the body: BodyLimit counts those."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew: a next request may follow on this connection."""
        self._moved = True
        self._in_message = False
        self._expect(None)
        self._ceiling.served(self)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request; a head over the limit with its own status."""
        if not self._over:
            super().send_400_response(msg)
        elif not self.transport.is_closing():
            log.warning("a request's head was too large")
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()


def _answer(status: bytes, message: bytes) -> bytes:
    head = (
        b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%s"
    )
    return head % (status, len(message), message)


HEAD_TOO_LARGE: Final = _answer(
    b"431 Request Header Fields Too Large",
    b"The request's head is larger than 64 KiB. Nothing was read of it and nothing was done.",
)
TOO_SLOW: Final = _answer(
    b"408 Request Timeout", b"The request did not come within ten seconds. Nothing was done: send it again at once."
)
