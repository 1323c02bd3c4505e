"""The page of the REST interface, from the OpenAPI document that the running app answers with."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from tools.docs import tables
from tools.docs.app import openapi

ABOUT = """The running app shows the same, to try out, at `/docs`, and as a document at `/openapi.json`.

A call is authenticated with an API key, `Authorization: Bearer cs_…`, or with an identity provider's token.
`/livez`, `/readyz` and `/metrics` ask for none. An error is `application/problem+json` (RFC 9457): `detail` says
what happened and what to do next, `correlation_id` is what to quote. `Retry-After` says how many seconds to wait."""

Schema = dict[str, Any]


def page() -> str:
    """Return the page."""
    document = openapi()
    models = document["components"]["schemas"]
    return tables.page(
        "REST",
        "the routes in `bot/rest/`",
        ABOUT,
        "## Calls",
        *(_call(path, method, call) for path, calls in document["paths"].items() for method, call in calls.items()),
        "## Models",
        *(_model(name, model) for name, model in sorted(models.items()) if model.get("type") == "object"),
    )


def _call(path: str, method: str, call: Schema) -> str:
    about = " ".join(str(call.get("description", call["summary"])).split())
    parts = [f"### {method.upper()} {path}", about]
    given = [_parameter(each) for each in call.get("parameters", ())]
    if given:
        parts.append(tables.table(("parameter", "in", "type", "required", "meaning"), given))
    if "requestBody" in call:
        parts.append(f"Body: {_content(call['requestBody'])}")
    parts.append("Answers: " + ", ".join(_answers(call["responses"])) + ".")
    return "\n\n".join(parts)


def _parameter(given: Schema) -> tuple[str, str, str, str, str]:
    required = "yes" if given.get("required") else ""
    return tables.code(given["name"]), given["in"], _type(given["schema"]), required, given.get("description", "")


def _answers(responses: dict[str, Schema]) -> Iterator[str]:
    for status, answer in sorted(responses.items()):
        if int(status) < HTTPStatus.BAD_REQUEST:
            yield f"{status} {_content(answer)}".strip()
        else:
            yield f"{status} {HTTPStatus(int(status)).phrase}"


def _content(holder: Schema) -> str:
    kinds = holder.get("content", {})
    return " or ".join(_type(content["schema"]) if "schema" in content else kind for kind, content in kinds.items())


def _model(name: str, model: Schema) -> str:
    required = model.get("required", ())
    rows = [
        (tables.code(field), _type(schema), "yes" if field in required else "", schema.get("description", ""))
        for field, schema in model.get("properties", {}).items()
    ]
    about = " ".join(model.get("description", "").split())
    return "\n\n".join(
        filter(None, [f"### {name}", about, tables.table(("field", "type", "required", "meaning"), rows)])
    )


def _type(schema: Schema) -> str:
    """Return a schema in words; a model is a link to its section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(tables.code(each) for each in schema["enum"])
    if "const" in schema:
        return tables.code(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format", schema.get("type", "any")))
