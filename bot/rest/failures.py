"""What the services refuse, as problems: one place says which status each kind of refusal has."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from bot.access.refusals import Problem, RefusedError
from bot.control.subjects import NotFoundError
from bot.engine.client import EngineRefusedError, EngineUnavailableError
from bot.rest.problems import problem_response
from records.errors import BadCursorError


def install(app: FastAPI) -> None:
    """Answer what the control services raise: 404, 409, 422, 503."""

    @app.exception_handler(NotFoundError)
    async def _unknown(_request: Request, error: NotFoundError) -> JSONResponse:
        return problem_response(Problem(404, str(error)))

    @app.exception_handler(RefusedError)
    async def _refused(_request: Request, error: RefusedError) -> JSONResponse:
        return problem_response(Problem(409, str(error)))

    @app.exception_handler(BadCursorError)
    async def _cursor(_request: Request, error: BadCursorError) -> JSONResponse:
        return problem_response(Problem(422, str(error)))

    @app.exception_handler(EngineRefusedError)
    async def _engine_refused(_request: Request, error: EngineRefusedError) -> JSONResponse:
        return problem_response(Problem(409, f"The workflow engine refused: {error}. Nothing was done."))

    @app.exception_handler(EngineUnavailableError)
    async def _engine_away(request: Request, _error: EngineUnavailableError) -> JSONResponse:
        return problem_response(Problem(503, away(request.method), {"Retry-After": "5"}))


def away(method: str) -> str:
    """Return what is said where the engine does not answer a call by this method: a GET has changed nothing."""
    return UNREAD if method in {"GET", "HEAD"} else UNKNOWN


UNREAD = (
    "The workflow engine does not answer, so what it knows cannot be shown now. What waits keeps waiting: start the "
    "Dapr sidecar if it is down (/readyz names the part that is away), then ask again."
)
UNKNOWN = (
    "The workflow engine does not answer, or no worker is connected to it. Whether the call took effect is not known: "
    "look at the workflow's status before you call again."
)
