"""What auditors read: the audit and its check, decisions as pages and as a file, signed checkpoints."""

from pathlib import Path

import pytest

from approvals.authority import Role
from bot.access.refusals import Refused
from bot.control.reading.decided import DecisionQuery
from records import audit
from tests.in_process import Program, caller

AUDITOR = caller(Role.AUDITOR, email="auditor@example.com")
OPERATOR = caller(Role.OPERATOR)


async def decided(program: Program) -> str:
    """Have an order approved, and return its instance id."""
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    return order


async def test_the_audit_is_read_by_auditors_alone_and_found_by_an_orders_id(program: Program) -> None:
    order = await decided(program)
    trail = program.services.audit_trail
    assert await trail.instance_of("order 42") == order
    assert await trail.instance_of("never heard of") == "never heard of"
    entries = await trail.page(AUDITOR, audit.EntryFilter(instance_id=order), before=None, limit=3)
    assert entries[0].action == "effect.order_processed"
    older = await trail.page(AUDITOR, audit.EntryFilter(instance_id=order), before=entries[-1].seq, limit=50)
    assert older[-1].action == "order.started"
    assert "T0LOCAL/U0MANAGER" in await trail.actors()
    with pytest.raises(Refused):
        await trail.page(OPERATOR, audit.EntryFilter(), before=None, limit=3)


async def test_a_check_of_the_audit_is_itself_audited(program: Program) -> None:
    await decided(program)
    await program.services.checkpointing.take()
    assert (await program.services.audit_trail.verify(AUDITOR)).whole
    assert (await program.audited())[-1] == "audit.verified"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 1),
        ({"by": "manager@example.com"}, 1),
        ({"by": "vp@example.com"}, 0),
        ({"above": "2000", "currency": "USD"}, 1),
        ({"above": "3000"}, 0),
        ({"answer": "rejected"}, 0),
        ({"order": "42", "since": "1h"}, 1),
        ({"until": "2020-01-01"}, 0),
    ],
)
async def test_decisions_are_found_by_what_they_were_about(program: Program, query: dict[str, str], found: int) -> None:
    await decided(program)
    wanted = DecisionQuery.model_validate(query)
    assert len(await program.services.decided.page(AUDITOR, wanted)) == found
    lines = [line async for line in await program.services.decided.csv(AUDITOR, wanted)]
    assert len(lines) == 1 + found


async def test_a_search_while_slack_is_away_finds_by_the_text_alone(program: Program) -> None:
    await decided(program)
    await program.later(hours=2)
    program.slack.fault(method="users.lookupByEmail", kind="http_500", count=None)
    query = DecisionQuery.model_validate({"by": "nobody@example.com"})
    assert await program.services.decided.page(AUDITOR, query) == ()


async def test_a_checkpoint_stands_in_a_file_too(program: Program, tmp_path: Path) -> None:
    assert await program.services.checkpointing.take() is None  # the audit is empty
    await program.start("small", "20")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    program.services.checkpointing._folder = folder
    first = await program.services.checkpointing.take()
    assert first is not None
    assert len(list(folder.iterdir())) == 1
