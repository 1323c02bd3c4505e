"""Every call of the sidecar's service, forged at every step of an order: 0 approved, 0 effects, each seen.

Runs unchanged on a real runtime (COUNTERSIGN_TEST_SIDECAR). SECURITY.md says what is left to a stranger: to stop.
"""

import contextlib
import json
import time
from collections.abc import Callable
from decimal import Decimal
from threading import Thread
from typing import Any

import grpc
import pytest
from dapr.ext.workflow._durabletask.internal import protos
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2 import DESCRIPTOR
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

from approvals.decision import Decision, Withdrawal
from approvals.people import Person
from records import audit
from tests.end_to_end.forging import Stranger, a_yes, complete, schedule, start_of, state_of
from tests.end_to_end.holding import MADE, held
from tests.end_to_end.receiving import Receiver
from tests.end_to_end.system import Order, System, eventually
from tests.end_to_end.test_forging import dumped, forged_vote, nothing_followed

MOST_TASKS = 9
"""Numbers of activities that an order may have: a stranger completes each of them."""

APPROVED = {"status": "completed", "outcome": {"approved": True}}


class Attack:
    """A stranger, and one order of theirs to forge at. `genuine` is what anybody reads in its history."""

    def __init__(self, system: System, stranger: Stranger, order: Order) -> None:
        self.system = system
        self.stub = stranger.stub
        self.stranger = stranger
        self.order = order
        self.id = order.instance_id

    @property
    def evidence(self) -> dict[str, Any]:
        """Return the order's true evidence with a yes as a stranger writes it; a made-up one before that."""
        with contextlib.suppress(ValueError, grpc.RpcError, AssertionError):
            [asked, *_] = self.stranger.scheduled(self.id, "request_approval")
            vote = dumped(forged_vote(state_of(self.system, self.order)))
            return {"evidence": asked["evidence"] | {"events": [vote]}}
        return {"evidence": {"instance_id": self.id, "run": "2026-01-01T00:00:00Z", "opening": "0", "seal": {}}}

    def call(self, name: str, request: Any) -> None:
        """Make a call; what the engine refuses has had no effect."""
        with contextlib.suppress(grpc.RpcError):
            getattr(self.stub, name)(request, timeout=1)


def start_instance(attack: Attack) -> None:
    cheap = {"subject": attack.order.id, "amount": "1", "currency": "USD", "requester": "requester@example.com"}
    for instance_id in (attack.id, f"{attack.id}-beside"):
        attack.call("StartInstance", start_of(instance_id, cheap))


def raise_event(attack: Attack) -> None:
    forged = None
    with contextlib.suppress(AssertionError):  # before it is routed there is nothing to forge a binding from
        forged = forged_vote(state_of(attack.system, attack.order))
    decision = forged.vote.judgement.decision if forged and forged.vote else None
    signed = {"decision": dumped(decision), "key_id": "k1", "mac": "0" * 64} if decision else {"approved": True}
    taken_back = {"submission": dumped(withdrawal_of(decision)), "key_id": "k1", "mac": "0" * 64} if decision else {}
    for text in ('{"approved": true}', json.dumps(signed), json.dumps(taken_back), "no JSON"):
        request = protos.RaiseEventRequest(
            instanceId=attack.id, name="approval_decision", input=StringValue(value=text)
        )
        attack.call("RaiseEvent", request)


def withdrawal_of(decision: Decision) -> Withdrawal:
    """Return the requester's withdrawal as a stranger writes it."""
    known = {name: getattr(decision, name) for name in ("binding", "through", "at")}
    return Withdrawal(id="forged-withdrawal", person=Person(team="T0LOCAL", user="U0REQUESTER"), **known)


def terminate_instance(attack: Attack) -> None:
    output = StringValue(value=json.dumps(APPROVED))
    attack.call("TerminateInstance", protos.TerminateRequest(instanceId=attack.id, output=output))


def suspend_instance(attack: Attack) -> None:
    attack.call("SuspendInstance", protos.SuspendRequest(instanceId=attack.id))


def resume_instance(attack: Attack) -> None:
    attack.call("ResumeInstance", protos.ResumeRequest(instanceId=attack.id))


