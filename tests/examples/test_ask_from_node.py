"""`examples/ask-from-node` asks by HTTP, and believes a signed webhook alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.end_to_end.system import REQUESTER, ROOT, Order, System
from tests.torture.programs import free_port

NODE = shutil.which("node")
SAMPLE = ROOT / "examples/ask-from-node/refund.mjs"
POLICY = """
version: 1
channel: approvals
currency: EUR
groups: {managers: managers}
rules:
  - {name: refunds, when: {kind: refund}, approve: [{group: managers}], within: 1 day}
"""

pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def settings(port: int) -> dict[str, Any]:
    return {"policy": POLICY, "callback_hosts": f"127.0.0.1:{port}"}


@contextmanager
def refunding(system: System, port: int, order: str) -> "Iterator[tuple[subprocess.Popen[str], Order]]":
    """Run the sample until it waits; give it with its request."""
    assert NODE is not None
    key = system.token(REQUESTER, "requests:ask")
    environment = os.environ | {"COUNTERSIGN_URL": system.url, "COUNTERSIGN_API_KEY": key}
    with subprocess.Popen(
        [NODE, SAMPLE, str(port), order, "250.00"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        request_id, _, rest = said(process).partition(" ")
        assert rest == "waits for a human yes"
        request = Order(system, request_id, request_id)
        try:
            yield process, request
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_service_in_node_hears_a_yes_and_refunds(system: System, port: int) -> None:
    with refunding(system, port, "1") as (process, request):
        request.click("U0MANAGER")
        assert said(process).startswith("refunded 250.00 EUR for order 1, approved by ")
    used = system.http.get(
        f"/requests/{request.id}", headers={"Authorization": f"Bearer {system.token(REQUESTER, 'requests:ask')}"}
    )
    assert used.json()["consumed_at"] is not None


def test_a_service_in_node_hears_a_no_with_its_reason(system: System, port: int) -> None:
    with refunding(system, port, "2") as (process, request):
        request.reject("U0MANAGER", "the parcel did arrive")
        assert said(process) == "rejected: the parcel did arrive"


def test_a_webhook_that_nobody_signed_is_not_believed(system: System, port: int) -> None:
    forged = {"type": "request.approved", "data": {"id": "x", "status": "approved", "decided_by": []}}
    signed = {"webhook-id": "msg_1", "webhook-timestamp": "0", "webhook-signature": "v1,AAAA"}
    with refunding(system, port, "3") as (process, request):
        for headers in ({}, signed, signed | {"webhook-timestamp": "NaN"}):
            answer = httpx.post(f"http://127.0.0.1:{port}/hooks", json=forged, headers=headers)
            assert answer.status_code == 400
        request.reject("U0MANAGER", "no")
        assert said(process) == "rejected: no", "the forged ones did nothing"
