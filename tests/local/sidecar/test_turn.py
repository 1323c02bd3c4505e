"""The rules of a turn that need no database and no worker: values in, values out."""

from typing import Any

import pytest

from local.sidecar import events
from local.sidecar.dispatcher import first_batch
from local.sidecar.errors import Refused, UnusableReply
from local.sidecar.fold import fold
from local.sidecar.rerun import fork
from local.sidecar.stall import by_size, by_version
from local.sidecar.turn import Outcome, Turn, close_turn, open_turn
from local.sidecar.waits import cancelled_timers
from local.sidecar.wire import RUNNING, SUSPENDED, TERMINATED, StringValue, Timestamp, pb

NOW = 1_000


def begun() -> pb.HistoryEvent:
    return events.execution_started(NOW, "app", pb.CreateInstanceRequest(instanceId="i", name="w"))


def wait(number: int, name: str) -> pb.HistoryEvent:
    origin = pb.TimerOriginExternalEvent(name=name)
    return pb.HistoryEvent(eventId=number, timerCreated=pb.TimerCreatedEvent(externalEvent=origin))


def task(number: int) -> pb.HistoryEvent:
    return pb.HistoryEvent(eventId=number, taskScheduled=pb.TaskScheduledEvent(name="a"))


def did(number: int) -> pb.HistoryEvent:
    return pb.HistoryEvent(eventId=-1, taskCompleted=pb.TaskCompletedEvent(taskScheduledId=number))


def said(name: str) -> pb.HistoryEvent:
    return events.raised(NOW, pb.RaiseEventRequest(name=name))


def fired(number: int) -> pb.HistoryEvent:
    return events.timer_fired(NOW, number, Timestamp())


def reply(*actions: pb.WorkflowAction) -> pb.WorkflowResponse:
    return pb.WorkflowResponse(instanceId="i", actions=actions)


def schedule(number: int) -> pb.WorkflowAction:
    return pb.WorkflowAction(id=number, scheduleTask=pb.ScheduleTaskAction(name="a"))


def complete(status: Any, number: int = 9) -> pb.WorkflowAction:
    return pb.WorkflowAction(id=number, completeWorkflow=pb.CompleteWorkflowAction(workflowStatus=status))


def closed(past: list[Any], new: list[Any], *actions: pb.WorkflowAction) -> Outcome:
    outcome = close_turn(open_turn("i", past, new, NOW), reply(*actions), NOW, "app")
    assert isinstance(outcome, Outcome)
    return outcome


def kinds(history: Any) -> list[str]:
    return [event.WhichOneof("eventType") for event in history]


@pytest.mark.parametrize(
    ("past", "new", "cancelled"),
    [
        pytest.param([wait(1, "a")], [said("A")], (1,), id="an event answers the wait of its name in any case"),
        pytest.param([wait(1, "a")], [said("b")], (), id="another name answers nothing"),
        pytest.param([wait(1, "a"), wait(2, "a")], [said("a")], (1,), id="the oldest wait is answered first"),
        pytest.param([wait(1, "a"), said("a"), wait(2, "a")], [said("a")], (2,), id="an answered wait is out"),
        pytest.param([wait(1, "a"), fired(1), wait(2, "a")], [said("a")], (2,), id="a timed-out wait is out"),
        pytest.param([said("a"), wait(1, "a")], [said("a")], (1,), id="an earlier event answers no later wait"),
    ],
)
def test_which_timers_an_event_cancels(past: Any, new: Any, cancelled: Any) -> None:
    assert cancelled_timers(past, new) == cancelled


@pytest.mark.parametrize(
    ("past", "inbox", "expected"),
    [
        pytest.param([begun(), task(1), did(1)], [did(1)], [], id="a second result"),
        pytest.param([begun(), task(1)], [did(1), did(1)], ["taskCompleted"], id="twice in one inbox"),
        pytest.param([begun()], [begun()], [], id="a second start"),
        pytest.param([begun()], [said("a"), said("a")], ["eventRaised", "eventRaised"], id="two equal events are two"),
    ],
)
def test_what_resolves_a_second_time_is_left_out(past: Any, inbox: Any, expected: list[str]) -> None:
    assert kinds(open_turn("i", past, inbox, NOW).new) == ["workflowStarted", *expected]


def test_a_result_of_an_earlier_generation_is_dropped_from_history() -> None:
    assert kinds(closed([begun()], [did(7)], schedule(1)).history) == ["workflowStarted", "taskScheduled"]


def test_a_terminate_that_the_worker_overlooked_is_enforced() -> None:
    order = events.terminated(NOW, StringValue(value='"x"'), recurse=True)
    outcome = closed([begun()], [order], schedule(1))
    assert outcome.status == TERMINATED
    assert not outcome.activities
    assert outcome.history[-1].executionCompleted.result.value == '"x"'


def test_a_terminate_is_not_lost_to_continue_as_new() -> None:
    order = events.terminated(NOW, None, recurse=True)
    outcome = closed([begun()], [order], complete(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW))
    assert outcome.status == TERMINATED


def test_continue_as_new_is_the_next_turn_at_once() -> None:
    again = close_turn(
        open_turn("i", [], [begun()], NOW),
        reply(complete(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)),
        NOW,
        "app",
    )
    assert isinstance(again, Turn)
    assert (again.continued, kinds(again.past), kinds(again.new)) == (True, [], ["workflowStarted", "executionStarted"])