def purge_instances(attack: Attack) -> None:
    """Purge with the descendants: alone and by force it ends the real sidecar if the id is unknown."""
    attack.call("PurgeInstances", protos.PurgeInstancesRequest(instanceId=attack.id, recursive=True, force=True))
    start_instance(attack)


def complete_activity_task(attack: Attack) -> None:
    vote = attack.evidence["evidence"].get("events", [{}])[0].get("vote")
    results = ({"judgements": [vote], "dropped": 0}, {"channel": "C0", "ts": "1.1"}, APPROVED, "no JSON")
    for task in range(MOST_TASKS):
        for result in results:
            text = StringValue(value=result if isinstance(result, str) else json.dumps(result))
            attack.call("CompleteActivityTask", protos.ActivityResponse(instanceId=attack.id, taskId=task, result=text))


def _turn_of(attack: Attack, call: str) -> None:
    """Complete the order's turn, whether or not one is under way: it ends approved, or asks for the effect."""
    for turn in (schedule("process_order", attack.evidence), complete(APPROVED)):
        actions = turn(protos.WorkflowRequest(instanceId=attack.id))
        attack.call(call, protos.WorkflowResponse(instanceId=attack.id, actions=actions))


def complete_orchestrator_task(attack: Attack) -> None:
    _turn_of(attack, "CompleteOrchestratorTask")


def complete_workflow_task(attack: Attack) -> None:
    _turn_of(attack, "CompleteWorkflowTask")


def get_work_items(attack: Attack) -> None:
    """Be a worker, and ask for the order's effect in the turn of another instance, which is handed out."""
    attack.stranger.schedule("process_order", attack.evidence)


def rerun_workflow_from_event(attack: Attack) -> None:
    for event in range(MOST_TASKS):
        request = protos.RerunWorkflowFromEventRequest(
            sourceInstanceID=attack.id,
            eventID=event,
            newInstanceID=f"{attack.id}-again-{event}",
            overwriteInput=True,
            input=StringValue(value=json.dumps(attack.evidence)),
        )
        attack.call("RerunWorkflowFromEvent", request)


def read(attack: Attack) -> None:
    """Make every call that reads."""
    asked = protos.GetInstanceRequest(instanceId=attack.id, getInputsAndOutputs=True)
    attack.call("Hello", Empty())
    attack.call("ListInstanceIDs", protos.ListInstanceIDsRequest(pageSize=10))
    attack.call("GetInstanceHistory", protos.GetInstanceHistoryRequest(instanceId=attack.id))
    for call in ("GetInstance", "WaitForInstanceStart", "WaitForInstanceCompletion"):
        attack.call(call, asked)


READS = (
    "Hello", "GetInstance", "WaitForInstanceStart", "WaitForInstanceCompletion", "ListInstanceIDs", "GetInstanceHistory"
)  # fmt: skip
FORGERIES: dict[str, Callable[[Attack], None]] = {
    "StartInstance": start_instance,
    "RaiseEvent": raise_event,
    "TerminateInstance": terminate_instance,
    "SuspendInstance": suspend_instance,
    "ResumeInstance": resume_instance,
    "PurgeInstances": purge_instances,
    "GetWorkItems": get_work_items,
    "CompleteActivityTask": complete_activity_task,
    "CompleteOrchestratorTask": complete_orchestrator_task,
    "CompleteWorkflowTask": complete_workflow_task,
    "RerunWorkflowFromEvent": rerun_workflow_from_event,
    **dict.fromkeys(READS, read),
}

ALARMS = {
    "StartInstance": {"start.unsigned"},
    "RaiseEvent": {"request.refused"},
    "TerminateInstance": {"workflow.found_terminated", "workflow.found_vanished"},
    "PurgeInstances": {"start.refused", "workflow.found_vanished", "workflow.found_purged"},
    "GetWorkItems": {"evidence.refused"},
}
"""What the audit of a waiting order holds after the call. The rest is refused by the engine, or changes a status."""


