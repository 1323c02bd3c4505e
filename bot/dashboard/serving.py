"""Pages over HTTP: they share addresses with REST and answer only browsers; an error becomes a page."""

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

from bot.access.refusals import as_refusal
from bot.dashboard.rendering import Templates, guarded
from bot.dashboard.sessions import SignInNeededError
from bot.process.correlation import correlation_id
from bot.web.answers import READING, STATUS, headers_of

log = structlog.get_logger(__name__)
TEMPLATES = Templates()

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A page. It matches only browsers' requests, so that programs get REST's answer at the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave the request to others if no page is wanted."""
        found, child = super().matches(scope)
        return (found, child) if found is Match.NONE or _for_browsers(scope) else (Match.NONE, {})

    def get_route_handler(self) -> Handler:
        """Answer with a page also if something fails."""
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
    """Redirect to the sign-in page, and back afterwards."""
    query = {"then": error.then} | ({"why": error.why} if error.why else {})
    return guarded(RedirectResponse(f"/sign-in?{urlencode(query)}", 303))


def failed(error: Exception, method: str) -> Response:
    """Return the error page: what happened and what to do next, never a traceback."""
    refusal = as_refusal(error, reading=method in READING)
    status, text = (STATUS[refusal.kind], refusal.message) if refusal else _unforeseen(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a page failed", exc_info=error)
    title = TITLES.get(status, HTTPStatus(status).phrase)
    response = TEMPLATES.page("failed.html", status, title=title, text=text, reference=correlation_id())
    if refusal is not None:
        response.headers.update(headers_of(refusal))
    return response


TITLES = {
    403: "This is not for you to see or do",
    404: "Nothing is known under this name",
    409: "That makes no sense now",
    422: "Something is not usable as it was typed",
    429: "Too many tries",
    503: "A part that is needed does not answer",
}


def _unforeseen(error: Exception) -> tuple[int, str]:
    match error:
        case HTTPException():
            return error.status_code, str(error.detail)
        case RequestValidationError():
            return 422, "The address of this page holds something that is not usable."
        case _:
            return 500, "Something failed here that should not. Nothing is known to be done; quote the reference below."
