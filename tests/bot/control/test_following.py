"""The event stream: what a client hears from its position on, and what it may not hear."""

import asyncio
from contextlib import aclosing

import pytest

from approvals.audit_actions import AuditAction
from approvals.authority import Role
from bot.access.authenticating import Caller
from bot.access.refusals import Refused
from bot.control.reading.event_stream import BEHIND, Change, Position
from records import audit
from records.columns import to_micros
from tests.in_process import Program, caller, eventually

OPERATOR = caller(Role.OPERATOR)
REQUESTER = caller(Role.REQUESTER, email="requester@example.com")


async def heard(program: Program, who: Caller, after: str, seconds: float = 0.3) -> list[Change]:
    """Return everything that a client hears within so many seconds."""
    async with aclosing(program.services.following.follow(who, after, seconds)) as changes:
        return [each async for each in changes]


async def followers(program: Program) -> int:
    return program.services.following.followers


async def test_a_client_hears_what_moved_and_what_was_audited_after_its_position(program: Program) -> None:
    order = await program.asked()
    found = await heard(program, OPERATOR, f"0-{to_micros(program.clock())}")
    assert "order.started" in {each.data["type"] for each in found if each.kind == "history"}
    assert [each.instance_id for each in found if each.kind == "workflow"] == [order]
    again = await heard(program, OPERATOR, found[-1].position)
    assert [each for each in again if each.kind == "history"] == []


async def test_a_client_that_waits_is_woken(program: Program) -> None:
    following = program.services.following

    async def first() -> Change:
        async with aclosing(following.follow(OPERATOR, "", 30.0)) as changes:
            return await anext(changes)

    waiting = asyncio.create_task(first())
    await eventually(lambda: followers(program))
    order = await program.asked()
    assert (await waiting).instance_id == order
    assert following.followers == 0


async def test_a_client_hears_of_others_requests_nothing(program: Program) -> None:
    await program.asked("own")
    await program.asked("other", requester="vp@example.com")
    found = await heard(program, REQUESTER, f"0-{to_micros(program.clock())}")
    assert {each.instance_id for each in found} == {"order-own-workflow"}
    with pytest.raises(Refused):
        await program.services.following.demand(caller())


async def test_a_client_that_is_far_behind_is_told_to_read_the_lists_again(program: Program) -> None:
    entry = audit.Entry(at=program.clock(), actor="key:1", action=AuditAction.ACCESS_REFUSED)
    async with program.services.database.write() as connection:
        for _ in range(BEHIND + 1):
            await audit.append(connection, entry)
    [found] = await heard(program, OPERATOR, f"0-{to_micros(program.clock())}")
    assert found.kind == "reset"
    assert await heard(program, OPERATOR, found.position) == []


async def test_the_process_s_end_ends_the_streams(program: Program) -> None:
    waiting = asyncio.create_task(heard(program, OPERATOR, "", 30.0))
    await eventually(lambda: followers(program))
    program.services.following.end()
    assert await asyncio.wait_for(waiting, 2) == []


@pytest.mark.parametrize("text", ["", "1", "-", "a-b", "1-b", "1-" + "9" * 50, "1-" + "9" * 38, "\u0661-1"])
def test_what_is_no_position_is_none(text: str) -> None:
    assert Position.parse(text) is None
