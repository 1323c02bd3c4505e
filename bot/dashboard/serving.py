"""How pages meet HTTP: they share addresses with REST and answer only browsers; whatever fails becomes a page."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from bot.access.refusals import Problem, RefusedError
from bot.control.subjects import NotFoundError
from bot.dashboard.rendering import Templates, guarded
from bot.dashboard.sessions import SignInNeededError
from bot.engine.client import EngineRefusedError, EngineUnavailableError
from bot.process.correlation import correlation_id
from bot.rest.failures import away
from records.errors import BadCursorError, DatabaseUnavailableError

log = structlog.get_logger(__name__)
TEMPLATES = Templates()

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A page. It matches only what a browser asks for, so that programs get REST's answer at the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave the request to others where no page is wanted."""
        found, child = super().matches(scope)
        return (found, child) if found is Match.NONE or _for_browsers(scope) else (Match.NONE, {})

    def get_route_handler(self) -> Handler:
        """Answer with a page also where something fails."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except SignInNeededError as error:
                return sign_in(error)
            except Exception as error:  # noqa: BLE001 the last resort of an entry point: what is not known is logged
                return failed(error, request.method)

        return handle


def _for_browsers(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    if scope["method"] == "POST":
        return bool(headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"))
    return b"text/html" in headers.get(b"accept", b"")


def sign_in(error: SignInNeededError) -> Response:
    """Send somebody to the sign-in page and back afterwards."""
    query = {"then": error.then} | ({"why": error.why} if error.why else {})
    return guarded(RedirectResponse(f"/sign-in?{urlencode(query)}", 303))


def failed(error: Exception, method: str) -> Response:
    """Return the page for what went wrong: what happened and what to do next, never a traceback."""
    status, text = _told(error, method)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a page failed", exc_info=error)
    title = TITLES.get(status, HTTPStatus(status).phrase)
    response = TEMPLATES.page("failed.html", status, title=title, text=text, reference=correlation_id())
    if isinstance(error, Problem):
        response.headers.update(error.headers)
    return response


TITLES = {
    403: "This is not for you to see or do",
    404: "Nothing is known under this name",
    409: "That makes no sense now",
    422: "Something is not usable as it was typed",
    429: "Too many tries",
    503: "A part that is needed does not answer",
}


def _told(error: Exception, method: str) -> tuple[int, str]:  # noqa: PLR0911 one for each kind of failure
    match error:
        case Problem():
            return error.status, error.detail
        case NotFoundError():
            return 404, str(error)
        case RefusedError():
            return 409, str(error)
        case BadCursorError():
            return 422, str(error)
        case EngineRefusedError():
            return 409, f"The workflow engine refused: {error}. Nothing was done."
        case EngineUnavailableError():
            return 503, away(method)
        case DatabaseUnavailableError():
            return 503, error.public
        case HTTPException():
            return error.status_code, str(error.detail)
        case RequestValidationError():
            return 422, "The address of this page holds something that is not usable."
        case _:
            return 500, "Something failed here that should not. Nothing is known to be done; quote the reference below."
