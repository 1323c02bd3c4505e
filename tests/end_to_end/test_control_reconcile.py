"""What happens behind the app's back is found, said and shown: other starters, other tools, lost ends."""

from tests.end_to_end.control_room import Room, ok
from tests.end_to_end.system import eventually

SETTINGS = "reconciled"


def buttons(room: Room, instance_id: str) -> bool:
    order_id = instance_id.removeprefix("order-").removesuffix("-workflow")
    return "approval_approve" in str(room.card(order_id).blocks)


def audited(room: Room, instance_id: str) -> list[str]:
    return [each["type"] for each in room.get(f"/workflows/{instance_id}/history")["events"]]


def test_the_list_follows_the_engine_to_the_end_of_an_order(room: Room) -> None:
    instance_id = room.order("followed", amount=20)
    line = eventually(lambda: (found := room.line(instance_id)) and found["status"] == "COMPLETED" and found)
    assert line["finished_at"] is not None
    assert line["custom_status"] == "approved"


def test_a_workflow_terminated_by_another_tool_loses_its_buttons_and_is_audited(room: Room) -> None:
    instance_id = room.order("stopped-elsewhere")
    assert buttons(room, instance_id)
    room.engine.terminate_workflow(instance_id, output={"reason": "stopped from another console"})
    eventually(lambda: not buttons(room, instance_id), 60)
    line = room.line(instance_id)
    assert (line["status"], line["phase"]) == ("TERMINATED", "terminated")
    assert "workflow.found_terminated" in audited(room, instance_id)


def test_a_workflow_purged_by_another_tool_shows_that_it_is_gone(room: Room) -> None:
    instance_id = room.order("gone-elsewhere")
    room.engine.terminate_workflow(instance_id)
    room.engine.purge_workflow(instance_id)
    eventually(lambda: not buttons(room, instance_id), 60)
    assert room.line(instance_id)["phase"] in {"terminated", "purged"}


def test_a_workflow_that_another_program_started_is_in_the_list(room: Room) -> None:
    instance_id = room.system.order_id("foreign")
    room.engine.schedule_new_workflow("somebody_elses", input={}, instance_id=instance_id)
    line = eventually(lambda: (found := room.line(instance_id)) and found["name"] and found, 60)
    assert line["phase"] == "unknown"
    assert line["name"] == "somebody_elses"


def test_a_card_that_slack_did_not_take_is_rewritten_when_slack_is_back(room: Room) -> None:
    instance_id = room.order("slack-away")
    room.system.slack.fault(method="chat.update", kind="http_500")
    ok(room.post(f"/workflows/{instance_id}/terminate", {"reason": "while Slack was away"}))
    room.without_buttons(instance_id, 60)
