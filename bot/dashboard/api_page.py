"""/docs : the REST interface as a page of our own, made from its OpenAPI document. Nothing is loaded from elsewhere."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response

from approvals.values import Value
from bot.dashboard.serving import TEMPLATES

METHODS = ("get", "post", "put", "patch")
WORDS = {"string": "text", "integer": "number", "number": "number", "boolean": "true or false", "object": "object"}


class Parameter(Value):
    """A parameter, or a field of the body."""

    name: str
    where: str
    kind: str
    required: bool
    text: str


class ApiMethod(Value):
    """One method of one address, with all that a caller needs to know of it."""

    method: str
    path: str
    text: str
    given: tuple[Parameter, ...]
    example: str
    answers: tuple[tuple[str, str], ...]
    anchor: str


def register(router: APIRouter, app: FastAPI) -> None:
    """Add the page."""

    @router.get("/docs", include_in_schema=False)
    async def show() -> Response:
        """Show the interface by its groups."""
        document = app.openapi()
        return TEMPLATES.page("api.html", about=document["info"].get("description", ""), groups=groups(document))


def groups(document: Mapping[str, Any]) -> dict[str, list[ApiMethod]]:
    """Return the operations of an OpenAPI document by their first tag, in the document's order."""
    found: dict[str, list[ApiMethod]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                tag = next(iter(methods[method].get("tags", ())), "other")
                found.setdefault(tag, []).append(_operation(document, path, method, methods[method]))
    return found


def _operation(document: Mapping[str, Any], path: str, method: str, described: Mapping[str, Any]) -> ApiMethod:
    body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = _body(document, body)
    examples = schema.get("examples") or ()
    return ApiMethod(
        method=method.upper(),
        path=path,
        text=str(described.get("description") or described.get("summary") or ""),
        given=(*map(_parameter, described.get("parameters", ())), *_fields(schema)),
        example=json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else "",
        answers=tuple((status, str(each.get("description", ""))) for status, each in described["responses"].items()),
        anchor=f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""),
    )


def _body(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a body, which may be optional and stands under a name."""
    options = [schema, *schema.get("anyOf", ())]
    named = next((each["$ref"] for each in options if "$ref" in each), "")
    found = document.get("components", {}).get("schemas", {}).get(named.rpartition("/")[2], schema)
    return found if isinstance(found, Mapping) else {}


def _parameter(described: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=described["name"],
        where=described["in"],
        kind=_kind(described.get("schema", {})),
        required=bool(described.get("required")),
        text=str(described.get("description") or ""),
    )


def _fields(schema: Mapping[str, Any]) -> list[Parameter]:
    needed = schema.get("required", ())
    return [
        Parameter(
            name=name, where="body", kind=_kind(each), required=name in needed, text=str(each.get("description") or "")
        )
        for name, each in schema.get("properties", {}).items()
    ]


def _kind(schema: Mapping[str, Any]) -> str:
    options = [each for each in schema.get("anyOf", (schema,)) if each.get("type") != "null"]
    first = options[0] if options else schema
    if "enum" in first:
        return ", ".join(map(str, first["enum"]))
    return WORDS.get(str(first.get("type", "")), str(first.get("type", "")) or "any")
