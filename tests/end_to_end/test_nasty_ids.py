"""Ids with every character that the engine takes: through REST, cards, pages, lists and the command line."""

import asyncio
from datetime import timedelta
from urllib.parse import quote

import pytest

from bot.services import doctor_of
from tests.end_to_end.control_room import key
from tests.end_to_end.system import Order, System, eventually, text_of

NASTY = ["a|b", "a@b", "a:0001", "a..b", "日本 é", "a%2Fb", "a<b>&'\"c", "a*_~`c", "=1+1", "x"]


@pytest.mark.parametrize("name", [each for each in NASTY if each[0].isalnum()])
def test_an_order_with_a_nasty_id_is_asked_shown_and_approved(http_system: System, name: str) -> None:
    system = http_system
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


def test_an_id_with_two_bars_is_refused_at_every_door(http_system: System) -> None:
    system = http_system
    known = {"subject": "q", "amount": "1", "currency": "USD", "requester": "requester@example.com"}
    body = {"name": "approval_workflow", "input": known, "instance_id": "a||b"}
    assert system.post("/workflows", body, roles=("operator",)).status_code == 422
    assert system.post(f"/orders/{quote('a||b', safe='')}/start", {"amount": "2400"}).status_code == 422
    asked = system.post("/requests", {"kind": "order", "subject": "a||b", "amount": "2400"})
    assert asked.status_code == 422


def test_a_child_of_another_app_s_workflow_is_listed_and_examined(http_system: System) -> None:
    system = http_system
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
            return {each.instance_id: each.ill for each in await doctor.examine()}

    assert asyncio.run(examined()).get(child) == "unsigned_start"
