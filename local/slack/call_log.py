"""Keeps what the app called and what the workspace delivered, without any secret."""

from dataclasses import dataclass, field
from typing import Literal

from local.slack.values import Json

EnvelopeKind = Literal["interactive", "slash_commands", "events_api"]

SECRET_ARGUMENTS = frozenset({"token", "client_secret", "code", "code_verifier"})


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One Web API call.

    `status` is the HTTP status, or 0 when the connection was cut on purpose; `error` is Slack's word; times in seconds.
    """

    method: str
    arguments: Json
    status: int
    error: str | None
    at: float
    elapsed: float


@dataclass(frozen=True, slots=True)
class Sent:
    """The bytes of an HTTP delivery, for sending them once more."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing sent to the app and its answer; `error` is what a Slack user would be told."""

    kind: EnvelopeKind
    payload: Json
    status: int | None
    body: str
    elapsed: float
    error: str | None = None
    retry: int = 0
    transport: str = "http"
    headers: dict[str, str] = field(default_factory=dict)
    sent: Sent | None = field(default=None, repr=False)


def without_secrets(arguments: Json) -> Json:
    """Drop tokens and other secrets."""
    return {key: value for key, value in arguments.items() if key not in SECRET_ARGUMENTS}
