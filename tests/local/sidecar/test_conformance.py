"""The table of observed behaviour, a test a row: the same on the real runtime (COUNTERSIGN_TEST_SIDECAR=HOST:PORT)."""

import datetime as dt
import json
from typing import Any

import pytest

from local.sidecar.wire import pb
from tests.local.sidecar.hand import refused

LONG = {"t": 60}


def output(state: Any) -> Any:
    return json.loads(state.serialized_output)


# schedule


def test_schedule_returns_once_the_workflow_has_started(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    assert house.status(instance) == "RUNNING"
    assert house.state(instance).name == house.cast.name("loop")


def test_schedule_refuses_the_id_of_an_active_instance(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    assert refused(lambda: house.schedule("loop", LONG, instance)) == (
        "ALREADY_EXISTS",
        (
            "failed to create workflow instance: rpc error: code = AlreadyExists desc = "
            f"an active workflow with ID '{instance}' already exists"
        ),
    )


def test_schedule_on_an_ended_id_wipes_the_old_history_silently(house: Any) -> None:
    instance = house.schedule("nothing")
    before = house.finish(instance)
    house.schedule("echo", None, instance)
    assert house.status(instance) == "RUNNING"
    assert house.state(instance).created_at > before.created_at
    assert house.kinds(instance) == ["workflowStarted", "executionStarted", "timerCreated"]


def later(seconds: float = 60) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def test_a_start_for_later_is_pending_without_name_or_creation_time(house: Any) -> None:
    instance = house.schedule("echo", start_at=later())
    state = house.state(instance)
    assert (state.runtime_status.name, state.name, state.created_at.year) == ("PENDING", "", 1)


def test_a_start_for_later_starts_by_itself(house: Any) -> None:
    instance = house.schedule("nothing", start_at=later(0.3))
    assert house.finish(instance).runtime_status.name == "COMPLETED"


def test_an_event_starts_at_once_what_was_scheduled_for_later(house: Any) -> None:
    instance = house.schedule("echo", start_at=later())
    house.raise_event(instance, "say", {"a": 1})
    assert output(house.finish(instance)) == {"got": {"a": 1}}


def test_terminate_runs_the_first_turn_of_what_was_scheduled_for_later(house: Any) -> None:
    waits, ends = house.schedule("echo", start_at=later()), house.schedule("nothing", start_at=later())
    house.client.terminate_workflow(waits)
    house.client.terminate_workflow(ends)
    assert (house.status(waits), house.status(ends)) == ("TERMINATED", "COMPLETED")


def test_an_unregistered_workflow_fails_at_once(house: Any) -> None:
    instance = house.client.schedule_new_workflow(house.cast.name("stranger"), instance_id=house.new_id())
    state = house.finish(instance)
    assert state.runtime_status.name == "FAILED"
    assert state.failure_details.error_type == "OrchestratorNotRegisteredError"


# events


def test_the_state_of_an_unknown_instance_is_none(house: Any) -> None:
    assert house.state(house.new_id()) is None


def test_raise_refuses_an_unknown_id(house: Any) -> None:
    assert refused(lambda: house.raise_event(house.new_id(), "say", {"a": 1})) == (
        "UNKNOWN",
        "no such instance exists",
    )


def test_raise_on_an_ended_instance_is_accepted_and_dropped(house: Any) -> None:
    instance = house.schedule("nothing")
    house.finish(instance)
    before = house.history(instance)
    house.raise_event(instance, "say", {"a": 1})
    assert house.history(instance) == before


def test_two_raises_are_two_events_in_their_order(house: Any) -> None:
    instance = house.schedule("two")
    house.raise_event(instance, "say", {"a": 1})
    house.raise_event(instance, "say", {"a": 1})
    assert output(house.finish(instance)) == [{"a": 1}, {"a": 1}]


def test_an_event_before_its_wait_is_kept_for_it(house: Any) -> None:
    instance = house.schedule("order", LONG, start_at=later(0.5))
    house.raise_event(instance, "approval_decision", {"approved": True})
    assert output(house.finish(instance))["d"] == {"approved": True}


def test_event_names_ignore_case_and_history_keeps_the_spelling(house: Any) -> None:
    instance = house.schedule("echo")
    house.raise_event(instance, "SaY", {"a": 1})
    assert output(house.finish(instance)) == {"got": {"a": 1}}
    raised = [e.eventRaised.name for e in house.history(instance) if e.HasField("eventRaised")]
    assert raised == ["SaY"]


@pytest.mark.parametrize("data", [False, 0, "", [], {}])
def test_falsy_data_arrives_as_none(house: Any, data: Any) -> None:
    instance = house.schedule("echo")
    house.raise_event(instance, "say", data)
    assert output(house.finish(instance)) == {"got": None}


# terminate, pause, resume


def test_terminate_waits_for_the_end_and_keeps_the_output(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    house.client.terminate_workflow(instance, output="stop")
    state = house.state(instance)
    assert (state.runtime_status.name, state.serialized_output) == ("TERMINATED", '"stop"')


def test_terminate_reaches_the_children(house: Any, poll: Any) -> None:
    instance = house.schedule("parent", LONG)
    poll(lambda: house.status(f"{instance}-child") == "RUNNING")
    house.client.terminate_workflow(instance)
    poll(lambda: house.status(f"{instance}-child") == "TERMINATED")


def test_terminate_lets_activities_in_flight_go_on(house: Any, poll: Any) -> None:
    instance = house.new_id()
    house.schedule("busy", {"s": 0.2, "id": instance}, instance)
    house.client.terminate_workflow(instance)
    poll(lambda: instance in house.cast.runs)
    assert house.status(instance) == "TERMINATED"


def test_terminate_refuses_an_unknown_id(house: Any) -> None:
    assert refused(lambda: house.client.terminate_workflow(house.new_id())) == (
        "UNKNOWN",
        "failed to submit termination request: no such instance exists",
    )


def test_pause_waits_until_suspended(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    house.client.pause_workflow(instance)
    assert house.status(instance) == "SUSPENDED"


@pytest.mark.parametrize("call", ["pause_workflow", "resume_workflow"])
def test_pause_and_resume_refuse_an_unknown_id(house: Any, call: Any) -> None:
    assert refused(lambda: getattr(house.client, call)(house.new_id())) == ("UNKNOWN", "no such instance exists")


@pytest.mark.parametrize("call", ["pause_workflow", "resume_workflow", "terminate_workflow"])
def test_an_ended_instance_takes_orders_and_stays_as_it_is(house: Any, call: Any) -> None:
    instance = house.schedule("nothing")
    house.finish(instance)
    before = house.history(instance)
    getattr(house.client, call)(instance)
    assert house.history(instance) == before
    assert house.status(instance) == "COMPLETED"


def test_while_suspended_events_and_timers_are_kept_and_the_clock_goes_on(house: Any, poll: Any) -> None:
    event, timer = house.schedule("loop", LONG), house.schedule("loop", {"t": 0.4})
    for instance in (event, timer):
        house.client.pause_workflow(instance)
    house.raise_event(event, "approval_decision", {"ok": True})
    poll(lambda: "timerFired" in house.kinds(timer))
    assert (house.status(event), house.status(timer)) == ("SUSPENDED", "SUSPENDED")
    for instance in (event, timer):
        house.client.resume_workflow(instance)
    assert output(house.finish(event)) == {"status": "ok", "seen": 1}
    assert output(house.finish(timer)) == {"status": "timeout", "seen": 0}


def test_what_was_paused_before_its_start_takes_its_events_at_the_resume(house: Any) -> None:
    """The SDK repeats the first turn's actions until then, and the history keeps each repetition."""
    instance = house.schedule("two", start_at=later())
    house.client.pause_workflow(instance)
    for n in range(2):
        house.raise_event(instance, "say", {"n": n})
    assert house.status(instance) == "SUSPENDED"
    house.client.resume_workflow(instance)
    assert output(house.finish(instance)) == [{"n": 0}, {"n": 1}]


def test_resume_of_what_runs_destroys_it(house: Any) -> None:
    """Trap: the application must read the state first."""
    instance = house.schedule("loop", LONG)
    house.client.resume_workflow(instance)
    state = house.finish(instance)
    assert state.runtime_status.name == "FAILED"
    assert state.failure_details.error_type == "WorkflowStateError"
    assert state.failure_details.message == "Don't know how to handle event of type 'executionResumed'"


# purge


def test_purge_refuses_what_runs(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    assert refused(lambda: house.client.purge_workflow(instance)) == (
        "UNKNOWN",
        "failed to purge workflow state: orchestration has not yet completed",
    )


def test_purge_refuses_an_unknown_id(house: Any) -> None:
    assert refused(lambda: house.client.purge_workflow(house.new_id())) == (
        "UNKNOWN",
        "failed to purge workflow state: failed to fetch workflow state: no such instance exists",
    )


def test_purge_takes_the_children_along(house: Any, poll: Any) -> None:
    instance = house.schedule("parent", LONG)
    poll(lambda: house.status(f"{instance}-child") == "RUNNING")
    assert refused(lambda: house.client.purge_workflow(instance))[0] == "UNKNOWN"
    house.client.terminate_workflow(instance)
    poll(lambda: house.status(f"{instance}-child") == "TERMINATED")
    answer = house.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance, recursive=True))
    assert answer.deletedInstanceCount == 2
    assert (house.state(instance), house.state(f"{instance}-child")) == (None, None)


def test_purge_refuses_while_a_child_is_open(house: Any, poll: Any) -> None:
    instance = house.schedule("parent", LONG)
    poll(lambda: house.status(f"{instance}-child") == "RUNNING")
    house.stub.TerminateInstance(pb.TerminateRequest(instanceId=instance, recursive=False), timeout=10)
    code, text = refused(lambda: house.client.purge_workflow(instance))
    assert (code, text.startswith("failed to purge workflow state: "), text.endswith("has not yet completed")) == (
        "UNKNOWN",
        True,
        True,
    )


def test_a_forced_purge_takes_what_runs(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    answer = house.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance, recursive=True, force=True))
    assert (answer.deletedInstanceCount, house.state(instance)) == (1, None)


# history, list, rerun


def test_the_history_of_an_unknown_instance_is_not_found(house: Any) -> None:
    instance = house.new_id()
    assert refused(lambda: house.history(instance)) == ("NOT_FOUND", f"workflow instance '{instance}' not found")


def test_list_gives_ids_in_creation_order_by_page(house: Any) -> None:
    made = [house.schedule("echo") for _ in range(5)]
    pages, token = [], None
    while True:
        answer = house.stub.ListInstanceIDs(pb.ListInstanceIDsRequest(pageSize=3, continuationToken=token))
        pages.append(list(answer.instanceIds))
        token = answer.continuationToken
        if not token:
            break
    assert all(len(page) == 3 for page in pages[:-1])
    assert [name for page in pages for name in page if name in made] == made


def test_rerun_refuses_what_runs(house: Any) -> None:
    instance = house.schedule("loop", LONG)
    assert refused(lambda: house.client.rerun_workflow_from_event(instance, 1)) == (
        "INVALID_ARGUMENT",
        f"'{instance}' is not in a terminal state",
    )


def test_rerun_refuses_an_unknown_id(house: Any) -> None:
    instance = house.new_id()
    assert refused(lambda: house.client.rerun_workflow_from_event(instance, 1)) == (
        "NOT_FOUND",
        f"workflow instance does not exist with ID '{instance}'",
    )


def test_rerun_refuses_an_event_that_is_not_there(house: Any) -> None:
    instance = house.schedule("nothing")
    house.finish(instance)
    assert refused(lambda: house.client.rerun_workflow_from_event(instance, 0)) == (
        "NOT_FOUND",
        "does not have history event with ID '0'",
    )


def test_rerun_keeps_a_timers_fire_time(house: Any) -> None:
    instance = house.schedule("loop", {"t": 0.3})
    house.finish(instance)
    again = house.client.rerun_workflow_from_event(instance, 1, new_instance_id=house.new_id())
    house.finish(again)
    first, second = (
        next(e.timerCreated.fireAt for e in house.history(one) if e.HasField("timerCreated"))
        for one in (instance, again)
    )
    assert first == second


# what the SDK promises


def test_a_wait_with_a_deadline_makes_one_timer_and_raises_at_it(house: Any) -> None:
    instance = house.schedule("loop", {"t": 0.2})
    assert output(house.finish(instance)) == {"status": "timeout", "seen": 0}
    assert house.kinds(instance).count("timerCreated") == 1


def test_when_any_makes_two_timers_and_the_loser_stays(house: Any) -> None:
    instance = house.schedule("seed")
    house.raise_event(instance, "approval_decision", {"approved": False})
    house.finish(instance)
    assert house.kinds(instance).count("timerCreated") == 2
    assert "timerFired" not in house.kinds(instance)


def test_every_turn_opens_with_workflow_started_and_naive_utc(house: Any) -> None:
    instance = house.schedule("nothing")
    assert output(house.finish(instance)) == "None"
    assert house.kinds(instance)[0] == "workflowStarted"


def test_a_non_retryable_error_stops_a_retry_policy(house: Any) -> None:
    other = house.new_id()
    instance = house.schedule("failing", {"what": "hopeless", "attempts": 5, "id": other})
    assert house.finish(instance).runtime_status.name == "FAILED"
    assert house.cast.runs.count(other) == 1


def test_async_activities_run_side_by_side(house: Any) -> None:
    instance = house.schedule("fan", {"n": 20})
    assert output(house.finish(instance)) == list(range(20))


def test_continue_as_new_carries_unread_events_over(house: Any) -> None:
    instance = house.schedule("hoarder", 0)
    for n in range(3):
        house.raise_event(instance, "more", {"n": n})
    assert output(house.finish(instance)) == {"n": 2}


def test_a_grandchild_ends_with_its_family(house: Any, poll: Any) -> None:
    instance = house.schedule("family", LONG)
    grandchild = f"{instance}:0001-child"
    poll(lambda: house.status(grandchild) == "RUNNING")
    house.client.terminate_workflow(instance)
    poll(lambda: house.status(grandchild) == "TERMINATED")
    answer = house.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance, recursive=True))
    assert answer.deletedInstanceCount == 3
