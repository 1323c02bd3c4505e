"""The correlation id: one short word that joins an answer, the log lines and the audit entries of one request."""

import secrets
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.process.tracing import TRACING


def correlation_id() -> str:
    """Return the id of the request under way, or a new one outside of any."""
    return str(structlog.contextvars.get_contextvars().get("correlation_id") or new_correlation_id())


def new_correlation_id() -> str:
    """Return 12 hex digits: enough to find one request in a log, short enough to read out on the phone."""
    return secrets.token_hex(6)


UNTRACED: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths polled every few seconds."""


class CorrelationMiddleware:
    """Gives every HTTP request an id, in its log lines and in X-Correlation-Id: its trace's, if it has one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif TRACING.on and scope["path"] not in UNTRACED:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            with TRACING.span(scope["method"], headers=headers, kind="server") as span:
                await self._answer(scope, receive, send, correlation_id())
                span.update_name(f"{scope['method']} {_template(scope)}".strip())
        else:
            await self._answer(scope, receive, send, new_correlation_id())

    async def _answer(self, scope: Scope, receive: Receive, send: Send, made: str) -> None:
        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-correlation-id", made.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=made):
            await self._app(scope, receive, with_id)


def _template(scope: Scope) -> str:
    """Return the path without what callers write into it: a span's name is one of a few."""
    return str(getattr(scope.get("route"), "path", "")) or (scope["path"] if scope["path"] == "/slack/events" else "")
