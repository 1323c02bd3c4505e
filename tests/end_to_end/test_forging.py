"""Reaching the sidecar's port may stop a request, and never approves one: each forgery is refused and alarmed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from dapr.ext.workflow._durabletask.internal import protos
from google.protobuf.wrappers_pb2 import StringValue

from approvals.decision import Judgement, Reason, Verdict
from approvals.evidence import Counted, opened, seal_judgement, sealed_input
from approvals.machine import start
from approvals.people import Person
from approvals.request import ApprovalRequest, Route
from approvals.signing import parse_key_ring
from approvals.state import State
from records import instances
from tests.end_to_end.forging import AT_ONCE, Stranger, a_yes, complete, state_of
from tests.end_to_end.holding import MADE, held
from tests.end_to_end.system import Order, System, eventually, text_of
from tests.end_to_end.test_survives_a_stalled_instance import examined

STRANGERS = parse_key_ring("s" * 40)
MANAGER = Person(team="T0LOCAL", user="U0MANAGER")
ALLOWED = Verdict(allowed=True, reason=Reason.ALLOWED, rule="a manager")
ALARMS = {"evidence.refused", "start.refused", "request.refused"}
SETTINGS = {"parts": held}


@pytest.fixture
def stranger(system: System) -> Iterator[Stranger]:
    found = Stranger(system.sidecar)
    yield found
    found.close()


def dumped(value: Any) -> Any:
    return value.model_dump(mode="json")


def forged_vote(state: State) -> Counted:
    """Return the manager's yes as a stranger can write it: all of it but a seal of ours."""
    decision = a_yes(state, decision_id="forged")
    judgement = Judgement(verdict=ALLOWED, decision=decision, matched="group managers", name="Manager")
    now = datetime.now(UTC)
    return Counted(vote=seal_judgement(STRANGERS, judgement, state, now), at=now)


def nothing_followed(system: System, order: Order) -> None:
    """Assert that nothing was approved and nothing done, and that somebody is told of the attempt."""
    assert order.processed() == ()
    forged = {"request.approved", "request.accepted", "request.withdrawn", "effect.order_processed", "effect.sent"}
    assert not forged & set(order.actions())
    row = system.records(lambda connection: instances.get(connection, order.instance_id))
    assert row is None or row.phase != "approved"


def alarmed(order: Order) -> bool:
    return bool({"evidence.refused", "start.refused"} & set(order.actions()))


# ---- completed activities


def test_a_forged_judgement_approves_nothing_and_the_true_click_does(system: System, stranger: Stranger) -> None:
    order = system.order("judged")
    order.card()
    vote = forged_vote(state_of(system, order)).vote
    number = max(event.eventId for event in stranger.history(order.instance_id)) + 1
    MADE[-1].held.add("judge_decision")
    with stranger.completing(order.instance_id, number, {"judgements": [dumped(vote)], "dropped": 0}):
        stranger.raise_text(order.instance_id, '{"approved": true}')
        eventually(lambda: any("forged" in result for result in stranger.results(order.instance_id)))
    MADE[-1].held.clear()
    eventually(lambda: alarmed(order))
    nothing_followed(system, order)
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    assert len(order.processed()) == 1


def test_a_forged_route_that_asks_nobody_processes_nothing(system: System, stranger: Stranger) -> None:
    order_id = system.order_id("routed")
    order = Order(system, order_id)
    request = ApprovalRequest(subject=order_id, amount=2400, currency="USD", requester="requester@example.com")
    moment = datetime.now(UTC)
    free = Route(rule="free", why="It is.", policy_version="0" * 12, automatic=True)
    first = start(order.instance_id, request, free, moment, origin="door", nonce="0" * 32)
    forged = {"state": dumped(first), "evidence": dumped(opened(STRANGERS, first)), "refused": ""}
    with stranger.completing(order.instance_id, 1, forged), stranger.completing(order.instance_id, 0, forged):
        system.start("routed")
        eventually(lambda: any('"rule": "free"' in text for text in stranger.results(order.instance_id)))
    eventually(lambda: order.status() in {"FAILED", "COMPLETED"})
    eventually(lambda: alarmed(order))
    nothing_followed(system, order)


def test_a_forged_card_and_a_forged_effect_approve_nothing(system: System, stranger: Stranger) -> None:
    order = Order(system, system.order_id("posted"))
    with stranger.completing(order.instance_id, 2, {"channel": "C0", "ts": "1.1"}):
        system.start("posted")
        eventually(lambda: order.status() == "RUNNING")
    nothing_followed(system, order)


# ---- turns


