"""One system for the tests of the doors, and what they need to send bytes of their own to it."""

import hashlib
import hmac
import time
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import system, systems
from tests.end_to_end.system import System

__all__ = ["system", "systems"]
FORM = "application/x-www-form-urlencoded"


class Door:
    """Sends raw bytes to Slack's route."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.secret = system.settings.slack_signing_secret.get_secret_value()

    def send(self, body: bytes, headers: dict[str, bytes | str]) -> httpx.Response:
        """Send bytes with exactly these headers."""
        raw = [(name.encode(), each if isinstance(each, bytes) else each.encode()) for name, each in headers.items()]
        return self.system.http.post("/slack/events", content=body, headers=raw)

    def signed(
        self, body: bytes, *, content_type: str = FORM, at: float | None = None, **headers: bytes | str
    ) -> httpx.Response:
        """Send bytes that Slack itself might have signed."""
        timestamp = str(int(time.time() if at is None else at))
        return self.send(body, {**self.headers(body, timestamp), "content-type": content_type, **headers})

    def headers(self, body: bytes, timestamp: str) -> dict[str, bytes | str]:
        """Return the two headers that Slack would send."""
        mac = hmac.new(self.secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return {"x-slack-request-timestamp": timestamp, "x-slack-signature": f"v0={mac}"}


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {}  # each file has a system of its own: wrong keys from one address have to wait


@pytest.fixture(scope="module")
def door(system: System) -> Door:
    return Door(system)
