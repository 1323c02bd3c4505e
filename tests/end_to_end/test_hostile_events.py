"""One event, or a flood of them, neither ends a waiting request nor keeps it from its decision."""

import os
import time
from collections.abc import Iterator

import grpc
import pytest
from dapr.ext.workflow._durabletask.internal import protos
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

from records import audit
from tests.end_to_end.system import Order, System, eventually
from tests.hostile import PAYLOADS, fuzzed

FUZZED = int(os.environ.get("COUNTERSIGN_TEST_FUZZED", "600"))
"""Payloads; `make torture` sends 10,000."""

FLOOD = int(os.environ.get("COUNTERSIGN_TEST_FLOOD", "1000"))
"""Events of another name; `make torture` sends 5,000."""

LONGEST = 256 * 1024


class Port:
    """Whoever reaches the sidecar's port: raises any text as an event."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.stub = TaskHubSidecarServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def raise_text(self, instance_id: str, text: str) -> None:
        self.stub.RaiseEvent(self._request(instance_id, text))

    def raise_all(self, instance_id: str, texts: list[str], name: str = "approval_decision") -> None:
        for call in [self.stub.RaiseEvent.future(self._request(instance_id, text, name)) for text in texts]:
            call.result()

    @staticmethod
    def _request(instance_id: str, text: str, name: str = "approval_decision") -> protos.RaiseEventRequest:
        return protos.RaiseEventRequest(instanceId=instance_id, name=name, input=StringValue(value=text))


@pytest.fixture
def port(system: System) -> Iterator[Port]:
    found = Port(system.sidecar)
    yield found
    found.channel.close()


def refused(order: Order) -> int:
    """Return how many events the audit counts as refused."""
    entries = order.system.records(lambda connection: audit.of_instance(connection, order.instance_id, limit=20_000))
    return sum(entry.data["count"] for entry in entries if entry.action == "request.refused")


def test_no_hostile_payload_ends_a_request_and_the_click_after_them_counts(system: System, port: Port) -> None:
    order = system.order("hostile")
    order.card()
    for payload in PAYLOADS:
        port.raise_text(order.instance_id, payload)
    eventually(lambda: refused(order) == len(PAYLOADS))
    assert order.status() == "RUNNING"
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}


@pytest.mark.timeout(600)
def test_no_fuzzed_payload_ends_a_request(system: System, port: Port) -> None:
    order = system.order("fuzzed")
    order.card()
    payloads = fuzzed(FUZZED, LONGEST)
    for start in range(0, len(payloads), 10):
        port.raise_all(order.instance_id, payloads[start : start + 10])
    eventually(lambda: refused(order) == len(payloads), seconds=60)
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}


@pytest.mark.timeout(600)  # a real engine takes a flood at one instance at some tens of events a second
@pytest.mark.parametrize(("name", "count"), [("approval_decision", 5000), ("another_event", FLOOD)])
def test_thousands_of_tiny_events_do_not_keep_the_managers_click_waiting(
    system: System, port: Port, name: str, count: int
) -> None:
    order = system.order(f"flooded-{name[:7]}")
    order.card()
    for _ in range(count // 100):
        port.raise_all(order.instance_id, ["{}"] * 50 + ['{"approved": true}'] * 50, name)
    clicked = time.monotonic()
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    assert time.monotonic() - clicked < 10
    history = port.stub.GetInstanceHistory(protos.GetInstanceHistoryRequest(instanceId=order.instance_id))
    assert history.ByteSize() < 1_000_000
    assert refused(order) == count
