"""From what a caller asks to a request: money, fields, for whom it is asked, and which kinds are theirs to ask for."""

from decimal import Decimal
from typing import Any

import pytest

from approvals.authority import Role
from bot.access.refusals import Kind, Refused
from bot.control.operations.asking import RequestInput
from tests.in_process import Program, caller

REQUESTER = caller(Role.REQUESTER, email="requester@example.com")

UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"amount": None}, "amount of the order is missing"),
    ({"amount": None, "currency": "USD", "kind": "deploy"}, "a currency and no amount"),
    ({"amount": "-1"}, "must not be negative"),
    ({"amount": "1e13"}, "taken for a mistake"),
    ({"amount": "1.001"}, "more than 2 decimal places"),
    ({"amount": "1.5", "currency": "JPY"}, "more than 0 decimal places"),
    ({"requester": " "}, "must name somebody"),
    ({"fields": {"host": ["a", "b"]}}, "'host' must be a text"),
    ({"callback": "https://example.com/"}, "API key"),
]


async def both(program: Program, asked: RequestInput) -> None:
    await program.services.asking.request(REQUESTER, asked)
    await program.services.asking.callback(REQUESTER, asked)


async def test_each_mistake_is_refused_with_its_message(program: Program) -> None:
    for fields, part in UNUSABLE:
        known: dict[str, Any] = {"subject": "42", "amount": "2400"}
        asked = RequestInput(**known | fields)
        with pytest.raises(Refused, match=part) as raised:
            await both(program, asked)
        assert raised.value.kind is Kind.INVALID, fields


async def test_a_request_is_for_the_caller_in_the_policys_currency(program: Program) -> None:
    fields = {"urgent": True, "host": "web-1", "count": 3}
    made = await program.services.asking.request(
        REQUESTER, RequestInput(subject="42", amount=Decimal("-0"), fields=fields)
    )
    assert (made.requester, made.submitted_by) == ("requester@example.com", "requester@example.com")
    assert (str(made.amount), made.currency) == ("0.00", "USD")
    assert made.fields == {"urgent": "yes", "host": "web-1", "count": "3"}
    assert await program.services.asking.callback(REQUESTER, RequestInput(subject="42")) is None


async def test_asking_for_others_is_a_right_of_its_own(program: Program) -> None:
    asked = RequestInput(subject="42", amount=Decimal(2400), requester="vp@example.com")
    for role, allowed in ((Role.ASKER, False), (Role.FOR_OTHERS, True)):
        who = caller(role, email="requester@example.com")
        if allowed:
            assert (await program.services.asking.request(who, asked)).requester == "vp@example.com"
            continue
        with pytest.raises(Refused) as raised:
            await program.services.asking.request(who, asked)
        assert raised.value.kind is Kind.NOT_ALLOWED


async def test_a_key_asks_only_for_its_own_kinds(program: Program) -> None:
    narrow = REQUESTER.model_copy(update={"kinds": frozenset({"deploy"})})
    with pytest.raises(Refused, match="You may not ask for order"):
        await program.services.asking.request(narrow, RequestInput(subject="42", amount=Decimal(2400)))
    assert (await program.services.asking.request(narrow, RequestInput(kind="deploy", subject="web"))).kind == "deploy"


async def test_a_policy_that_cannot_be_read_starts_nothing(program: Program) -> None:
    program.policy.write_text("nonsense: [")
    with pytest.raises(Refused) as raised:
        await program.services.asking.request(REQUESTER, RequestInput(subject="42", amount=Decimal(2400)))
    assert raised.value.kind is Kind.UNAVAILABLE
