"""Starting an order on an SQLite file and a fake engine: the same call again, other content, an engine that is away."""

import asyncio
from typing import Any

import pytest

from approvals.request import ApprovalRequest
from bot.access.refusals import Kind, Refused
from bot.decisions.submitting import Decisions
from bot.engine.client import EngineRefusedError, EngineUnavailableError
from tests.bot.control.conftest import House

ID = "order-42-workflow"


def request(**fields: Any) -> ApprovalRequest:
    known = {"subject": "42", "amount": "2400", "currency": "USD", "requester": "req@example.com"}
    return ApprovalRequest(**known | fields)


async def test_the_same_call_again_finds_the_same_instance(house: House) -> None:
    first = await house.starting.ask(request(), "key:1", "rest")
    again = await house.starting.ask(request(), "key:1", "rest")
    assert (first.instance_id, first.new, again.instance_id, again.new) == (ID, True, ID, False)
    assert await house.audited() == ["order.started"]


async def test_other_content_under_the_same_id_is_a_conflict(house: House) -> None:
    await house.starting.ask(request(), "key:1", "rest")
    with pytest.raises(Refused, match="with other content") as raised:
        await house.starting.ask(request(amount="2401"), "key:1", "rest")
    assert raised.value.kind is Kind.CONFLICT


async def test_an_order_for_which_nobody_can_be_asked_starts_nothing(house: House) -> None:
    with pytest.raises(Refused) as raised:
        await house.starting.ask(request(amount="9000"), "key:1", "rest")
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
        await house.starting.ask(request(), "key:1", "rest")
    assert (raised.value.kind, raised.value.retry_after) == (kind, retry_after)
    assert (await house.starting.ask(request(), "key:1", "rest")).instance_id in house.engine.instances


async def test_an_id_that_has_run_is_not_run_again(house: House) -> None:
    house.engine.put(ID, "COMPLETED")
    with pytest.raises(Refused, match="has run and is over"):
        await house.starting.ask(request(), "key:1", "rest")


async def test_a_decision_is_bound_only_where_somebody_is_asked(house: House) -> None:
    none: Any = None
    decisions = Decisions(
        database=house.database,
        judge=none,
        keys=none,
        deliverer=none,
        answers=none,
        states=none,
        background=none,
        clock=none,
    )
    with pytest.raises(Refused, match="No request has started"):
        await decisions.bound(ID, None)
    await house.starting.ask(request(), "key:1", "rest")
    with pytest.raises(Refused, match="has not asked anybody yet"):
        await decisions.bound(ID, None)


@pytest.mark.parametrize("url", ["http://orders.example/", "https://evil.example/", "ftp://orders.example/", ""])
async def test_a_callback_that_could_not_be_called_after_the_yes_starts_nothing(house: House, url: str) -> None:
    with pytest.raises(Refused, match="callback") as raised:
        await house.starting.ask(request(callback=url), "key:1", "rest")
    assert raised.value.kind is Kind.INVALID
    assert (house.engine.instances, await house.audited()) == ({}, [])
    value = request(callback=url).model_dump(mode="json")
    with pytest.raises(Refused, match="callback"):
        await house.starting.checked("approval_workflow", value, "i", None, "req@example.com")


async def test_an_allowed_callback_is_started(house: House) -> None:
    started = await house.starting.ask(request(callback="https://orders.example/approved"), "key:1", "rest")
    assert started.instance_id in house.engine.instances


QUOTAS = "quotas: {per_key: {at_most: 3, within: 1 hour}, per_approver: {at_most: 4, within: 1 day}}\n"


def said_by(refused: Refused) -> str:
    """Return whose quota is used up."""
    assert refused.kind is Kind.RATE_LIMITED
    assert refused.retry_after is not None
    return refused.message.partition(" may")[0]


async def started(house: House, count: int, actor: str) -> list[str]:
    """Start so many orders at once and return what became of each."""

    async def one(number: int) -> str:
        wanted = request(subject=f"{actor[4:]}-{number}")
        try:
            return "new" if (await house.starting.ask(wanted, actor, "rest")).new else ""
        except Refused as refused:
            return said_by(refused)

    return sorted(await asyncio.gather(*(one(number) for number in range(count))))


async def test_a_key_and_an_approver_have_their_quotas_and_each_refusal_says_whose(house: House) -> None:
    house.policy.write_text(house.policy.read_text() + QUOTAS)
    assert await started(house, 5, "key:a") == ["Your key"] * 2 + ["new"] * 3
    # The one that is left of the approver's four.
    approver = "An approver of this request (manager@example.com)"
    assert await started(house, 3, "key:b") == [approver] * 2 + ["new"]
    assert len(house.engine.instances) == 4
    assert (await house.audited()).count("order.started") == 4


async def test_a_repeated_start_takes_nothing_and_a_refused_one_counts_for_nobody(house: House) -> None:
    house.policy.write_text(house.policy.read_text() + QUOTAS)
    for _ in range(5):
        await house.starting.ask(request(), "key:a", "rest")
    await started(house, 9, "key:a")
    assert (await started(house, 1, "key:b"))[0] == "new"


async def test_a_workflow_started_by_name_takes_from_the_same_quotas(house: House) -> None:
    house.policy.write_text(house.policy.read_text() + QUOTAS)
    await started(house, 3, "key:a")
    value = request(subject="other").model_dump(mode="json")
    start = await house.starting.checked("approval_workflow", value, "other", None, "op@example.com")
    with pytest.raises(Refused, match="Your key") as raised:
        await house.starting.begin(start, "key:a")
    assert raised.value.kind is Kind.RATE_LIMITED
    assert (await house.starting.begin(start, "key:b"))[1]
