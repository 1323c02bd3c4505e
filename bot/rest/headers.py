"""Response headers for browsers and caches: no caching, no sniffing. A page's own headers win."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULTS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
DOCS: Final = ("/docs", "/redoc")
DOCS_POLICY: Final = "; ".join(  # noqa: FLY002 a line each
    (
        "default-src 'none'",
        "script-src 'unsafe-inline' https://cdn.jsdelivr.net",
        "style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com",
        "font-src https://fonts.gstatic.com",
        "img-src data: https://fastapi.tiangolo.com https://cdn.redoc.ly",
        "connect-src 'self'",
        "worker-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
DOCS_CSP: Final = (b"content-security-policy", DOCS_POLICY.encode())
"""FastAPI's pages about REST load their script and style from these hosts, and begin with an inline script."""


class SafeHeaders:
    """Adds the headers that an answer does not have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = (*DEFAULTS, DOCS_CSP) if scope["path"].startswith(DOCS) else DEFAULTS

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message.get("headers", [])}
                missing = [(name, value) for name, value in wanted if name not in there]
                message["headers"] = [*message.get("headers", []), *missing]
            await send(message)

        await self._app(scope, receive, with_headers)