def forged_calls(system: System, order: Order, stranger: Stranger) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return activities with inputs that a stranger can write, having read the order's history."""
    state = state_of(system, order)
    [asked] = stranger.scheduled(order.instance_id, "request_approval")
    genuine = asked["evidence"]
    vote = dumped(forged_vote(state))
    mine = dumped(opened(STRANGERS, state))
    again = {"instance_id": order.instance_id, "request": dumped(state.request), "run": "2026-01-01T00:00:00Z"}
    return {
        "the effect with true evidence and no vote": ("process_order", {"evidence": genuine}),
        "the effect with a vote of nobody's": ("process_order", {"evidence": genuine | {"events": [vote]}}),
        "the effect with evidence of a stranger's": ("process_order", {"evidence": mine | {"events": [vote]}}),
        "the callback": ("call_back", {"evidence": genuine | {"events": [vote]}}),
        "the record of a vote": ("record", {"evidence": genuine, "events": [vote]}),
        "a card for evidence of a stranger's": ("request_approval", {"evidence": mine}),
        "judging with evidence of a stranger's": ("judge_decision", {"evidence": mine, "at": vote["at"]}),
        "the route again": ("route_request", again),
    }


CALLS = (
    "the effect with true evidence and no vote",
    "the effect with a vote of nobody's",
    "the effect with evidence of a stranger's",
    "the callback",
    "the record of a vote",
    "a card for evidence of a stranger's",
    "judging with evidence of a stranger's",
    "the route again",
)


def test_forged_turns_that_ask_for_activities_have_no_effect(system: System, stranger: Stranger) -> None:
    for number, name in enumerate(CALLS):
        order = system.order(f"turn-{number}")
        order.card()
        stranger.schedule(*forged_calls(system, order, stranger)[name])
        eventually(lambda: alarmed(order), seconds=20)  # noqa: B023 looked at before the next one
        nothing_followed(system, order)


def test_an_instance_that_a_stranger_completes_is_not_approved(system: System, stranger: Stranger) -> None:
    system.token()

    def begin(number: int) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(system.start, [f"completed-{number}-{each}" for each in range(AT_ONCE)]))

    taken = stranger.take_a_turn(begin, "completed-", complete({"status": "completed"}))
    order = Order(system, taken.removeprefix("order-").removesuffix("-workflow"))
    eventually(lambda: order.status() == "COMPLETED")
    nothing_followed(system, order)


def test_a_true_vote_of_one_order_is_worth_nothing_in_another(system: System, stranger: Stranger) -> None:
    done = system.order("one")
    done.click("U0MANAGER")
    assert done.result() == {"status": "completed"}
    [approved] = stranger.scheduled(done.instance_id, "process_order")
    order = system.order("two")
    order.card()
    [asked] = stranger.scheduled(order.instance_id, "request_approval")
    stranger.schedule("process_order", {"evidence": asked["evidence"] | {"events": approved["evidence"]["events"]}})
    eventually(lambda: alarmed(order), seconds=20)
    nothing_followed(system, order)


def test_an_effect_that_is_asked_for_again_is_done_once(system: System, stranger: Stranger) -> None:
    done = system.order("once")
    done.click("U0MANAGER")
    assert done.result() == {"status": "completed"}
    [approved] = stranger.scheduled(done.instance_id, "process_order")
    taken = stranger.schedule("process_order", approved)
    eventually(lambda: any('"new": false' in text for text in stranger.results(taken)), seconds=20)
    assert len(done.processed()) == 1


# ---- starts


def test_a_cheap_start_for_an_order_puts_nothing_into_its_ledger(system: System, stranger: Stranger) -> None:
    order = system.order("42")
    order.card()
    subject = order.instance_id.removeprefix("order-").removesuffix("-workflow")
    cheap = {"subject": subject, "amount": "10", "currency": "USD", "requester": "other@example.com"}
    stranger.start("cheap", cheap)
    stolen = order_input(stranger, order)
    stranger.start("stolen", stolen)
    stranger.start("stolen-and-cheaper", stolen | {"amount": "10"})
    for instance_id in ("stolen", "stolen-and-cheaper"):
        eventually(lambda: ended(stranger, instance_id))  # noqa: B023 looked at before the next one
        assert "none of this app's doors" in str(ended(stranger, instance_id))
    assert order.processed() == ()
    assert order.status() == "RUNNING"


def test_a_purged_order_is_not_replaced_by_a_cheaper_one(system: System, stranger: Stranger) -> None:
    order = system.order("purged")
    order.card()
    before = state_of(system, order)
    sealed = order_input(stranger, order)
    stranger.stub.PurgeInstances(protos.PurgeInstancesRequest(instanceId=order.instance_id, force=True))
    stranger.start(order.instance_id, {**dumped(before.request), "amount": "10"})
    assert "started at a door" in str(eventually(lambda: ended(stranger, order.instance_id)))
    stranger.stub.PurgeInstances(protos.PurgeInstancesRequest(instanceId=order.instance_id))
    stranger.start(order.instance_id, sealed)  # a second run of what a door did seal
    assert "started before" in str(eventually(lambda: ended(stranger, order.instance_id)))
    assert order.actions().count("start.refused") == 2
    assert state_of(system, order).request == before.request
    nothing_followed(system, order)


