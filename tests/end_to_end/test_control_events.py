"""Following: changes come by themselves, to those who may see them, and go on where they were left."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.end_to_end.control_room import Headers, Room, key

SETTINGS = "reconciled"


Event = dict[str, Any]


def read(answer: httpx.Response) -> Iterator[Event]:
    """Give the stream's events."""
    event: Event = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line.startswith(":"):
            continue
        if not line:
            if "data" in event:
                yield event
            event = {}
        else:
            event[name] = json.loads(value) if name == "data" else value


def follow(room: Room, who: Headers, after: str = "") -> Any:
    headers = who | ({"Last-Event-ID": after} if after else {})
    return room.system.http.stream("GET", "/events", headers=headers)


def first(events: Iterator[Event], instance_id: str, **wanted: str) -> Event:
    for event in events:
        data = event["data"]
        about = data.get("id") or data.get("instance_id")
        if about == instance_id and all(data.get(name) == value for name, value in wanted.items()):
            return event
    raise AssertionError("the stream has ended")


def test_a_workflow_s_whole_life_comes_by_itself(room: Room) -> None:
    with follow(room, room.operator) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read(answer)
        instance_id = room.order("followed-live")
        assert first(events, instance_id, phase="waiting")["event"] == "workflow"
        room.post(f"/workflows/{instance_id}/terminate", {"reason": "seen enough"})
        assert first(events, instance_id, type="workflow.terminate")["data"]["text"] == "seen enough"
        assert first(events, instance_id, status="TERMINATED")["data"]["finished_at"]


def test_who_comes_back_with_the_last_id_misses_nothing(room: Room) -> None:
    with follow(room, room.operator) as answer:
        events = read(answer)
        before = room.order("before-the-break")
        position = first(events, before, type="order.started")["id"]
    during = room.order("during-the-break")
    with follow(room, room.operator, position) as answer:
        assert first(read(answer), during, type="order.started")


def test_a_requester_sees_only_their_own(room: Room) -> None:
    stranger = key(room.system, "requester", person="vp@example.com")
    with follow(room, stranger) as answer:
        events = read(answer)
        room.order("not-theirs")
        theirs = f"order-{room.system.order_id('theirs')}-workflow"
        room.post(f"/orders/{room.system.order_id('theirs')}/start", {"amount": 2400}, stranger)
        event = next(events)
        assert (event["data"].get("id") or event["data"]["instance_id"]) == theirs


def test_who_is_too_far_behind_is_told_to_read_the_lists_again(room: Room) -> None:
    with follow(room, room.operator, "0-1") as answer:
        kinds = {next(read(answer))["event"]}
    assert kinds <= {"reset", "history"}


def test_without_a_key_nothing_is_followed(room: Room) -> None:
    assert room.system.http.get("/events").status_code == 401
