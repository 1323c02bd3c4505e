"""A bulk operation from its dry run to its end, in one loop: exactly what was shown is hit, once, by who may."""

from datetime import timedelta

import pytest

from approvals.authority import Role
from bot.access.refusals import Kind, Refused
from bot.control.operations.bulk import Plan, Status, workflow_id
from bot.control.operations.selection import BulkFilter
from bot.engine.client import EngineRefusedError
from tests.in_process import Program, caller, eventually

OPERATOR = caller(Role.OPERATOR)
ALL = BulkFilter(everything=True)


async def planned(program: Program, count: int = 3, wanted: BulkFilter = ALL, reason: str = "a recall") -> Plan:
    for number in range(count):
        await program.asked(str(number))
    return await program.services.bulk.dry_run(OPERATOR, "terminate", wanted, reason)


async def ended(program: Program, plan: Plan) -> Status:
    await program.ended(workflow_id(plan.operation_id))
    return await eventually(
        lambda: program.services.bulk.status(OPERATOR, plan.operation_id), lambda status: status.state == "done"
    )


async def refusal(program: Program, plan: Plan, kind: Kind, part: str, **given: str) -> None:
    """Start a plan that must be refused, and see that nothing has begun."""
    known = {"token": plan.token, "reason": "a recall"}
    with pytest.raises(Refused, match=part) as raised:
        await program.services.bulk.start(OPERATOR, **known | given)
    assert raised.value.kind is kind
    assert (await program.services.bulk.status(OPERATOR, plan.operation_id)).state == "planned"


async def test_a_dry_run_does_nothing_and_its_token_hits_what_it_has_shown(program: Program) -> None:
    plan = await planned(program)
    assert (plan.total, len(plan.lines), plan.ids[0]) == (3, 3, "order-0-workflow")
    assert {each.status for each in program.engine.instances.values()} == {"RUNNING"}
    later = await program.asked("later")  # the token does not mean it
    await program.services.bulk.start(OPERATOR, plan.token, "")
    status = await ended(program, plan)
    assert (status.total, status.done, status.failed, status.skipped) == (3, 3, 0, 0)
    assert program.engine.instances[later].status == "RUNNING"
    results = await program.services.bulk.results(OPERATOR, plan.operation_id)
    assert {each.state for each in results} == {"done"}
    again = await program.services.bulk.start(OPERATOR, plan.token, "")
    assert again.operation_id == plan.operation_id
    assert (await program.audited()).count("bulk.started") == 1


async def test_a_plan_that_is_not_what_it_was_starts_nothing(program: Program) -> None:
    plan = await planned(program, 1)
    await refusal(program, plan, Kind.CONFLICT, "belongs to no dry run of yours", token=plan.token + "0")
    await refusal(program, plan, Kind.CONFLICT, "was for terminate, not purge", action="purge")
    await program.later(hours=2)
    await refusal(program, plan, Kind.CONFLICT, "more than an hour old")


async def test_a_bulk_operation_needs_a_reason_and_a_filter(program: Program) -> None:
    plan = await planned(program, 1, reason=" ")
    await refusal(program, plan, Kind.INVALID, "needs a reason", reason=" ")
    with pytest.raises(Refused, match="The filter is empty"):
        await program.services.bulk.dry_run(OPERATOR, "terminate", BulkFilter())


async def test_another_persons_plan_and_another_role_are_refused(program: Program) -> None:
    plan = await planned(program, 1)
    with pytest.raises(Refused, match="no dry run of yours"):
        await program.services.bulk.start(OPERATOR.model_copy(update={"actor": "key:2"}), plan.token, "r")
    with pytest.raises(Refused) as raised:
        await program.services.bulk.dry_run(caller(Role.REQUESTER), "terminate", ALL)
    assert raised.value.kind is Kind.NOT_ALLOWED
    with pytest.raises(Refused) as raised:
        await program.services.bulk.status(OPERATOR, "never heard of")
    assert raised.value.kind is Kind.NOT_FOUND


async def test_what_failed_is_continued_and_the_rest_is_left(program: Program) -> None:
    plan = await planned(program, 3)
    with pytest.raises(Refused, match="has not started"):
        await program.services.bulk.continue_(OPERATOR, plan.operation_id)
    program.engine.ill["order-1-workflow"] = EngineRefusedError("it is stalled")
    await program.services.bulk.start(OPERATOR, plan.token, "")
    status = await ended(program, plan)
    assert (status.done, status.failed) == (2, 1)
    del program.engine.ill["order-1-workflow"]
    await program.services.bulk.continue_(OPERATOR, plan.operation_id, "once more")
    status = await ended(program, plan)
    assert (status.done, status.failed) == (3, 0)
    assert (await program.services.bulk.continue_(OPERATOR, plan.operation_id)).done == 3  # nothing is left to do
    assert (await program.audited()).count("bulk.continued") == 1


async def test_what_ended_by_itself_meanwhile_is_skipped(program: Program) -> None:
    plan = await planned(program, 2)
    await program.engine.terminate("order-0-workflow", {})
    await program.engine.purge("order-1-workflow", force=True)
    await program.services.bulk.start(OPERATOR, plan.token, "")
    status = await ended(program, plan)
    assert (status.done, status.skipped) == (0, 2)


async def test_an_operation_whose_workflow_was_ended_from_outside_has_stopped(program: Program) -> None:
    plan = await planned(program, 1)
    program.engine.activities = {}  # nobody works
    await program.services.bulk.start(OPERATOR, plan.token, "")
    assert (await program.services.bulk.status(OPERATOR, plan.operation_id)).state == "running"
    with pytest.raises(Refused, match="still under way"):
        await program.services.bulk.continue_(OPERATOR, plan.operation_id)
    await program.engine.terminate(workflow_id(plan.operation_id), {})
    await program.later(seconds=60)
    assert (await program.services.bulk.status(OPERATOR, plan.operation_id)).state == "stopped"
    program.plays()
    await program.services.bulk.continue_(OPERATOR, plan.operation_id)
    assert (await ended(program, plan)).done == 1


async def test_operations_are_listed_newest_first_without_mere_plans(program: Program) -> None:
    plan = await planned(program, 1)
    assert [each.state for each in await program.services.bulk.page(OPERATOR)] == ["planned"]
    assert await program.services.bulk.begun(OPERATOR, 10) == ()
    await program.services.bulk.start(OPERATOR, plan.token, "")
    await ended(program, plan)
    assert [each.id for each in await program.services.bulk.begun(OPERATOR, 10)] == [plan.operation_id]


async def test_a_selection_says_in_words_what_it_means(program: Program) -> None:
    assert (await planned(program, 1)).filter == "everything that can be terminated"
    old = BulkFilter(name="approval_workflow", older_than=timedelta(hours=2))
    assert (await program.services.bulk.dry_run(OPERATOR, "terminate", old)).total == 0
    await program.later(hours=3)
    plan = await program.services.bulk.dry_run(OPERATOR, "terminate", old)
    assert (plan.total, plan.filter) == (1, "name approval_workflow, created more than 2 hours ago")
    stuck = await program.services.bulk.dry_run(OPERATOR, "terminate", BulkFilter(stuck=True))
    assert (stuck.total, stuck.filter) == (1, "no progress for 2 hours or past its deadline")
