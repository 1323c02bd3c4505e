"""Another service asks for a yes by REST, of a kind that is no order, and waits for the answer."""

import threading
from collections.abc import Callable
from typing import Any

import httpx

from tests.end_to_end.conftest import STORY
from tests.end_to_end.system import MANAGER, REQUESTER, Order, System, eventually

KEYS = ("requester",)
SETTINGS = "story"


def ask(system: System, subject: str, *, key: str = "", by: str = REQUESTER, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {system.token(by, *KEYS)}"} | ({"Idempotency-Key": key} if key else {})
    return system.http.post("/requests", json={"kind": "deploy", "subject": subject, **body}, headers=headers)


def look(system: System, request_id: str, *, by: str = REQUESTER, wait: int = 0) -> httpx.Response:
    headers = {"Authorization": f"Bearer {system.token(by, *KEYS)}"}
    return system.http.get(f"/requests/{request_id}", params={"wait": wait}, headers=headers, timeout=90)


def card_of(system: System, request_id: str) -> Order:
    return Order(system, request_id, request_id)


def test_a_service_with_a_requesters_key_asks_and_hears_the_answer_of_a_click(system: System) -> None:
    asked = ask(system, system.order_id("web"), details={"commit": "5f0c9a7"})
    assert asked.status_code == 201, asked.text
    request_id = asked.json()["id"]
    heard: list[Any] = []
    waiting = threading.Thread(target=lambda: heard.append(look(system, request_id, wait=60).json()))
    waiting.start()
    card_of(system, request_id).click("U0MANAGER")
    waiting.join(60)
    assert [(each["status"], each["amount"]) for each in heard] == [("approved", None)]
    assert [each["approved"] for each in heard[0]["decided_by"]] == [True]


def test_a_wait_that_is_over_first_says_that_it_waits(system: System) -> None:
    request_id = ask(system, system.order_id("slow")).json()["id"]
    eventually(lambda: look(system, request_id).json()["status"] == "waiting")
    assert look(system, request_id, wait=1).json()["status"] == "waiting"


def test_a_person_decides_a_request_of_any_kind_with_their_key(system: System) -> None:
    """Once started, a request that was no order could be decided by nobody but a click."""
    request_id = ask(system, system.order_id("by-key")).json()["id"]
    card_of(system, request_id).card()
    path = f"/requests/{request_id}/decision"
    own = system.post(path, {"approved": True}, by=REQUESTER, roles=("requester", "approver"))
    assert own.status_code == 403
    no = system.post(path, {"approved": False, "reason": "not on a Friday"}, by=MANAGER, roles=("approver",))
    assert (no.status_code, no.json()["outcome"]) == (200, "accepted")
    ended = look(system, request_id, wait=20).json()
    assert (ended["status"], ended["decided_by"][0]["reason"]) == ("rejected", "not on a Friday")


def test_the_same_key_asks_once_and_other_content_under_it_is_a_conflict(system: System) -> None:
    subject = system.order_id("once")
    answers = [ask(system, subject, key=subject) for _ in range(3)]
    assert [each.status_code for each in answers] == [201, 200, 200]
    assert len({each.json()["id"] for each in answers}) == 1
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert ask(system, f"{subject} b", key=subject).status_code == 409
    other = ask(system, subject, key=subject, by=MANAGER)
    assert other.json()["id"] != answers[0].json()["id"], "a key is its caller's own"


def test_what_cannot_be_asked_is_a_message(system: System) -> None:
    nobody = ask(system, "x", kind="holiday")
    assert (nobody.status_code, "a holiday without an amount" in nobody.json()["detail"]) == (422, True)
    assert ask(system, "x", currency="EUR").status_code == 422
    assert ask(system, "a/b", kind="order", amount="5").status_code == 422
    assert look(system, "deploy-never").status_code == 404


def test_a_request_is_shown_to_those_whom_it_concerns(system: System) -> None:
    request_id = ask(system, system.order_id("mine")).json()["id"]
    assert look(system, request_id).status_code == 200
    assert look(system, request_id, by="someone.else@example.com").status_code in {403, 404}


def test_a_key_s_quota_holds_at_every_door_with_the_time_to_wait(alone: Callable[..., System]) -> None:
    system = alone(policy=STORY + "quotas: {per_key: {at_most: 2, within: 1 hour}}\n")

    def order(name: str) -> httpx.Response:
        return system.post(f"/orders/{system.order_id(name)}/start", {"amount": "2400"}, roles=KEYS)

    same = [ask(system, "the same", key="once").status_code for _ in range(3)]
    assert [*same, order("first").status_code] == [201, 200, 200, 200]
    for answer in (order("second"), ask(system, "another")):
        assert answer.status_code == 429, answer.text
        assert 3500 < int(answer.headers["Retry-After"]) <= 3600
        assert "Your key may start 2 requests in 1 hour" in answer.json()["detail"]
    known = {"subject": "q", "amount": "1", "currency": "USD", "requester": REQUESTER}
    body = {"name": "approval_workflow", "input": known}
    by_name = [system.post("/workflows", body, roles=("operator",)).status_code for _ in range(3)]
    assert by_name == [201, 201, 429]


def get(system: System, path: str, *, by: str, roles: tuple[str, ...]) -> httpx.Response:
    return system.http.get(path, headers={"Authorization": f"Bearer {system.token(by, *roles)}"})


def test_a_service_needs_the_role_to_ask_and_nothing_more(system: System) -> None:
    """It asks, sees what it asked, and can neither ask for others nor see, decide or manage anything else."""
    ask_only, others = ("requests:ask",), ("requests:ask", "requests:for_others")
    asked = system.post("/requests", {"kind": "deploy", "subject": system.order_id("ci")}, by=REQUESTER, roles=ask_only)
    assert asked.status_code == 201, asked.text
    path = f"/requests/{asked.json()['id']}"
    assert get(system, path, by=REQUESTER, roles=ask_only).status_code == 200
    listed = get(system, "/requests?mine=true", by=REQUESTER, roles=ask_only).json()["requests"]
    assert asked.json()["id"] in [each["id"] for each in listed]
    for_manager = {"kind": "deploy", "subject": system.order_id("for"), "requester": MANAGER}
    refused = system.post("/requests", for_manager, by=REQUESTER, roles=ask_only)
    assert (refused.status_code, "role" in refused.json()["detail"]) == (403, True)
    foreign = system.post("/requests", for_manager, by=REQUESTER, roles=others)
    assert foreign.status_code == 201, foreign.text
    assert get(system, f"/requests/{foreign.json()['id']}", by=REQUESTER, roles=ask_only).status_code == 200
    assert get(system, f"/requests/{foreign.json()['id']}", by="x@example.com", roles=ask_only).status_code == 404
    decision = system.post(f"{path}/decision", {"approved": True}, by=REQUESTER, roles=ask_only)
    assert decision.status_code == 403
    stop = system.post(f"/workflows/{asked.json()['id']}/terminate", {"reason": "no"}, by=REQUESTER, roles=ask_only)
    assert stop.status_code == 403


def test_requests_are_listed_by_where_they_stand_and_by_kind_in_pages(system: System) -> None:
    subject = system.order_id("listed")
    waits = [ask(system, f"{subject} {number}").json()["id"] for number in range(3)]
    for each in waits:
        card_of(system, each).card()
    found: list[str] = []
    cursor = ""
    while True:
        answer = get(
            system, f"/requests?status=waiting&kind=deploy&q={subject}&limit=2{cursor}", by=REQUESTER, roles=KEYS
        )
        assert answer.status_code == 200, answer.text
        found += [each["id"] for each in answer.json()["requests"]]
        assert {each["status"] for each in answer.json()["requests"]} == {"waiting"}
        if answer.json()["cursor"] is None:
            break
        cursor = f"&cursor={answer.json()['cursor']}"
    assert found == waits[::-1]
    assert get(system, f"/requests?status=approved&q={subject}", by=REQUESTER, roles=KEYS).json()["requests"] == []
    assert get(system, "/requests?status=never", by=REQUESTER, roles=KEYS).status_code == 422


def test_a_preview_says_who_would_be_asked_until_when_and_asks_nobody(system: System) -> None:
    subject = system.order_id("preview")
    shown = system.post("/requests/preview", {"kind": "deploy", "subject": subject}, by=REQUESTER, roles=KEYS)
    assert shown.status_code == 200, shown.text
    stage = shown.json()["stages"][0]
    assert (shown.json()["automatic"], stage["approvers"][0].split(":")[0], stage["needed"]) == (False, "group", 1)
    assert stage["until"] == shown.json()["until"]
    assert get(system, f"/requests?q={subject}", by=REQUESTER, roles=KEYS).json()["requests"] == []
    nobody = system.post("/requests/preview", {"kind": "holiday", "subject": "x"}, by=REQUESTER, roles=KEYS)
    assert (nobody.status_code, "No rule of the policy applies" in nobody.json()["detail"]) == (422, True)
