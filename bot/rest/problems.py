"""Errors as people and programs get them: problem+json (RFC 9457), a sentence in `detail`, never a traceback."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bot.access.refusals import Problem
from bot.process.correlation import correlation_id
from records.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)


def problem_response(problem: Problem) -> JSONResponse:
    """Return the problem as a document. `correlation_id` is what a person can quote to an operator."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "correlation_id": correlation_id(),
        **problem.fields,
    }
    return JSONResponse(document, problem.status, problem.headers, media_type="application/problem+json")


def _invalid(error: RequestValidationError) -> Problem:
    """One sentence for each thing that is wrong, without repeating what was sent."""
    found = [
        {"where": ".".join(str(part) for part in each["loc"]), "what": str(each["msg"]).removeprefix("Value error, ")}
        for each in error.errors()
    ]
    sentences = "; ".join(f"{each['where']}: {each['what'].rstrip('.')}" for each in found)
    return Problem(422, f"The request is not usable: {sentences}.", errors=found)


PLAIN = {
    404: "There is nothing at this address. Look at the path, and at the ids in it: no id holds a slash.",
    405: "This address takes another method. /docs shows which.",
}
"""Sentences for what the framework refuses by itself, with a status's name alone."""


def _is_bare(error: HTTPException) -> bool:
    return str(error.detail) == HTTPStatus(error.status_code).phrase


def install(app: FastAPI) -> None:
    """Answer every failure of the app with a problem."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(_invalid(error))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        detail = PLAIN.get(error.status_code, str(error.detail)) if _is_bare(error) else str(error.detail)
        return problem_response(Problem(error.status_code, detail, dict(error.headers or {})))

    @app.exception_handler(DatabaseUnavailableError)
    async def _database(_request: Request, error: DatabaseUnavailableError) -> JSONResponse:
        log.warning("a request was not served", why=str(error))
        return problem_response(Problem(503, error.public, {"Retry-After": "5"}))

    @app.exception_handler(Exception)
    async def _last_resort(_request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return problem_response(
            Problem(
                500, "Something failed here that should not. Nothing is known to be done; quote the correlation id."
            )
        )
