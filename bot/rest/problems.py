"""Errors as people and programs get them: problem+json (RFC 9457), a message in `detail`, never a traceback.

REST's one map from the error model to HTTP.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from approvals.mistakes import clause
from bot.access.refusals import TRANSLATED, as_refusal
from bot.process.correlation import correlation_id
from bot.web.answers import READING, STATUS, headers_of

log = structlog.get_logger(__name__)

FAILED: Final = "Something failed here that should not. Nothing is known to be done; quote the correlation id."


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None, **fields: Any) -> JSONResponse:
    """Return a problem as a document. `correlation_id` is what a person can quote to an operator."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "correlation_id": correlation_id(),
        **fields,
    }
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def _invalid(error: RequestValidationError) -> JSONResponse:
    """Answer with a message for each error, without repeating what was sent."""
    errors = [
        {"where": ".".join(str(part) for part in each["loc"]), "what": clause(each)}
        for each in cast("list[ErrorDetails]", error.errors())
    ]
    sentences = "; ".join(f"{each['where']}: {each['what']}" for each in errors)
    return problem_response(422, f"The request is not usable: {sentences}.", errors=errors)


PLAIN = {
    404: "There is nothing at this address. Look at the path, and at the ids in it: no id holds a slash.",
    405: "This address takes another method. /docs shows which.",
}
"""Messages for what the framework refuses by itself, with a status's name alone."""


def _is_bare(error: HTTPException) -> bool:
    return str(error.detail) == HTTPStatus(error.status_code).phrase


def install(app: FastAPI) -> None:
    """Answer every failure of the app with a problem."""

    async def _translated(request: Request, error: Exception) -> JSONResponse:
        refusal = as_refusal(error, reading=request.method in READING)
        if refusal is None:
            return await _last_resort(request, error)
        if refusal is not error:
            log.warning("a request was not served", why=str(error))
        return problem_response(STATUS[refusal.kind], refusal.message, headers_of(refusal), **refusal.fields)

    for each in TRANSLATED:
        app.exception_handler(each)(_translated)

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _invalid(error)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        detail = PLAIN.get(error.status_code, str(error.detail)) if _is_bare(error) else str(error.detail)
        return problem_response(error.status_code, detail, error.headers)

    @app.exception_handler(Exception)
    async def _last_resort(_request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return problem_response(500, FAILED)
