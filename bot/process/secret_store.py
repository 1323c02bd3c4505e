"""Secrets from a Dapr secret store: NAME_SECRET names store, secret and key, and the sidecar reads them.

A secret's value goes from the sidecar into memory; nothing is written. The sidecar may start after the app.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

import grpc
from dapr.conf.helpers import GrpcEndpoint
from dapr.proto import api_service_v1, api_v1

STORE_PATIENCE_S: Final = 30.0
"""How long a start waits for a sidecar that is away."""

STORE_TIMEOUT_S: Final = 5.0
KEPT_S: Final = 60.0
"""How long a value is used before the store is asked again: stores count calls."""

REASONS: Final = {
    grpc.StatusCode.UNAVAILABLE: "the sidecar does not answer",
    grpc.StatusCode.DEADLINE_EXCEEDED: "the sidecar does not answer in time",
    grpc.StatusCode.UNAUTHENTICATED: "the sidecar refuses DAPR_API_TOKEN",
    grpc.StatusCode.PERMISSION_DENIED: "the sidecar's configuration does not let this app read it (secrets.scopes)",
    grpc.StatusCode.FAILED_PRECONDITION: "the sidecar has no secret store",
    grpc.StatusCode.INVALID_ARGUMENT: "the sidecar has no secret store of that name",
    grpc.StatusCode.UNIMPLEMENTED: "what answers there has no secret stores",
}


class SecretStoreError(Exception):
    """A secret cannot be had. The text names the setting and the secret, never its value."""


class SecretStore:
    """The stores of one sidecar."""

    def __init__(self, address: str, token: str, patience_s: float = STORE_PATIENCE_S) -> None:
        self._address = address
        self._metadata = (("dapr-api-token", token),) if token else ()
        self._until = time.monotonic() + patience_s

    def read(self, name: str, reference: str) -> str:
        """Return the secret that a reference `store/secret` or `store/secret/key` names. Raises: SecretStoreError."""
        store, _, rest = reference.strip().partition("/")
        secret, _, key = rest.partition("/")
        if not store or not secret:
            raise SecretStoreError(f"{name}_SECRET is not usable: write store/secret or store/secret/key.")
        found = self._asked(name, reference, api_v1.GetSecretRequest(store_name=store, key=secret))
        value = found.get(key or secret) or (next(iter(found.values())) if len(found) == 1 and not key else "")
        if not value.strip():
            raise SecretStoreError(f"{name}_SECRET names {reference}, which holds no such key, or an empty one.")
        return value.strip()

    def _asked(self, name: str, reference: str, request: Any) -> Mapping[str, str]:
        while True:
            try:
                with _channel(self._address) as channel:
                    stub: Any = api_service_v1.DaprStub(channel)  # type: ignore[no-untyped-call]  # generated code
                    return dict(stub.GetSecret(request, metadata=self._metadata, timeout=STORE_TIMEOUT_S).data)
            except grpc.RpcError as error:
                code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
                if code is grpc.StatusCode.UNAVAILABLE and time.monotonic() < self._until:
                    time.sleep(0.5)
                    continue
                why = REASONS.get(code, "the store has no such secret, or does not give it")
                raise SecretStoreError(f"{name}_SECRET names {reference}, which cannot be read: {why}.") from error


def _channel(address: str) -> grpc.Channel:
    endpoint = GrpcEndpoint(address)
    if endpoint.tls:
        return grpc.secure_channel(endpoint.endpoint, grpc.ssl_channel_credentials())
    return grpc.insecure_channel(endpoint.endpoint)
