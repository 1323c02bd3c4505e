"""An operator ends a request in the moment of its approval: one end, one answer, and a card without buttons."""

import asyncio
import json

import pytest

from approvals.authority import Role
from approvals.verbs import VERBS
from bot.access.refusals import Refused
from bot.control.operations.calls import Given
from records import audit, ledger
from tests.in_process import Program, caller, eventually

OPERATOR = caller(Role.OPERATOR)
WAITS_S = (0.0, 0.01, 0.03, 0.06)


async def managed(program: Program, verb: str, order: str, wait_s: float) -> bool:
    """Do what an operator does, a little later. Returns whether it was done."""
    await asyncio.sleep(wait_s)
    try:
        given = Given(reason="a race", force=verb == "purge")
        return (await program.services.operations.act(OPERATOR, VERBS[verb], order, given)).changed
    except Refused:
        return False


async def unanswered(program: Program, order: str) -> bool:
    return None in await program.verdicts(order)


async def offers_a_decision(program: Program, order: str) -> bool:
    return "approval_approve" in json.dumps(program.card(order).blocks)


@pytest.mark.parametrize("verb", ["terminate", "purge"])
async def test_an_operator_and_an_approver_at_once_give_one_end(program: Program, verb: str) -> None:
    orders = [await program.asked(f"{verb}{number}") for number in range(len(WAITS_S))]
    races = [
        asyncio.gather(program.click("U0MANAGER", order), managed(program, verb, order, wait_s))
        for order, wait_s in zip(orders, WAITS_S, strict=True)
    ]
    await asyncio.gather(*races)
    for order in orders:
        for _ in range(3):
            await program.later(seconds=31)  # what the workflow did not answer is answered at the next delivery
            await program.services.deliverer.round()
            await program.services.reconciler.look()
            await program.services.card_repair.repair()
        await eventually(lambda order=order: unanswered(program, order), lambda waits: not waits)  # type: ignore[misc]
        await eventually(lambda order=order: offers_a_decision(program, order), lambda offers: not offers)  # type: ignore[misc]
        row, actions = await program.row(order), await program.audited(order)
        assert row.ended_as in {"approved", "terminated"}
        assert (row.ended_as == "approved") == ("request.approved" in actions), (row.ended_as, actions)
        async with program.services.database.read() as connection:
            effects = await ledger.of_order(connection, row.subject)
        assert len(effects) <= (row.ended_as == "approved")
    assert (await audit.verify(program.services.database)).ok
