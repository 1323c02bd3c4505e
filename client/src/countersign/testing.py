"""A pytest plugin: the fixture `countersign_fake` stands in for people, so that tests of your code need no app.

    def test_a_refund_waits_for_a_yes(countersign_fake):
        countersign_fake.approves()
        assert refund(4711) == "refunded"
        assert countersign_fake.asked[0].key == "refund:4711"

The calls of this package go to the fake and nowhere else, through the same code as in production.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import pytest

from countersign.asking import Transports

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked(NamedTuple):
    """A request that the code under test has made."""

    key: str
    subject: str
    kind: str
    body: dict[str, Any]


class Fake:
    """Answers every request in the same way until it is told otherwise. At first people do not answer at all."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._status = "waiting"
        self._reason = ""
        self._requests: dict[str, dict[str, Any]] = {}

    def approves(self) -> None:
        """Say yes to what waits and to what comes."""
        self._answer("approved")

    def rejects(self, reason: str = "no") -> None:
        """Say no."""
        self._answer("rejected", reason)

    def times_out(self) -> None:
        """Let the deadline pass without an answer."""
        self._answer("timed_out")

    def ends(self, status: str) -> None:
        """End it in any other way: withdrawn, terminated, failed, expired."""
        self._answer(status)

    def waits(self) -> None:
        """Do not answer: `ask` waits as long as it is told to."""
        self._answer("waiting")

    def _answer(self, status: str, reason: str = "") -> None:
        self._status, self._reason = status, reason

    def _serve(self, call: httpx.Request) -> httpx.Response:
        if call.url.path == "/requests":
            return self._start(call)
        found = self._requests.get(call.url.path.split("/")[2])
        if found is None:
            return httpx.Response(404, json={"detail": "No request is known as this."})
        return self._use(found, call) if call.method == "POST" else httpx.Response(200, json=self._shown(found))

    def _use(self, request: dict[str, Any], call: httpx.Request) -> httpx.Response:
        used = request.setdefault("used", call.headers["Idempotency-Key"]) if self._status == "approved" else None
        if used != call.headers["Idempotency-Key"]:
            return httpx.Response(409, json={"detail": "Only what is approved can be used, and only once."})
        return httpx.Response(200, json={"id": request["id"], "consumed_at": NOW.isoformat()})

    def _start(self, call: httpx.Request) -> httpx.Response:
        body, key = json.loads(call.content), call.headers["Idempotency-Key"]
        known = next((each for each in self._requests.values() if each["key"] == key), None)
        if known is not None and known["body"] != body:
            return httpx.Response(409, json={"detail": "This key was used before for other content."})
        if known is None:
            known = {"id": f"fake-{len(self.asked) + 1}", "key": key, "body": body}
            self._requests[known["id"]] = known
            self.asked.append(Asked(key, body["subject"], body["kind"], body))
        return httpx.Response(201, json=self._shown(known))

    def _shown(self, request: dict[str, Any]) -> dict[str, Any]:
        decided = self._status in {"approved", "rejected"}
        decision = {
            "person": "T0FAKE/U0FAKE",
            "name": "Fake Approver",
            "approved": self._status == "approved",
            "reason": self._reason,
            "at": NOW.isoformat(),
        }
        body = {name: value for name, value in request["body"].items() if name != "fields"}
        shown = {"id": request["id"], "status": self._status, "decided_by": [decision] if decided else []}
        return {"created_at": NOW.isoformat(), **body, **shown}


@pytest.fixture
def countersign_fake() -> Iterator[Fake]:
    """Give people who answer at once, as the test tells them."""
    fake = Fake()
    before, Transports.fake = Transports.fake, httpx.MockTransport(fake._serve)  # noqa: SLF001 the same module
    yield fake
    Transports.fake = before
