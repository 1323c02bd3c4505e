"""Reads the arguments of a Web API call, in whichever of Slack's three forms they come. Judges no argument."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from local.slack.errors import SlackError
from local.slack.values import Json

_STRUCTURED = ("blocks", "attachments", "metadata", "view")
_MALFORMED = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}


async def read_arguments(request: Request) -> Json:
    """Merge query and body. Raises invalid_json or the error of the argument that is no JSON."""
    arguments: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json":
        arguments |= _json_body(await request.body())
    elif kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        arguments |= {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    arguments |= _client_credentials(request.headers.get("authorization", ""))
    return {key: _structured(key, value) for key, value in arguments.items() if value is not None}


def _client_credentials(authorization: str) -> Json:
    """Read client_id and client_secret from HTTP Basic, which slack_sdk uses for openid.connect.token."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, client_secret = base64.b64decode(encoded).decode().partition(":")
    except ValueError as error:
        raise SlackError("invalid_auth") from error
    return {"client_id": client_id, "client_secret": client_secret}


def _json_body(raw: bytes) -> Json:
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise SlackError("invalid_json") from error
    if not isinstance(body, dict):
        raise SlackError("json_not_object")
    return body


def _structured(key: str, value: Any) -> Any:
    if key not in _STRUCTURED or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise SlackError(_MALFORMED.get(key, "invalid_arguments")) from error


def flag(arguments: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Read a boolean argument in any of the ways clients write one."""
    value = arguments.get(name, default)
    return value if isinstance(value, bool) else str(value).lower() in {"1", "true", "yes"}


def required(arguments: Mapping[str, Any], *names: str) -> list[str]:
    """Give the named arguments as strings. Raises invalid_arguments that names the first missing one."""
    for name in names:
        if arguments.get(name) in (None, ""):
            messages = [f"[ERROR] missing required field: {name}"]
            raise SlackError("invalid_arguments", response_metadata={"messages": messages})
    return [str(arguments[name]) for name in names]
