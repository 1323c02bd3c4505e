"""The page in the browser: static files only; everything it shows comes from the control API."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
_POLICY = "default-src 'self'; img-src 'self' data: https: http:; frame-ancestors 'none'; base-uri 'none'"


async def page(_request: Request) -> Response:
    """Serve the page; a permalink is the same page, which finds its message by the address."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return FileResponse(STATIC / "index.html", headers=headers)


PAGE_ROUTES: tuple[BaseRoute, ...] = (
    Route("/", page),
    Route("/archives/{channel}/{message}", page),
    Mount("/static", StaticFiles(directory=STATIC)),
)
