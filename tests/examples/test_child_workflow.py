"""Another app asks by the child workflow `request_approval_workflow`: its own app-id, process and worker."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dapr.ext.workflow as wf
import pytest

from approvals.contract import ContractAnswer, ContractRequest
from local.sidecar import Sidecar
from tests.end_to_end.system import REAL_SIDECAR, ROOT, Order, System, eventually, running

pytestmark = pytest.mark.skipif(REAL_SIDECAR is not None, reason="it needs a second sidecar with an app-id of its own")

SAMPLE = ROOT / "examples/child-workflow/refund.py"
POLICY = """
version: 1
channel: approvals
currency: EUR
groups: {managers: managers}
roles: {operator: [{user: U0OPERATOR}]}
kinds:
  access: {who: {group: managers}}
  release: {fields: [{name: version, label: Version}]}
rules:
  - {name: all of it, when: {kind: [access, release]}, approve: [{group: managers}]}
  - name: refunds
    when: {kind: refund}
    approve: [{group: managers}]
    within: 1 day
  - name: quick ones
    when: {kind: quick}
    approve: [{group: managers}]
    within: 2 s
"""
REFUND = {
    "kind": "refund",
    "subject": "order 9",
    "amount": "10.00",
    "currency": "EUR",
    "requester": "requester@example.com",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, str]]:
    """Give the app, and the address of the shop's own sidecar."""
    folder = tmp_path_factory.mktemp("apps")
    (folder / "policy.yml").write_text(POLICY)
    with (
        Sidecar(folder / "both.db", apps={"shop": 0}) as sidecar,
        running(folder, sidecar=sidecar.address, policy=folder / "policy.yml") as system,
    ):
        yield system, sidecar.addresses["shop"]


def calls(ctx: wf.DaprWorkflowContext, given: Any) -> Any:
    """Call the child under the id that the test names, or under the SDK's own."""
    try:
        return (
            yield ctx.call_child_workflow(
                "request_approval_workflow", input=given["input"], instance_id=given.get("id"), app_id="countersign"
            )
        )
    except wf.TaskFailedError as error:
        return {"failed": error.details.message}


@pytest.fixture(scope="module")
def shop(both: tuple[System, str]) -> Iterator[wf.DaprWorkflowClient]:
    host, _, port = both[1].rpartition(":")
    runtime = wf.WorkflowRuntime(host=host, port=port)
    runtime.register_workflow(calls)
    runtime.start()
    client = wf.DaprWorkflowClient(host=host, port=port)
    yield client
    runtime.shutdown()


def asking(client: wf.DaprWorkflowClient, system: System, name: str, child: str | None = None, **changes: Any) -> Order:
    """Start the caller; returns its child's request."""
    client.schedule_new_workflow(calls, input={"input": REFUND | changes, "id": child}, instance_id=name)
    return Order(system, child or f"{name}:0001", child or f"{name}:0001")


def answered(client: wf.DaprWorkflowClient, name: str) -> Any:
    ended = client.wait_for_workflow_completion(name, timeout_in_seconds=30)
    return json.loads(ended.serialized_output) if ended and ended.serialized_output else None


