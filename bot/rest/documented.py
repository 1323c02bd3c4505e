"""The OpenAPI document: how one authenticates, and what every error looks like. Describes only; decides nothing."""

from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    bearerFormat="cs_…",
    description="An API key: `countersign keys create NAME --person EMAIL --role …`.",
)
SIGNED_IN = [Depends(BEARER)]
"""Only documents the scheme: `callers` reads the key and answers 401 itself."""

HEADERS = frozenset({"authorization", "x-api-key"})


class ProblemDocument(BaseModel):
    """An error by RFC 9457. `detail` is a message for people, `correlation_id` what they can quote."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str
    correlation_id: str = Field(examples=["5f0c9a7d1b3e"])


SENTENCES = {
    400: "The body cannot be read as JSON.",
    401: "This call needs an API key: send it as 'Authorization: Bearer cs_…'.",
    403: "Your role does not allow this.",
    404: "No workflow is known as 43. Look at the id.",
    409: "Only a running workflow can be paused, and order 42 is over: Rejected.",
    422: "The request is not usable: query.older_than: 'soon' is neither a duration nor a moment.",
    428: "This request is under a rule of high risk: send the digest of what you saw.",
    429: "Too many failed keys from here. Wait before trying again.",
    503: "The workflow engine does not answer.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documented errors of a route; who calls and how it is written can be wrong everywhere."""
    return {status: _problem(status) for status in sorted({401, 403, 422, 429, 503, *statuses})}


def _problem(status: int) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": SENTENCES[status],
        "correlation_id": "5f0c9a7d1b3e",
    }
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": schema, "example": example}},
    }


def install(app: FastAPI) -> None:
    """Make the app's document say how one authenticates, and nothing twice."""

    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            made = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
            for path in made["paths"].values():
                for operation in path.values():
                    _complete(operation)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # how FastAPI wants its document to be extended


def _complete(operation: dict[str, Any]) -> None:
    """Describe the key by the security scheme alone, and every error by the problem that it is.

    OpenAPI ignores a key's header among the parameters. FastAPI would describe its own form of 422.
    """
    kept = [each for each in operation.get("parameters", ()) if each["name"].lower() not in HEADERS]
    if kept or "parameters" in operation:
        operation["parameters"] = kept
    if {"health"} & set(operation.get("tags", ())):
        return
    operation.setdefault("security", [{"apiKey": []}])
    answers = operation.setdefault("responses", {})
    for status in (400, 401, 403, 404, 409, 422, 429, 503):
        ours = answers.get(str(status), {}).get("content", {}).get("application/problem+json")
        if ours is None and (str(status) in answers or status in COMMON or "requestBody" in operation):
            answers[str(status)] = _problem(status)


COMMON = frozenset({401, 403, 422, 429, 503})


ABOUT = (
    "Human approval for automated processes. Send an API key as a bearer token. Every error is a problem document "
    "(RFC 9457) whose `detail` is a sentence; every change is audited with who, when and why."
)
