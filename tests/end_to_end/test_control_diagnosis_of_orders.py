"""The situations of the diagnosis that need the app: what was raised at an order, or beside it."""

from tests.end_to_end.control_room import Room
from tests.end_to_end.system import eventually

SETTINGS = "reconciled"


def test_a_decision_was_refused_because(room: Room) -> None:
    instance_id = room.order("refused")
    room.engine.raise_workflow_event(instance_id, "approval_decision", data={"approved": True})
    path = f"/workflows/{instance_id}/diagnosis"
    answer = eventually(
        lambda: [each for each in room.get(path)["answers"] if "did not count" in each["sentence"]],
    )[0]
    assert "refused because" in answer["evidence"]
    assert "@managers" in answer["next_step"]


def test_a_person_whose_answer_was_refused_is_named_and_so_is_why(room: Room) -> None:
    order = room.system.order("named")
    instance_id = order.instance_id
    assert order.click("U0VP").ok
    path = f"/workflows/{instance_id}/diagnosis"
    answer = eventually(
        lambda: [each for each in room.get(path)["answers"] if "did not count" in each["sentence"]],
    )[0]
    assert "the policy does not name you" in answer["evidence"]
    assert "T0LOCAL" not in answer["evidence"]
    events = room.get(f"/workflows/{instance_id}/history")["events"]
    refused = [each for each in events if each["source"] == "business" and "refused" in each["what"]]
    assert "the policy does not name you" in refused[0]["text"]


def test_an_event_raised_at_an_id_that_does_not_exist_is_remembered(room: Room) -> None:
    instance_id = room.order("remembered")
    wrong = instance_id.replace("remembered", "remenbered")
    assert room.post(f"/workflows/{wrong}/raise-event/approval_decision", {"input": {"a": 1}}).status_code == 404
    path = f"/workflows/{instance_id}/diagnosis"
    eventually(lambda: any(wrong in each["sentence"] for each in room.get(path)["answers"]))
