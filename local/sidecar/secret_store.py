"""The sidecar's GetSecret, from one JSON file: what Dapr's component secretstores.local.file does with multiValued.

The file is read at each call, so that a rotation can be tried. It maps a secret's name to its keys:
{"countersign": {"secret-key": "…", "slack-bot-token": "…"}}.
"""

import json
from pathlib import Path
from typing import Any

import grpc
from dapr.proto import api_service_v1, api_v1

from local.sidecar.errors import Refused

STORE = "secrets"


class SecretStore(api_service_v1.DaprServicer):
    """One store by name; every other call of Dapr's API is not implemented."""

    def __init__(self, file: Path | None, check_token: Any) -> None:
        self._file = file
        self._check_token = check_token

    async def GetSecret(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Return a secret's keys with their values."""
        try:
            self._check_token(context)
        except Refused as refusal:
            await context.abort(refusal.code, refusal.text)
        if self._file is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "secret store is not configured")
        if request.store_name != STORE:
            text = f"failed finding secret store with key {request.store_name}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        found = self._found(request.key)
        if not isinstance(found, dict | str):
            text = f"failed getting secret with key {request.key} from secret store {STORE}: secret not found"
            await context.abort(grpc.StatusCode.INTERNAL, text)
        values = found if isinstance(found, dict) else {request.key: found}
        return api_v1.GetSecretResponse(data={key: str(value) for key, value in values.items()})

    def _found(self, name: str) -> Any:
        try:
            return json.loads(Path(str(self._file)).read_text(encoding="utf-8")).get(name)
        except (OSError, ValueError):
            return None
