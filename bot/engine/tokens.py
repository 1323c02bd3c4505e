"""The sidecar's token on each call of the worker: the SDK's own worker keeps the token that it was made with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from dapr.conf import settings as dapr_settings

from bot.engine.client import Metadata


class ShowsToken(grpc.UnaryStreamClientInterceptor, grpc.UnaryUnaryClientInterceptor):
    """Adds what is to be shown at the moment of a call."""

    def __init__(self, shown: Callable[[], Metadata]) -> None:
        self._shown = shown

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Show it when the worker asks for work."""
        return continuation(self._with(details), request)

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Show it with each answer."""
        return continuation(self._with(details), request)

    def _with(self, details: Any) -> Any:
        return details._replace(metadata=(*(details.metadata or ()), *self._shown()))


@contextmanager
def no_token_of_the_sdk() -> Iterator[None]:
    """Let what the SDK makes in this block have no token of its own, which would be shown beside ours."""
    token = dapr_settings.DAPR_API_TOKEN
    setattr(dapr_settings, "DAPR_API_TOKEN", None)  # noqa: B010 the SDK declares no such attribute
    try:
        yield
    finally:
        setattr(dapr_settings, "DAPR_API_TOKEN", token)  # noqa: B010 as above
