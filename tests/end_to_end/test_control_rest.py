"""The control room over REST: lists by every filter, pages, one workflow, its time line, and what operators do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.end_to_end.control_room import Room, key, ok
from tests.end_to_end.system import eventually

SETTINGS = "reconciled"


@pytest.fixture
def waiting(room: Room) -> str:
    """Return an order that waits: the same one for all tests of a run."""
    instance_id = f"order-{room.system.order_id('seen')}-workflow"
    return instance_id if room.line(instance_id) else room.order("seen", description="Two unicorn posters")


def ids(room: Room, **query: Any) -> list[str]:
    return [each["id"] for each in room.get("/workflows", limit=200, **query)["workflows"]]


def test_a_line_says_whom_it_waits_for_since_when_until_when_and_where_the_card_is(room: Room, waiting: str) -> None:
    line = eventually(lambda: (found := room.line(waiting)) and found["card_link"] and found)
    assert (line["name"], line["status"]) == ("approval_workflow", "RUNNING")
    assert (line["phase"], line["stage"], line["amount"], line["currency"]) == ("waiting", 1, "2400.00", "USD")
    assert line["waiting_on"] == ["group:managers"]
    assert datetime.fromisoformat(line["deadline"]) - datetime.fromisoformat(line["since"]) == timedelta(days=3)
    assert "/archives/C0APPROVALS/p" in line["card_link"]
    eventually(lambda: room.line(waiting)["custom_status"].startswith("waiting for stage 1 of 1"))


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        ({"status": "RUNNING"}, {"status": "FAILED"}),
        ({"phase": "waiting"}, {"phase": "approved"}),
        ({"name": "approval_workflow"}, {"name": "another_workflow"}),
        ({"waiting_on": "managers"}, {"waiting_on": "vps"}),
        ({"waiting_on": "group:managers"}, {"waiting_on": "manager@example.com"}),
        ({"newer_than": "2h"}, {"older_than": "2h"}),
        ({"q": "unicorn post"}, {"q": "unicorn invoice"}),
        ({"sort": "deadline"}, {"mine": True}),
        ({"sort": "since"}, {"newer_than": "2999-01-01T00:00:00Z"}),
        ({"sort": "progress"}, {"older_than": "2000-01-01"}),
    ],
)
def test_each_filter_takes_what_fits_and_leaves_the_rest(
    room: Room, waiting: str, fits: dict[str, Any], does_not: dict[str, Any]
) -> None:
    eventually(lambda: waiting in ids(room, **fits))
    assert waiting not in ids(room, **does_not)


def test_pages_follow_one_another_without_gaps_or_repetition(room: Room) -> None:
    made = {room.order(f"paged-{number}", amount=20) for number in range(5)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = room.get("/workflows", None, limit=2, newer_than="10m", **more)
        assert len(page["workflows"]) <= 2
        seen += [each["id"] for each in page["workflows"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"older_than": "soon"}, "neither a duration"),
        ({"status": "WAITING"}, "status"),
        ({"limit": 0}, "limit"),
        ({"cursor": "made-up"}, "start again without a cursor"),
        ({"filter": "x"}, "filter"),
        ({"sort": "name"}, "sort"),
    ],
)
def test_a_bad_query_is_422_with_a_sentence(room: Room, query: dict[str, Any], says: str) -> None:
    answer = room.system.http.get("/workflows", params=query, headers=room.operator)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_everybody_sees_what_their_role_lets_them(room: Room, waiting: str) -> None:
    stranger = key(room.system, "requester", person="vp@example.com")
    approver = key(room.system, "approver", person="manager@example.com")
    assert waiting in ids(room)
    assert waiting in [each["id"] for each in room.get("/workflows", room.requester, limit=200)["workflows"]]
    assert waiting not in [each["id"] for each in room.get("/workflows", stranger, limit=200)["workflows"]]
    assert room.system.http.get(f"/workflows/{waiting}", headers=stranger).status_code == 404
    assert waiting in [each["id"] for each in room.get("/workflows", approver, waiting_on="me")["workflows"]]
    assert room.get(f"/workflows/{waiting}", approver)["workflow"]["id"] == waiting
    assert room.system.http.get("/statistics", headers=room.requester).status_code == 403


def test_input_and_output_are_for_whom_the_request_concerns(room: Room, waiting: str) -> None:
    admin = key(room.system, "admin")
    seen, hidden = room.get(f"/workflows/{waiting}"), room.get(f"/workflows/{waiting}", admin)
    assert (seen["payloads_shown"], hidden["payloads_shown"]) == (True, False)
    assert seen["input"]["description"] == "Two unicorn posters"
    assert hidden["input"] is None
    assert any(each["payload"] for each in room.get(f"/workflows/{waiting}/history")["events"])
    refused = room.system.http.get(f"/workflows/{waiting}/history", headers=admin)
    assert refused.status_code == 403


def test_the_time_line_has_the_engine_s_and_the_business_s_events_in_their_order(room: Room, waiting: str) -> None:
    events = room.get(f"/workflows/{waiting}/history")["events"]
    types = [each["type"] for each in events]
    assert types.index("order.started") < types.index("ExecutionStarted") < types.index("request.asked")
    assert any("waits for the event approval_decision" in each["text"] for each in events)
    assert [each["at"] for each in events] == sorted(each["at"] for each in events)


def test_pause_resume_terminate_purge_each_say_what_they_did_and_are_audited(room: Room) -> None:
    instance_id = room.order("managed")
    order_id = instance_id.removeprefix("order-").removesuffix("-workflow")
    pause = ok(room.post(f"/workflows/{order_id}/pause", {"reason": "asking the supplier"}))
    assert (pause["status"], pause["changed"]) == ("SUSPENDED", True)
    assert ok(room.post(f"/workflows/{order_id}/pause", {"reason": "again"}))["changed"] is False
    assert ok(room.post(f"/workflows/{order_id}/resume"))["status"] == "RUNNING"
    assert ok(room.post(f"/workflows/{order_id}/resume"))["changed"] is False
    assert room.post(f"/workflows/{order_id}/purge").status_code == 409
    assert ok(room.post(f"/workflows/{order_id}/terminate", {"reason": "not needed"}))["status"] == "TERMINATED"
    room.without_buttons(instance_id)
    assert ok(room.post(f"/workflows/{order_id}/purge"))["changed"] is True
    assert room.get(f"/workflows/{instance_id}")["purged"] is True
    told = {each["type"]: each["text"] for each in room.get(f"/workflows/{instance_id}/history")["events"]}
    assert told["workflow.pause"] == "asking the supplier"
    assert told["workflow.terminate"] == "not needed"
    assert "workflow.purge" in told


@pytest.mark.parametrize("action", ["pause", "resume", "terminate", "purge"])
def test_a_requester_cannot_manage(room: Room, waiting: str, action: str) -> None:
    answer = room.post(f"/workflows/{waiting}/{action}", {"reason": "mine"}, room.requester)
    assert answer.status_code == 403
    assert answer.json()["reason"] == "not_permitted"


SEEING = (
    ("GET", "/workflows/{}"),
    ("GET", "/workflows/{}/history"),
    ("GET", "/workflows/{}/diagnosis"),
    ("GET", "/orders/{}"),
    ("GET", "/requests/{}"),
    ("GET", "/requests/{}/receipt"),
    ("POST", "/requests/{}/consume"),
    ("POST", "/requests/{}/withdraw"),
)
DECIDING = (("POST", "/requests/{}/decision"), ("POST", "/orders/{}/approve"))
MANAGING = tuple(("POST", f"/workflows/{{}}/{verb}") for verb in ("pause", "terminate", "purge", "note"))


@pytest.mark.parametrize(("method", "path"), [*SEEING, *DECIDING, *MANAGING])
def test_an_id_that_is_anothers_and_one_that_is_not_known_get_the_same_answer(
    room: Room, waiting: str, method: str, path: str
) -> None:
    """An approver whom the request does not ask could try which ids there are."""
    stranger = key(room.system, "requester", "approver", person="vp@example.com")
    body = {"approved": True} if (method, path) in DECIDING else {"reason": "curious"} if method == "POST" else None
    order = waiting.removeprefix("order-").removesuffix("-workflow")

    def answer(order_id: str) -> tuple[int, str]:
        reference = order_id if path.startswith("/orders") else f"order-{order_id}-workflow"
        found = room.system.http.request(method, path.format(reference), headers=stranger, json=body)
        told = {name: value for name, value in found.json().items() if name != "correlation_id"}
        return found.status_code, str(told).replace(order_id, "ID")

    foreign = answer(order)
    assert foreign == answer("nobody-knows")
    assert foreign[0] == (403 if (method, path) in MANAGING else 404)


def test_an_unknown_id_is_404_with_what_to_do(room: Room) -> None:
    for path in ("", "/history"):
        answer = room.system.http.get(f"/workflows/nobody-knows{path}", headers=room.operator)
        assert answer.status_code == 404
        assert "Look at the id" in answer.json()["detail"]
    assert room.system.http.request("DELETE", "/workflows/nobody-knows", headers=room.operator).status_code == 405


def test_a_workflow_is_started_by_name_now_or_later_and_its_id_is_not_run_twice(room: Room) -> None:
    value = {"subject": "INV-7", "amount": "2400", "currency": "USD", "requester": "requester@example.com"}
    instance_id = room.system.order_id("invoice")
    body = {"name": "approval_workflow", "input": value, "instance_id": instance_id}
    started = room.post("/workflows", body)
    assert started.status_code == 201
    assert started.headers["location"] == f"/workflows/{instance_id}"
    assert room.post("/workflows", body).status_code == 409
    eventually(lambda: room.line(instance_id)["phase"] == "waiting")
    submitted = room.get(f"/workflows/{instance_id}", room.auditor)["input"]["submitted_by"]
    assert submitted == "operator@example.com"

    later = room.system.order_id("later")
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert ok(room.post("/workflows", body | {"instance_id": later, "start_at": moment}))["status"] == "PENDING"
    assert room.line(later)["custom_status"].startswith("starts at")
    assert room.post(f"/workflows/{later}/raise-event/hurry", {"input": {"a": 1}}).status_code == 409
    answers = room.get(f"/workflows/{later}/diagnosis")["answers"]
    assert "it is scheduled for later" in answers[0]["sentence"]


LARGE = {"subject": "1", "amount": 1, "currency": "USD", "requester": "a@example.com", "details": {"a": "x" * 4000}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "aproval_workflow"}, "Did you mean 'approval_workflow'?"),
        ({"name": "bulk_workflow"}, "can be started here"),
        ({"name": "approval_workflow", "input": {"amount": -1}}, "The subject is not usable: it is missing"),
        ({"name": "approval_workflow", "input": LARGE}, "the detail 'a' has 4000 characters; 2000 at most"),
        ({"name": "approval_workflow", "input": {}, "instance_id": "a/b"}, "An instance id has"),
        ({"name": "approval_workflow", "input": {}, "instance_id": "a||b"}, "An instance id has"),
        ({"name": "approval_workflow", "start_at": "2026-01-01T00:00:00"}, "timezone"),
    ],
)
def test_a_start_that_cannot_work_is_422_with_a_sentence(room: Room, body: dict[str, Any], says: str) -> None:
    answer = room.post("/workflows", body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_a_finished_workflow_runs_again_from_an_event_as_a_new_one(room: Room) -> None:
    instance_id = room.order("again", amount=20)
    eventually(lambda: room.get(f"/workflows/{instance_id}")["workflow"]["status"] == "COMPLETED")
    events = room.get(f"/workflows/{instance_id}/history")["events"]
    first = next(each["event_id"] for each in events if each["type"] == "TaskScheduled")
    new_id = room.system.order_id("run-again")
    again = ok(room.post(f"/workflows/{instance_id}/rerun", {"event_id": first, "new_instance_id": new_id}))
    assert again["instance_id"] == new_id
    assert room.post(f"/workflows/{instance_id}/rerun", {"event_id": 9999}).status_code == 409


def test_a_decision_is_not_raised_as_a_bare_event(room: Room, waiting: str) -> None:
    answer = room.post(f"/workflows/{waiting}/raise-event/Approval_Decision", {"input": {"approved": True}})
    assert answer.status_code == 409
    assert "person's own" in answer.json()["detail"]


def test_statistics_say_what_waits_and_how_decisions_went(room: Room, waiting: str) -> None:
    found = room.get("/statistics", since="1h")
    assert found["waiting"] >= 1
    assert {"group:managers"} <= {each["what"] for each in found["waiting_by_approver"]}
    assert found["waiting_by_rule"][0]["count"] >= 1
    assert sum(found["shares"].values()) == pytest.approx(1) or not found["outcomes"]
    assert room.system.http.get("/statistics", params={"since": "x"}, headers=room.operator).status_code == 422


def test_a_filter_that_stands_twice_is_refused_as_only_one_can_be_meant(room: Room) -> None:
    answer = room.system.http.get("/workflows?status=RUNNING&status=FAILED", headers=room.operator)
    assert answer.status_code == 422
    assert "'status' more than once" in answer.json()["detail"]