@contextmanager
def sample(address: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"DAPR_GRPC_PORT": address.rpartition(":")[2], "DAPR_RUNTIME_HOST": "127.0.0.1"}
    with subprocess.Popen(
        [sys.executable, str(SAMPLE), *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_the_sample_in_python_waits_for_a_click_and_refunds(both: tuple[System, str]) -> None:
    system, address = both
    with sample(address, "4711", "250.00") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "refund-4711 waits for a human yes\n"
        request = Order(system, "refund-4711:0001", "refund-4711:0001")
        request.click("U0MANAGER")
        said = json.loads(process.stdout.readline())
    assert (said["status"], said["refunded"]) == ("refunded", "250.00 EUR for order 4711")
    assert len(said["by"]) == 1


def test_a_kill_of_the_caller_loses_nothing(both: tuple[System, str]) -> None:
    system, address = both
    request = Order(system, "refund-4712:0001", "refund-4712:0001")
    with sample(address, "4712", "9.00"):
        request.card()
    request.click("U0MANAGER")
    with sample(address, "4712", "9.00") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert json.loads(process.stdout.readline())["status"] == "refunded"


def test_the_answer_keeps_its_contract(both: tuple[System, str], shop: wf.DaprWorkflowClient) -> None:
    request = asking(shop, both[0], "no", child="refund-no")
    request.reject("U0MANAGER", "the parcel did arrive")
    answer = ContractAnswer.model_validate(answered(shop, "no"))
    assert (answer.contract, answer.id, answer.status, answer.approved) == (1, "refund-no", "rejected", False)
    assert (answer.reason, answer.rule, len(answer.digest)) == ("the parcel did arrive", "refunds", 64)
    (said,) = answer.decided_by
    assert (said.person, said.approved, said.stage) == ("T0LOCAL/U0MANAGER", False, 1)
    assert answer.ended_at is not None
    assert set(ContractAnswer.model_fields) == set(answered(shop, "no"))


def test_nobody_answering_is_an_end_of_its_own(both: tuple[System, str], shop: wf.DaprWorkflowClient) -> None:
    asking(shop, both[0], "late", kind="quick")
    answer = answered(shop, "late")
    assert (answer["status"], answer["approved"], answer["decided_by"]) == ("timed_out", False, [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": None}, "a currency needs an amount"),
        ({"amount": "ten"}, "amount"),
        ({"kind": "Refund!"}, "kind"),
        ({"contract": 2}, "contract"),
        ({"approver": "me"}, "approver"),
        ({"callback": "https://shop.example/"}, "callback"),
    ],
)
def test_what_is_no_request_fails_the_call_with_a_message(
    both: tuple[System, str], shop: wf.DaprWorkflowClient, changes: Any, said: str
) -> None:
    name = f"wrong-{'-'.join(changes)}-{said[:3]}"
    asking(shop, both[0], name, **changes)
    message = answered(shop, name)["failed"]
    assert "The input of request_approval_workflow is no request" in message
    assert said in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "access"}, "a workflow is none of them"),
        ({"kind": "release"}, "The field version (Version) is missing"),
        ({"kind": "release", "fields": {"version": "7", "other": "x"}}, "other"),
    ],
)
def test_a_kind_of_the_policy_holds_for_workflows_too(
    both: tuple[System, str], shop: wf.DaprWorkflowClient, changes: Any, said: str
) -> None:
    name = f"kind-{len(said)}"
    asking(shop, both[0], name, amount=None, currency="", **changes)
    answer = answered(shop, name)
    assert (answer["approved"], said in answer["reason"]) == (False, True), answer


def test_a_child_may_not_take_the_id_of_an_order(both: tuple[System, str], shop: wf.DaprWorkflowClient) -> None:
    asking(shop, both[0], "thief", child="order-77-workflow")
    answer = answered(shop, "thief")
    assert (answer["approved"], answer["ended_at"]) == (False, None)
    assert "belongs to a request" in answer["reason"]


def test_an_id_with_a_colon_works_at_every_face(both: tuple[System, str], shop: wf.DaprWorkflowClient) -> None:
    system, _ = both
    request = asking(shop, system, "colon")
    request.card()
    operator = {"Authorization": f"Bearer {system.token('operator@example.com', 'operator')}"}
    manager = {"Authorization": f"Bearer {system.token('manager@example.com', 'approver', 'requester')}"}
    assert request.id == "colon:0001"
    for path in ("", "/history", "/diagnosis"):
        assert system.http.get(f"/workflows/{request.id}{path}", headers=operator).status_code == 200
    assert system.http.get(f"/requests/{request.id}", headers=manager).json()["status"] == "waiting"
    for verb in ("pause", "resume"):
        done = system.http.post(f"/workflows/{request.id}/{verb}", json={"reason": "x"}, headers=operator)
        assert (done.status_code, done.json()["changed"]) == (200, True), done.text
    found = system.http.get("/workflows", params={"q": request.id}, headers=operator).json()["workflows"]
    assert [each["id"] for each in found] == [request.id]
    page = system.http.get(f"/workflows/{request.id}", headers={**operator, "Accept": "text/html"})
    assert page.status_code in {200, 303}
    decided = system.http.post(f"/requests/{request.id}/decision", json={"approved": True}, headers=manager)
    assert decided.json()["outcome"] == "accepted"
    assert answered(shop, "colon")["approved"] is True
    assert system.http.post(f"/workflows/{request.id}/purge", headers=operator).status_code == 200


def test_a_terminated_parent_ends_its_childs_card(both: tuple[System, str], shop: wf.DaprWorkflowClient) -> None:
    system, _ = both
    request = asking(shop, system, "parent")
    request.card()
    shop.terminate_workflow("parent")
    eventually(lambda: request.status() == "TERMINATED")
    eventually(lambda: "approval_approve" not in str(request.cards()[-1].blocks), 40)
    late = system.post(f"/requests/{request.id}/decision", {"approved": True}, by="manager@example.com")
    assert late.status_code == 409


def test_the_input_has_the_fields_of_the_docs() -> None:
    page = (ROOT / "docs/reference/child-workflow.md").read_text()
    for model in (ContractRequest, ContractAnswer):
        for name in model.model_fields:
            assert f"| `{name}` |" in page