def test_every_call_of_the_service_is_in_the_matrix() -> None:
    [service] = DESCRIPTOR.services_by_name.values()
    assert {method.name for method in service.methods} == set(FORGERIES)


# ---- the steps of an order


@pytest.fixture
def hears() -> Receiver:
    """Return a receiver of callbacks, which takes none yet."""
    found = Receiver()
    found.answers = [503] * 1000
    return found


CALLBACKS: dict[str, str] = {}
"""The receiver's address by the app's."""


SETTINGS = {"parts": held, "reconcile_every_seconds": 0.5}


def before_the_start(system: System, name: str) -> Order:
    return Order(system, system.order_id(name))


def while_its_start_is_taken_in(system: System, name: str) -> Order:
    """Give an order that its door has sealed and not started yet."""
    Thread(target=system.start, args=(name,), daemon=True).start()
    return Order(system, system.order_id(name))


def while_its_card_is_posted(system: System, name: str) -> Order:
    return system.order(name)  # Slack is slow


def while_its_route_is_found(system: System, name: str) -> Order:
    return system.order(name)  # the activity is held


def while_it_waits(system: System, name: str) -> Order:
    order = system.order(name)
    order.card()
    return order


def while_a_decision_is_judged(system: System, name: str) -> Order:
    """Give an order with a true decision under way: of a person who may not decide, and Slack is slow to say so."""
    order = system.order(name)
    order.card()
    decision = a_yes(state_of(system, order), f"U0UNKNOWN{len(name)}")
    system.slack.fault(method="users.info", kind="slow", delay=2.0, count=1)
    order.raise_event(dumped(system.settings.keys.sign(decision)))
    return order


def while_a_decision_is_taken_in(system: System, name: str) -> Order:
    """Give an order whose true rejection is acknowledged, and not raised yet."""
    order = while_it_waits(system, name)
    order.reject("U0MANAGER", "Too dear")
    assert len(order.decisions()) == 1
    return order


def while_a_decision_is_recorded(system: System, name: str) -> Order:
    """Give an order whose true rejection is judged and not recorded yet: the activity is held."""
    order = while_it_waits(system, name)
    order.reject("U0MANAGER", "Too dear")
    return order


def while_its_effect_is_done(system: System, name: str) -> Order:
    """Give an order that is truly approved, and whose effect is held."""
    order = while_it_waits(system, name)
    order.click("U0MANAGER")
    eventually(lambda: "request.approved" in order.actions())
    return order


def while_its_end_is_announced(system: System, name: str) -> Order:
    """Give an order that is truly approved, and whose card does not say so yet: Slack is slow."""
    return while_its_effect_is_done(system, name)


def while_its_callback_is_sent(system: System, name: str) -> Order:
    """Give an order that is truly approved, and whose callback is not taken yet."""
    order = Order(system, system.order_id(name))
    asked = {"kind": "order", "subject": order.id, "amount": "2400", "currency": "USD"}
    answer = system.post("/requests", asked | {"callback": CALLBACKS[system.url]})
    order.instance_id = answer.json()["id"]
    order.click("U0MANAGER")
    eventually(lambda: "request.approved" in order.actions())
    return order


def after_it_was_approved(system: System, name: str) -> Order:
    order = while_it_waits(system, name)
    order.click("U0MANAGER")
    assert order.output()["status"] == "completed"
    return order


def after_it_was_rejected(system: System, name: str) -> Order:
    order = system.order(name)
    order.card()
    order.reject("U0MANAGER", "Too dear")
    assert order.output()["status"] == "rejected"
    return order


def after_it_was_terminated(system: System, name: str) -> Order:
    order = while_it_waits(system, name)
    system.engine.terminate_workflow(order.instance_id)
    return order


STEPS = (
    before_the_start,
    while_its_start_is_taken_in,
    while_its_route_is_found,
    while_its_card_is_posted,
    while_it_waits,
    while_a_decision_is_taken_in,
    while_a_decision_is_judged,
    while_a_decision_is_recorded,
    while_its_effect_is_done,
    while_its_end_is_announced,
    while_its_callback_is_sent,
    after_it_was_approved,
    after_it_was_rejected,
    after_it_was_terminated,
)


