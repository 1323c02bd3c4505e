"""How things reach the app: the values of a delivery, and what both transports have to be able to do."""

from dataclasses import dataclass
from typing import Protocol

from local.slack.call_log import Delivery, EnvelopeKind
from local.slack.values import Json

TIMED_OUT = "operation_timeout"
FAILED = "dispatch_failed"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One thing to deliver; `url` is the manifest's address for it."""

    kind: EnvelopeKind
    payload: Json
    url: str | None = None
    retry: int = 0
    retry_reason: str | None = None


class Transport(Protocol):
    """Something that can carry an envelope to the app and bring the answer back."""

    async def deliver(self, envelope: Envelope) -> Delivery:
        """Carry it; never raises for what the app does."""
        ...  # pragma: no cover
