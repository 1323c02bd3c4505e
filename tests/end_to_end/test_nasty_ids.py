"""Ids with every character that the engine takes: through REST, cards, pages, lists and the command line."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from bot.services import doctor_of
from tests.bot.cli.calling import run
from tests.end_to_end.control_room import key
from tests.end_to_end.system import Order, System, eventually, text_of

NASTY = ["a|b", "a@b", "a:0001", "a..b", "日本 é", "a%2Fb", "a<b>&'\"c", "a*_~`c", "=1+1", "x"]


@pytest.mark.parametrize("name", [each for each in NASTY if each[0].isalnum()])
def test_an_order_with_a_nasty_id_is_asked_shown_and_approved(system: System, name: str) -> None:
    order_id = f"{name}{system.order_id('')}"
    at = quote(order_id, safe="")
    started = system.post(f"/orders/{at}/start", {"amount": "2400"})
    assert started.status_code == 200, started.text
    order = Order(system, order_id)
    assert f"order-{order_id}-workflow" == started.json()["instance_id"] == order.instance_id
    headers = key(system, "operator")
    order.card()
    for path in (f"/workflows/{quote(order.instance_id, safe='')}", f"/orders/{at}"):
        assert system.http.get(path, headers=headers).status_code == 200, path
    listed = system.http.get("/workflows", params={"subject": order_id}, headers=headers)
    assert listed.status_code in {200, 422}
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    assert eventually(lambda: "Approved" in text_of(order.card()))
    page = system.http.get(f"/w/{quote(order.instance_id, safe='')}", headers={"accept": "text/html"})
    assert page.status_code in {200, 303, 401, 403}
    assert "<b>&" not in page.text
    in_cards(order, order_id)
    by_command_line(order, order_id)


def in_cards(order: Order, order_id: str) -> None:
    """Check that the card shows the id as it is, and that nothing in it is read as a mention, link or markup."""
    card = order.card()
    found = list(texts(card.blocks))
    assert any(order_id in text for kind, text in found if kind == "plain_text")
    read = [text for kind, text in found if kind == "mrkdwn"] + [card.text]
    assert not [text for text in read if "<b>" in text]


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """Give each text of some blocks with its type; Slack reads mentions, links and markup in mrkdwn alone."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        yield value.get("type", ""), value["text"]
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from texts(each)


def by_command_line(order: Order, order_id: str) -> None:
    """Check that each command that shows an order finds it by either of its names, and says it whole."""
    at = {"COUNTERSIGN_URL": order.system.url, "COUNTERSIGN_API_KEY": order.system.token("op@example.com", "operator")}
    for command in ("status", "history", "why"):
        for name in (order_id, order.instance_id):
            ran = run(command, name, "-o", "json", **at)
            assert (ran.code, ran.err) == (0, ""), (command, name)
    name = json.dumps(order.instance_id, ensure_ascii=False)

    def is_listed() -> bool:  # the list follows the engine's status, a moment later
        listed = run("list", "--filter-status", "COMPLETED", "-o", "json", **at)
        return name in json.dumps(listed.json, ensure_ascii=False)

    assert eventually(is_listed)


def test_an_id_with_two_bars_is_refused_at_every_door(system: System) -> None:
    known = {"subject": "q", "amount": "1", "currency": "USD", "requester": "requester@example.com"}
    body = {"name": "approval_workflow", "input": known, "instance_id": "a||b"}
    assert system.post("/workflows", body, roles=("operator",)).status_code == 422
    assert system.post(f"/orders/{quote('a||b', safe='')}/start", {"amount": "2400"}).status_code == 422
    asked = system.post("/requests", {"kind": "order", "subject": "a||b", "amount": "2400"})
    assert asked.status_code == 422


def test_a_child_of_another_app_s_workflow_is_listed_and_examined(system: System) -> None:
    parent = system.order_id("parent")
    known = {"subject": f"{parent}", "amount": "900", "currency": "USD", "requester": "requester@example.com"}
    child = f"{parent}:0001"
    system.engine.schedule_new_workflow("approval_workflow", input=known, instance_id=child)
    headers = key(system, "operator")

    def seen() -> bool:
        return system.http.get(f"/workflows/{quote(child, safe='')}", headers=headers).status_code == 200

    eventually(seen, 30)
    location = system.post(
        "/workflows",
        {"name": "approval_workflow", "input": known, "instance_id": f"{parent} é:0002"},
        roles=("operator",),
    ).headers["location"]
    assert location == f"/workflows/{quote(f'{parent} é:0002', safe='')}"

    async def examined() -> dict[str, str]:
        async with doctor_of(system.settings, timedelta(days=1)) as doctor:
            return {each.instance_id: each.kind for each in await doctor.examine()}

    assert asyncio.run(examined()).get(child) == "unsigned_start"