def test_a_seal_of_another_installation_opens_nothing(system: System, stranger: Stranger) -> None:
    order = Order(system, system.order_id("foreign"))
    subject = order.instance_id.removeprefix("order-").removesuffix("-workflow")
    request = ApprovalRequest(subject=subject, amount=10, currency="USD", requester="requester@example.com")
    stranger.start(order.instance_id, sealed_input(STRANGERS, request, order.instance_id, "0" * 32))
    assert "none of this app's doors" in str(eventually(lambda: ended(stranger, order.instance_id)))
    assert order.actions() == ["start.refused"]
    nothing_followed(system, order)


def test_a_workflow_may_ask_and_its_approval_has_no_effect_of_ours(system: System, stranger: Stranger) -> None:
    asked = {"subject": "A loan", "amount": "2400", "currency": "USD", "requester": "requester@example.com"}
    instance_id = system.order_id("asks")
    stranger.start(instance_id, asked)
    order = Order(system, "asks", instance_id)
    order.click("U0MANAGER")
    assert order.result() == {"status": "approved"}
    assert order.processed() == ()


def test_a_workflow_asks_long_after_it_has_begun(system: System) -> None:
    """The reconciler has added its row by then, without a request."""
    instance_id = system.order_id("late")
    known = instances.Known(instance_id=instance_id, name="approval_workflow", engine_status="RUNNING", phase="unknown")
    system.records(lambda connection: instances.insert(connection, known, datetime.now(UTC)), write=True)
    asked = {"subject": "A loan", "amount": "2400", "currency": "USD", "requester": "requester@example.com"}
    started = Stranger(system.sidecar)
    started.start(instance_id, asked)
    started.close()
    order = Order(system, "late", instance_id)
    order.click("U0MANAGER")
    assert order.result() == {"status": "approved"}
    row = system.records(lambda connection: instances.get(connection, instance_id))
    assert row is not None
    assert (row.phase, row.subject, str(row.amount)) == ("approved", "A loan", "2400")


def test_the_card_and_the_doctor_say_that_a_workflow_asks_and_no_person(system: System, stranger: Stranger) -> None:
    instance_id = system.order_id("unsigned")
    asked = {"subject": "A loan", "amount": "2400", "currency": "USD", "requester": "requester@example.com"}
    stranger.start(instance_id, asked)
    order, ours = Order(system, "unsigned"), system.order("ours")
    order.instance_id = instance_id
    order.card_says("Asked by a workflow: nobody signed in to ask for it", "Asked in the name of")
    ours.card_says("Asked by")
    assert "Asked by a workflow" not in text_of(ours.card())
    assert order.actions()[:2] == ["start.unsigned", "request.asked"]
    assert ("unsigned_start", instance_id) in {(each.kind, each.instance_id) for each in examined(system)}
    assert ours.instance_id not in {each.instance_id for each in examined(system)}


def test_what_is_small_is_not_approved_unasked_for_a_workflow(system: System, stranger: Stranger) -> None:
    instance_id = system.order_id("small")
    stranger.start(
        instance_id, {"subject": "A pen", "amount": "10", "currency": "USD", "requester": "requester@example.com"}
    )
    output = eventually(lambda: ended(stranger, instance_id))
    assert (output["status"], output["reason"]) == ("rejected", "no_approvers")


# ---- the other calls


@pytest.mark.parametrize("call", ["TerminateInstance", "SuspendInstance", "PurgeInstances", "RerunWorkflowFromEvent"])
def test_what_stops_a_request_does_not_approve_it(system: System, stranger: Stranger, call: str) -> None:
    order = system.order(call.lower())
    order.card()
    requests: dict[str, Any] = {
        "TerminateInstance": protos.TerminateRequest(
            instanceId=order.instance_id, output=StringValue(value='{"status": "completed"}')
        ),
        "SuspendInstance": protos.SuspendRequest(instanceId=order.instance_id),
        "PurgeInstances": protos.PurgeInstancesRequest(instanceId=order.instance_id, force=True),
        "RerunWorkflowFromEvent": None,
    }
    if requests[call] is None:
        stranger.stub.TerminateInstance(requests["TerminateInstance"])
        eventually(lambda: order.status() == "TERMINATED")
        stranger.stub.RerunWorkflowFromEvent(
            protos.RerunWorkflowFromEventRequest(
                sourceInstanceID=order.instance_id, eventID=1, newInstanceID=f"{order.instance_id}-again"
            )
        )
    else:
        getattr(stranger.stub, call)(requests[call])
    nothing_followed(system, order)


def order_input(stranger: Stranger, order: Order) -> dict[str, Any]:
    """Return what the door started the order with, seal and all: anybody at the port can read it."""
    found = next(event for event in stranger.history(order.instance_id) if event.HasField("executionStarted"))
    read: dict[str, Any] = json.loads(found.executionStarted.input.value)
    return read


def ended(stranger: Stranger, instance_id: str) -> Any:
    """Return the output of an instance that has ended."""
    request = protos.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
    found = stranger.stub.GetInstance(request).workflowState
    return json.loads(found.output.value) if found.output.value else None
