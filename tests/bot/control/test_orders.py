"""Starting an order on an SQLite file and a fake engine: the same call again, other content, an engine that is away."""

from typing import Any

import pytest

from approvals.request import ApprovalRequest
from bot.access.refusals import Kind, Refused
from bot.engine.client import EngineRefusedError, EngineUnavailableError
from tests.bot.control.conftest import House

ID = "order-42-workflow"


def request(**fields: Any) -> ApprovalRequest:
    known = {"subject": "42", "amount": "2400", "currency": "USD", "requester": "req@example.com"}
    return ApprovalRequest(**known | fields)


async def test_the_same_call_again_finds_the_same_instance(house: House) -> None:
    first = await house.orders.start(request(), "key:1", "rest")
    again = await house.orders.start(request(), "key:1", "rest")
    assert (first.instance_id, first.new, again.instance_id, again.new) == (ID, True, ID, False)
    assert await house.audited() == ["order.started"]


async def test_other_content_under_the_same_id_is_a_conflict(house: House) -> None:
    await house.orders.start(request(), "key:1", "rest")
    with pytest.raises(Refused, match="with other content") as raised:
        await house.orders.start(request(amount="2401"), "key:1", "rest")
    assert raised.value.kind is Kind.CONFLICT


async def test_an_order_for_which_nobody_can_be_asked_starts_nothing(house: House) -> None:
    with pytest.raises(Refused) as raised:
        await house.orders.start(request(amount="9000"), "key:1", "rest")
    assert raised.value.kind is Kind.INVALID
    assert (house.engine.instances, await house.audited()) == ({}, [])


@pytest.mark.parametrize(
    ("error", "kind", "retry_after"),
    [
        (EngineUnavailableError("away"), Kind.UNAVAILABLE, 5),
        (EngineRefusedError("no"), Kind.INVALID, None),
    ],
)
async def test_an_engine_that_does_not_take_it_is_said_and_the_same_call_is_safe(
    house: House, error: Exception, kind: Kind, retry_after: float | None
) -> None:
    house.engine.failing = error
    with pytest.raises(Refused) as raised:
        await house.orders.start(request(), "key:1", "rest")
    assert (raised.value.kind, raised.value.retry_after) == (kind, retry_after)
    assert (await house.orders.start(request(), "key:1", "rest")).instance_id in house.engine.instances


async def test_an_id_that_has_run_is_not_run_again(house: House) -> None:
    house.engine.put(ID, "COMPLETED")
    with pytest.raises(Refused, match="has run and is over"):
        await house.orders.start(request(), "key:1", "rest")


async def test_a_decision_is_bound_only_where_somebody_is_asked(house: House) -> None:
    with pytest.raises(Refused, match="No request has started"):
        await house.orders.bound(ID, None)
    await house.orders.start(request(), "key:1", "rest")
    with pytest.raises(Refused, match="has not asked anybody yet"):
        await house.orders.bound(ID, None)


@pytest.mark.parametrize("url", ["http://orders.example/", "https://evil.example/", "ftp://orders.example/", ""])
async def test_a_callback_that_could_not_be_called_after_the_yes_starts_nothing(house: House, url: str) -> None:
    with pytest.raises(Refused, match="callback") as raised:
        await house.orders.start(request(callback=url), "key:1", "rest")
    assert raised.value.kind is Kind.INVALID
    assert (house.engine.instances, await house.audited()) == ({}, [])
    value = request(callback=url).model_dump(mode="json")
    with pytest.raises(Refused, match="callback"):
        house.starting.checked("approval_workflow", value, "i", None, "req@example.com")


async def test_an_allowed_callback_is_started(house: House) -> None:
    started = await house.orders.start(request(callback="https://orders.example/approved"), "key:1", "rest")
    assert started.instance_id in house.engine.instances
