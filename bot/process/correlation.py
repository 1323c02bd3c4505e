"""The correlation id: one short word that joins an answer, the log lines and the audit entries of one request."""

import secrets

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def correlation_id() -> str:
    """Return the id of the request under way, or a new one outside of any."""
    return str(structlog.contextvars.get_contextvars().get("correlation_id") or new_correlation_id())


def new_correlation_id() -> str:
    """Return 12 hex digits: enough to find one request in a log, short enough to read out on the phone."""
    return secrets.token_hex(6)


class CorrelationMiddleware:
    """Gives every HTTP request an id, in its log lines and in the answer's X-Correlation-Id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        made = new_correlation_id()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-correlation-id", made.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=made):
            await self._app(scope, receive, with_id)
