"""The OpenAPI document is true: whatever is sent gets an answer that it describes, and never a 5xx.

More examples: COUNTERSIGN_TEST_EXAMPLES=500.
"""

import os
from functools import cached_property
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from bot.access.throttle import Throttle
from bot.services import Services
from tests.end_to_end.control_room import Room, key

EXAMPLES = int(os.environ.get("COUNTERSIGN_TEST_EXAMPLES", "10"))
POLICY = """
version: 1
channel: approvals
currency: USD
groups: {managers: managers}
rules:
  - name: everything
    when: {currency: any}
    approve: [{group: managers}]
    within: 1 day
"""
STREAMS = ("/events",)
"""Streams do not end by themselves; they have tests of their own."""


class Patient(Services):
    """The app's parts, with patience for wrong keys: one source tries every route with keys that are none."""

    @cached_property
    def throttle(self) -> Throttle:
        return Throttle(allowed=1_000_000)


SETTINGS = {"policy": POLICY, "parts": Patient}
"""POLICY has a rule for every currency: a request without a rule is the operator's 503."""

SAYS_LESS = {
    "POST /orders/{order_id}/start": "the amount stands in the query or in the body, and has a currency's places",
    "POST /requests": "which kinds there are is the policy's to know, and a currency comes with its amount",
    "POST /requests/preview": "the same",
    "GET /requests": "a cursor was given out for one sorting",
    "GET /webhooks/deliveries": "a cursor was given out for one list",
    "POST /webhooks/test": "which hosts may be called is the key's and the settings' to know",
    "POST /workflows": "which names can be started is the worker's to know",
    "POST /workflows/bulk": "the real call needs a dry run's token, and an action fits only some statuses",
    "GET /workflows": "a cursor was given out for one sorting; a moment may be written in several ways",
    "GET /statistics": "a moment may be written in several ways",
    "GET /audit/decisions": "a moment may be written in several ways",
    "GET /audit/decisions.csv": "a moment may be written in several ways",
}
"""Where a schema cannot say what the domain knows: there valid data may get a 4xx, which is checked as any other."""


def operations(room: Room) -> list[Any]:
    document = schemathesis.openapi.from_url(f"{room.system.url}/openapi.json").exclude(path=list(STREAMS))
    return [found.ok() for found in document.get_all_operations() if isinstance(found, Ok)]


def is_one_value(case: Any) -> bool:
    """Return whether a query's list has one value or none: the address that is sent is that of the value alone."""
    return any(isinstance(each, list) and len(each) <= 1 for each in (case.query or {}).values())


def try_out(operation: Any, mode: GenerationMode, who: dict[str, str]) -> str | None:
    """Send examples; returns what is wrong with an answer, None where nothing is."""

    @settings(
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        answer = case.call(headers=who)
        assert answer.status_code < 500, f"{answer.status_code} {answer.text}"
        known_here = [positive_data_acceptance] if operation.label in SAYS_LESS else []
        known_here += [negative_data_rejection] if is_one_value(case) else []
        case.validate_response(answer, excluded_checks=known_here)

    try:
        send()
    except Unsatisfiable:
        return None  # it takes nothing, so nothing about it can be wrong
    except (Exception, FailureGroup) as error:  # noqa: BLE001 every failure of any kind is listed
        return f"{operation.label}: {'; '.join(map(str, getattr(error, 'exceptions', (error,))))}"
    return None


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_sent_gets_an_answer_that_the_document_describes(room: Room, mode: GenerationMode) -> None:
    who = key(room.system, "operator", "auditor", "requester")
    wrong = [found for operation in operations(room) if (found := try_out(operation, mode, who)) is not None]
    assert not wrong, "\n\n".join(wrong)


def test_every_route_asks_for_a_key_and_describes_its_errors_as_problems(room: Room) -> None:
    document = room.system.http.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        assert "delete" not in methods
        for operation in methods.values():
            if "health" in operation.get("tags", ()):
                continue
            assert operation["security"] == [{"apiKey": []}], path
            for status in ("401", "403", "422", "503"):
                assert "application/problem+json" in operation["responses"][status]["content"], (path, status)


def test_without_a_key_nothing_is_answered_but_health(room: Room) -> None:
    document = room.system.http.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "security" not in operation:
                assert "health" in operation["tags"]
                continue
            called = path.replace("{operation_id}", "0" * 32)
            answer = room.system.http.request(method, called, json={})
            assert answer.status_code == 401, (path, answer.text)