def test_the_first_completion_of_a_turn_wins() -> None:
    ends = complete(pb.ORCHESTRATION_STATUS_COMPLETED), complete(pb.ORCHESTRATION_STATUS_FAILED)
    assert closed([], [begun()], *ends).status == pb.ORCHESTRATION_STATUS_COMPLETED


def test_an_answer_may_repeat_a_committed_action() -> None:
    outcome = closed([begun(), wait(1, "a")], [said("a")], schedule(1))
    assert kinds(outcome.history) == ["workflowStarted", "eventRaised", "taskScheduled"]
    assert kinds(outcome.activities) == ["taskScheduled"]


def test_a_repeated_activity_that_has_its_result_is_not_run_again() -> None:
    outcome = closed([begun(), task(1), did(1)], [said("a")], schedule(1))
    assert (kinds(outcome.history)[-1], outcome.activities) == ("taskScheduled", [])


def stamped(past: list[Any], version: pb.WorkflowVersion) -> pb.WorkflowVersion:
    response = pb.WorkflowResponse(instanceId="i", version=version)
    outcome = close_turn(open_turn("i", past, [said("a")], NOW), response, NOW, "app")
    assert isinstance(outcome, Outcome)
    return outcome.history[0].workflowStarted.version


def test_a_turn_notes_its_version_and_the_patches_that_are_new() -> None:
    first = stamped([begun()], pb.WorkflowVersion(patches=["p"]))
    past = [events.turn_started(NOW), begun()]
    past[0].workflowStarted.version.CopyFrom(first)
    assert list(stamped(past, pb.WorkflowVersion(patches=["p", "q"])).patches) == ["q"]
    assert stamped([begun()], pb.WorkflowVersion(name="v1")).name == "v1"


def test_beside_patches_a_turn_loses_the_name_of_its_version() -> None:
    """So does the runtime: don't use both in one workflow."""
    noted = stamped([begun()], pb.WorkflowVersion(name="v1", patches=["p"]))
    assert (noted.name, list(noted.patches)) == ("", ["p"])


def test_a_generation_that_ends_is_not_stalled_for_a_lost_patch() -> None:
    past = [events.turn_started(NOW), begun()]
    past[0].workflowStarted.version.patches.append("p")
    turn = open_turn("i", past, [said("a")], NOW)
    assert by_version(turn, reply(schedule(1)), NOW)
    assert by_version(turn, reply(complete(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)), NOW) is None


def test_what_is_stalled_for_its_size_keeps_its_custom_status() -> None:
    large = pb.HistoryEvent(eventRaised=pb.EventRaisedEvent(name="a", input=StringValue(value="x" * 3_990_000)))
    outcome = by_size(open_turn("i", [begun()], [large], NOW), "here", NOW)
    assert outcome
    assert (outcome.custom_status, kinds(outcome.history)) == ("here", ["executionStalled"])


def test_an_unknown_action_is_unusable() -> None:
    with pytest.raises(UnusableReply, match="doesn't know the action 'sendEvent'"):
        closed([begun()], [said("a")], pb.WorkflowAction(id=1, sendEvent=pb.SendEventAction(name="x")))


def test_a_turn_takes_one_fired_timer_at_most() -> None:
    inbox = list(enumerate([said("a"), fired(1), said("b"), fired(2), said("c")]))
    assert [place for place, _ in first_batch(inbox)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (events.suspended(NOW, StringValue()), SUSPENDED),
        (events.resumed(NOW, StringValue()), RUNNING),
    ],
)
def test_the_last_order_makes_the_status(last: Any, status: int) -> None:
    history = [begun(), events.resumed(NOW, StringValue()), events.suspended(NOW, StringValue()), last]
    assert fold(history).status == status


def test_a_rerun_sets_a_timer_again_that_had_fired() -> None:
    """So does the runtime: its fork takes no notice of timerFired."""
    history = [begun(), wait(1, "a"), fired(1), task(2), did(2)]
    request = pb.RerunWorkflowFromEventRequest(sourceInstanceID="i", newInstanceID="j", eventID=2)
    kept, again = fork(history, request, NOW)
    assert (kinds(kept), kinds(again)) == (["executionStarted", "timerFired"], ["timerCreated", "taskScheduled"])


@pytest.mark.parametrize(
    ("event", "more", "sentence"),
    [
        (1, {"overwriteInput": True}, "cannot write input to timer event '1'"),
        (1, {"newChildWorkflowInstanceID": "c"}, "cannot set new child workflow instance ID on timer event '1'"),
        (2, {"newChildWorkflowInstanceID": "c"}, "cannot set new child workflow instance ID on activity event '2'"),
        (7, {}, "does not have history event with ID '7'"),
    ],
)
def test_a_rerun_refuses_what_makes_no_sense(event: int, more: Any, sentence: str) -> None:
    request = pb.RerunWorkflowFromEventRequest(sourceInstanceID="i", newInstanceID="j", eventID=event, **more)
    with pytest.raises(Refused) as refused:
        fork([begun(), wait(1, "a"), task(2)], request, NOW)
    assert refused.value.text == sentence
