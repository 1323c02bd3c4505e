"""Signed payloads of every odd form: 200 or 400, never 404 or 500, and nothing is decided by them."""

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from cards import confirm_modal, details_modal, reject_modal, request_card
from cards.paging import NEXT
from tests.end_to_end.system import System
from tests.security.conftest import Door

Payload = dict[str, Any]
USER = {"id": "U0MANAGER", "team_id": "T0LOCAL", "username": "manager", "name": "manager"}
COMMON = {"user": USER, "team": {"id": "T0LOCAL"}, "trigger_id": "1.2.abc", "api_app_id": "A0", "token": "t"}
BINDING = {"instance_id": "i", "run": "2026-01-01T00:00:00Z", "stage": 0, "round": 0, "digest": "d", "nonce": "n"}
CARD = {"channel": "C1", "ts": "1.2"}


def clicked(action_id: str, value: object) -> Payload:
    action = {"type": "button", "action_id": action_id, "block_id": "b", "value": json.dumps(value), "action_ts": "1"}
    place = {"type": "message", "message_ts": "1.2", "channel_id": "C1"}
    return {**COMMON, "type": "block_actions", "container": place, "channel": {"id": "C1"}, "actions": [action]}


def submitted(callback_id: str, metadata: object, block: str, action: str) -> Payload:
    state = {"values": {block: {action: {"type": "plain_text_input", "value": "because"}}}}
    view = {
        "id": "V1",
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": json.dumps(metadata),
        "hash": "1.2",
        "state": state,
    }
    return {**COMMON, "type": "view_submission", "view": view}


SOUND: dict[str, Payload] = {
    "approve": clicked(request_card.APPROVE, BINDING),
    "reject": clicked(request_card.REJECT, BINDING),
    "details": clicked(request_card.DETAILS, BINDING),
    "page": clicked(NEXT, {"verb": "list", "argument": "waiting", "cursor": ""}),
    "history": clicked(NEXT, {"verb": "history", "argument": "i", "cursor": "10"}),
    "reason": submitted(
        reject_modal.CALLBACK, {"binding": BINDING, "card": CARD}, reject_modal.BLOCK, reject_modal.ACTION
    ),
    "confirm": submitted(
        confirm_modal.CALLBACK,
        {"verb": "pause", "instance_id": "i", "channel": "C1"},
        confirm_modal.BLOCK,
        confirm_modal.ACTION,
    ),
    "closed": {**submitted(details_modal.CALLBACK, {}, "b", "a"), "type": "view_closed"},
    "home": {
        "type": "event_callback",
        "team_id": "T0LOCAL",
        "event": {"type": "app_home_opened", "user": "U0MANAGER", "tab": "home", "channel": "D1"},
    },
    "message event": {
        "type": "event_callback",
        "team_id": "T0LOCAL",
        "event": {"type": "message", "user": "U0MANAGER", "channel": "C1", "text": "hello", "ts": "1.2"},
    },
    "shortcut": {**COMMON, "type": "shortcut", "callback_id": "anything"},
    "message shortcut": {
        **COMMON,
        "type": "message_action",
        "callback_id": "anything",
        "channel": {"id": "C1"},
        "message": {"ts": "1.2"},
    },
    "options": {**COMMON, "type": "block_suggestion", "action_id": "a", "block_id": "b", "value": "x"},
    "unknown button": clicked("no_such_button", {}),
    "unknown modal": submitted("no_such_modal", {}, "b", "a"),
    "workflow step": {**COMMON, "type": "workflow_step_edit", "callback_id": "c"},
}
MOMENTS = ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z")
ODD: tuple[Any, ...] = (None, [], {}, "", "x" * 4_000, -1, True, 10**30, [[None]], {"id": None}, "\x00", *MOMENTS)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of each value in a payload, JSON in texts included."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield from places(each, (*path, key))
    if isinstance(value, str) and value[:1] in {"{", "["}:
        for each in places(json.loads(value)):
            yield (*path, json, *each)


def changed(payload: Any, path: tuple[Any, ...], odd: object) -> Any:
    """Return the payload with another value at a path; `...` takes it out."""
    key, *rest = path
    if key is json:
        return json.dumps(changed(json.loads(payload), tuple(rest), odd))
    copied = copy.copy(payload)
    if rest:
        copied[key] = changed(copied[key], tuple(rest), odd)
    elif odd is ...:
        del copied[key]
    else:
        copied[key] = odd
    return copied


def sent(door: Door, payload: Payload) -> int:
    text = json.dumps(payload)
    if "event" in payload:
        return door.signed(text.encode(), content_type="application/json").status_code
    return door.signed(f"payload={quote(text)}".encode()).status_code


@pytest.mark.parametrize("name", SOUND)
def test_what_slack_sends_is_answered_200_whether_it_is_ours_or_not(door: Door, name: str) -> None:
    assert sent(door, SOUND[name]) == 200


@pytest.mark.parametrize("name", SOUND)
def test_an_odd_payload_is_answered_200_or_400_and_decides_nothing(door: Door, system: System, name: str) -> None:
    wrong = []
    for path in places(SOUND[name]):
        for odd in (..., *ODD):
            payload = changed(SOUND[name], path, odd)
            status = sent(door, payload)
            if status not in {200, 400}:
                wrong.append((status, path, odd))
    assert not wrong, wrong[:20]


@pytest.mark.parametrize(
    "text", ["", "list older-than 9999999999999999999d", "why \x00", "history " + "9" * 200, "status ||"]
)
@pytest.mark.parametrize("command", ["/approval", "/another"])
def test_an_odd_command_is_answered_with_a_message(door: Door, command: str, text: str) -> None:
    body = f"command={quote(command)}&user_id=U0MANAGER&team_id=T0LOCAL&channel_id=C1&trigger_id=1.2&text={quote(text)}"
    answer = door.signed(body.encode())
    assert answer.status_code == 200
    assert answer.json()["text"]
