"""Slack's route as a stranger meets it: verified before it is parsed, a short answer, one log line without the body."""

import json
import socket
import time
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.process.limits import MAX_BODY_BYTES
from bot.slack.ingress import parsed
from tests.end_to_end.system import System
from tests.security.conftest import Door

NOW = str(int(time.time()))
BODY = b"payload=%7B%7D"

UNSIGNED: list[tuple[str, dict[str, bytes | str], bytes]] = [
    ("no headers at all", {}, BODY),
    ("no timestamp", {"x-slack-signature": "v0=" + "0" * 64}, BODY),
    ("no signature", {"x-slack-request-timestamp": NOW}, BODY),
    ("a wrong signature", {"x-slack-request-timestamp": NOW, "x-slack-signature": "v0=" + "0" * 64}, BODY),
    ("another version", {"x-slack-request-timestamp": NOW, "x-slack-signature": "v1=" + "0" * 64}, BODY),
    ("a signature that is not ASCII", {"x-slack-request-timestamp": NOW, "x-slack-signature": b"v0=\xff\xe9"}, BODY),
    ("a timestamp of 400 digits", {"x-slack-request-timestamp": "1" * 400, "x-slack-signature": "v0=0"}, BODY),
    ("a timestamp of other digits", {"x-slack-request-timestamp": "٣".encode(), "x-slack-signature": "v0=0"}, BODY),
    ("a negative timestamp", {"x-slack-request-timestamp": "-1", "x-slack-signature": "v0=0"}, BODY),
    ("a broken number", {"x-slack-request-timestamp": "1e9", "x-slack-signature": "v0=0"}, BODY),
    ("bytes that are no text", {"x-slack-request-timestamp": NOW, "x-slack-signature": "v0=0"}, b"\xff\xfe\x00"),
    ("deep JSON", {"x-slack-request-timestamp": NOW, "x-slack-signature": "v0=0"}, b"[" * 100_000),
]


@pytest.mark.parametrize(("description", "headers", "body"), UNSIGNED, ids=[row[0] for row in UNSIGNED])
def test_what_is_not_signed_by_slack_gets_401(
    door: Door, description: str, headers: dict[str, bytes | str], body: bytes
) -> None:
    answer = door.send(body, headers)
    assert (answer.status_code, len(answer.text) < 100) == (401, True), description


UNREADABLE: list[tuple[str, bytes, str]] = [
    ("bad UTF-8", b"payload=\xff", "application/x-www-form-urlencoded"),
    ("bad UTF-8 in JSON", b'{"a": "\xff"}', "application/json"),
    ("a JSON list", b"[1]", "application/json"),
    ("a JSON string", b'"x"', "application/json"),
    ("broken JSON", b"{", "application/json"),
    ("deep JSON", b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "application/json"),
    ("a lone surrogate", b'{"type":"\\ud800"}', "application/json"),
    ("a payload that is a list", b"payload=%5B1%5D", "application/x-www-form-urlencoded"),
    ("a payload that is no JSON", b"payload=x", "application/x-www-form-urlencoded"),
    ("thousands of fields", b"&".join(b"a%d=1" % n for n in range(2_000)), "application/x-www-form-urlencoded"),
    ("nothing", b"", "application/x-www-form-urlencoded"),
    ("another content type", b"<xml/>", "text/xml"),
    ("a user who is a list", b'payload={"type":"block_actions","user":[1]}', "application/x-www-form-urlencoded"),
    ("a number with 5,000 digits", b'{"type":' + b"9" * 5_000 + b"}", "application/json"),
]


@pytest.mark.parametrize(("description", "body", "content_type"), UNREADABLE, ids=[row[0] for row in UNREADABLE])
def test_what_is_signed_and_still_unreadable_gets_400(
    door: Door, description: str, body: bytes, content_type: str
) -> None:
    answer = door.signed(body, content_type=content_type)
    assert (answer.status_code, len(answer.text) < 100) == (400, True), description


@given(
    st.lists(st.sampled_from(["a", "b", "=", "&", ";", "+", "%", "%4", "%41", "%ff", "%C3%A9", "é", " "])).map("".join)
)
def test_a_form_is_read_as_the_standard_library_reads_it_and_of_one_name_the_first_counts(text: str) -> None:
    first = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
    assert parsed(text.encode(), "application/x-www-form-urlencoded") == first


@pytest.mark.parametrize("off", [-301, 301, -600, 600])
def test_a_signature_is_good_for_five_minutes_before_and_after(door: Door, off: int) -> None:
    now = time.time()
    assert door.signed(b"ssl_check=1", at=now + off + (1 if off > 0 else 0)).status_code == 401
    assert door.signed(b"ssl_check=1", at=now + (295 if off > 0 else -295)).status_code == 200


def test_a_body_over_one_mebibyte_is_refused_announced_or_not(door: Door, system: System) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    assert door.signed(body).status_code == 413
    chunks = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    headers = {"x-slack-request-timestamp": str(int(time.time())), "x-slack-signature": "v0=" + "0" * 64}
    assert system.http.post("/slack/events", content=chunks, headers=headers).status_code == 413


def test_a_body_is_not_read_unless_its_headers_can_be_slacks(system: System) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(system.url).port or 0), timeout=5) as connection:
        connection.sendall(b"POST /slack/events HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nhalf a body")
        answer = connection.recv(65_536)
    assert b" 401 " in answer
    assert b"connection: close" in answer


@pytest.mark.parametrize("path", ["/orders/1/start", "/workflows/bulk", "/livez", "/docs"])
def test_every_route_refuses_a_body_over_one_mebibyte(system: System, path: str) -> None:
    headers = {"Authorization": f"Bearer {system.token()}"}
    assert system.http.post(path, content=b"x" * (MAX_BODY_BYTES + 1), headers=headers).status_code == 413


def test_a_refusal_is_one_log_line_without_the_body(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    door.send(b"payload=a-very-particular-body", {"x-slack-request-timestamp": NOW, "x-slack-signature": "v0=0"})
    lines = [record.getMessage() for record in caplog.records if "door" in record.getMessage()]
    assert len(lines) <= 1
    assert "a-very-particular-body" not in caplog.text


def test_the_same_signed_bytes_get_the_first_answer_and_have_one_effect(door: Door, system: System) -> None:
    order = system.order("replayed")
    order.card()
    order.click("U0MANAGER")
    first = [each for each in system.slack.deliveries("interactive") if order.instance_id in json.dumps(each.payload)]
    again: Any = system.act(system.slack.replay(first[-1]))
    assert (again.status, again.body) == (first[-1].status, first[-1].body)
    assert order.result() == {"status": "completed"}
    assert (len(order.decisions()), len(order.processed())) == (1, 1)


@pytest.mark.parametrize("path", ["/livez", "/workflows", "/orders/1/start", "/nothing", "/openapi.json", "/metrics"])
def test_no_answer_is_cached_or_guessed_at(system: System, path: str) -> None:
    headers = system.http.get(path, headers={"Authorization": f"Bearer {system.token()}"}).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_the_pages_about_rest_run_under_a_policy(system: System) -> None:
    found = system.http.get("/docs").headers["content-security-policy"]
    assert "default-src 'none'" in found
    assert "frame-ancestors 'none'" in found