HELD: dict[Callable[[System, str], Order], set[str]] = {
    while_its_start_is_taken_in: {"schedule"},
    while_its_route_is_found: {"route_request"},
    while_a_decision_is_taken_in: {"raise_event"},
    while_a_decision_is_recorded: {"record"},
    while_its_effect_is_done: {"process_order"},
}
"""What is held while a step is forged at."""

SLOW: dict[Callable[[System, str], Order], str] = {
    while_its_card_is_posted: "chat.postMessage",
    while_its_end_is_announced: "chat.update",
}
"""What Slack is slow at meanwhile."""

REJECTED = (while_a_decision_is_taken_in, while_a_decision_is_recorded, after_it_was_rejected)
APPROVED_TRULY = (
    while_its_effect_is_done, while_its_end_is_announced, while_its_callback_is_sent, after_it_was_approved
)  # fmt: skip
"""The steps in which a person has truly decided: that counts once, and nothing beside it."""

NOT_YET: dict[Callable[[System, str], Order], set[str]] = {
    while_its_start_is_taken_in: {"request.asked"},
    while_its_route_is_found: {"request.asked"},
    while_a_decision_is_taken_in: {"request.accepted"},
    while_a_decision_is_recorded: {"request.accepted"},
    while_its_effect_is_done: {"effect.order_processed"},
}
"""What shows that a step is over."""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_no_forged_call_at_any_step_approves_or_does_anything(
    alone: Callable[..., System], hears: Receiver, step: Callable[[System, str], Order]
) -> None:
    system = alone(callback_hosts=hears.host)
    CALLBACKS[system.url] = hears.url
    with contextlib.closing(Stranger(system.sidecar)) as stranger:
        _attacked(system, stranger, hears, step)


def _attacked(system: System, stranger: Stranger, hears: Receiver, step: Callable[[System, str], Order]) -> None:
    MADE[-1].held |= HELD.get(step, set())
    if step in SLOW:
        system.slack.fault(method=SLOW[step], kind="slow", delay=1.5, count=None)
    wanted = {name: forge for name, forge in FORGERIES.items() if name not in READS[1:]}
    orders = {name: step(system, name.lower()) for name in wanted}
    assert not any(done & set(order.actions()) for done in [NOT_YET.get(step, set())] for order in orders.values())
    for name, forge in wanted.items():
        forge(Attack(system, stranger, orders[name]))
    MADE[-1].held.clear()
    system.slack.clear_faults()
    time.sleep(1.0)  # what would follow follows at once
    for name, order in orders.items():
        if step is while_it_waits and name in ALARMS:
            seen = ALARMS[name]
            eventually(lambda: seen & _seen(order), 20)  # noqa: B023 looked at before the next one
        if step in APPROVED_TRULY:
            assert order.actions().count("request.approved") == 1
            assert order.actions().count("effect.order_processed") <= 1  # the true one, unless the order was stopped
        elif step in REJECTED:
            assert order.actions().count("request.accepted") <= 1  # the true rejection, unless the order was stopped
            assert "request.approved" not in order.actions()
        else:
            nothing_followed(system, order)
    # Nor does anything follow of what was started beside them or run again.
    done = [entry for entry in _all_entries(system) if entry.action.startswith("effect.")]
    ours = {order.instance_id for order in orders.values()} if step in APPROVED_TRULY else set()
    assert [entry for entry in done if entry.instance_id not in ours] == []
    assert all(row.amount == Decimal(2400) for order in orders.values() for row in order.processed())
    told = {(headers["webhook-id"], json.loads(body)["type"]) for headers, body in hears.got}
    assert {type_ for _, type_ in told} <= {"request.approved"}
    assert len(told) == (len(orders) if step is while_its_callback_is_sent else 0)


def _seen(order: Order) -> set[str]:
    """Return the audit's actions for an order, and for what was started beside it."""
    beside = Order(order.system, order.id, f"{order.instance_id}-beside")
    return {*order.actions(), *beside.actions()}


def _all_entries(system: System) -> list[Any]:
    return list(system.records(lambda connection: audit.page(connection, limit=1000)))
