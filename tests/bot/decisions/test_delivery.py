"""A decision reaches its workflow, or is answered: after an engine that was away, a lost answer, an end, a pause."""

from approvals.decision import Reason, Verdict
from approvals.messages import message_for
from bot.decisions.delivery import DELIVERER_LEASE
from bot.engine.client import EngineRefusedError, EngineUnavailableError, UnknownInstanceError
from bot.process.periodic import NextRound
from records import intake
from tests.in_process import Program, eventually


async def taken(program: Program, instance_id: str) -> intake.Row:
    """Return the one decision of a request, as the intake has it."""
    async with program.services.database.read() as connection:
        [row] = await intake.of_instance(connection, instance_id)
    return row


async def test_an_engine_that_was_away_gets_the_decision_when_it_is_back(program: Program) -> None:
    order = await program.asked()
    program.engine.away = EngineUnavailableError("away")
    assert (await program.click("U0MANAGER", order)).ok
    await eventually(lambda: failed(program))
    assert (await taken(program, order)).state == "pending"
    program.engine.away = None
    await program.later(seconds=6)
    await program.services.deliverer.round()
    assert (await program.ended(order))["status"] == "completed"


async def failed(program: Program) -> int:
    return program.services.deliverer.failures


async def test_what_another_process_delivered_is_no_trouble_of_this_one(program: Program) -> None:
    """Nor is a raise that timed out and was kept: its decision is answered without a second one."""
    order, other = await program.asked("42"), await program.asked("43")
    program.engine.away = EngineUnavailableError("away")
    for each in (order, other):
        await program.click("U0MANAGER", each)
    await eventually(lambda: failed_twice(program))
    program.engine.away = None
    await program.services.deliverer.round()
    assert program.services.deliverer.raises.failing == {order, other}
    await answered_elsewhere(program, order)
    await program.services.deliverer.round()
    assert program.services.deliverer.raises.failing == {other}
    await answered_elsewhere(program, other)
    await program.services.deliverer.round()
    assert program.services.deliverer.raises.message == "ok"


async def failed_twice(program: Program) -> bool:
    return program.services.deliverer.failures == 2


async def answered_elsewhere(program: Program, instance_id: str) -> None:
    verdict = Verdict(allowed=True, reason=Reason.ALLOWED, rule="elsewhere").model_dump(mode="json")
    async with program.services.database.write() as connection:
        await intake.answer(connection, (await taken(program, instance_id)).id, verdict, program.services.clock())


async def test_a_refusal_of_the_engine_is_tried_again_too(program: Program) -> None:
    order = await program.asked()
    program.engine.failing = EngineRefusedError("the store is full")
    await program.click("U0MANAGER", order)
    await eventually(lambda: failed(program))
    await program.later(seconds=6)
    await program.services.deliverer.round()
    assert (await program.ended(order))["status"] == "completed"


async def test_a_decision_of_a_process_that_died_is_delivered_by_the_loop(program: Program) -> None:
    order = await program.asked()
    program.engine.failing = EngineUnavailableError("away")
    await program.click("U0MANAGER", order)
    await eventually(lambda: failed(program))
    assert await program.services.deliverer.round() == NextRound(in_s=1.0)  # its lease is not over: nothing is due
    assert (await taken(program, order)).attempts == 1
    await program.later(seconds=6)
    await program.services.deliverer.round()
    assert (await program.ended(order))["status"] == "completed"


async def test_a_decision_that_this_process_is_still_raising_is_not_another_one_s(program: Program) -> None:
    order = await program.asked()
    program.engine.hanging.clear()
    assert (await program.click("U0MANAGER", order)).ok
    for _ in range(4):
        await program.later(seconds=3)
        await program.services.deliverer.round()
        assert await due(program) == ()
    assert (await taken(program, order)).attempts == 1
    program.engine.hanging.set()
    assert (await program.ended(order))["status"] == "completed"
    assert len(program.engine.raised) == 1


async def test_a_decision_of_a_process_that_was_killed_in_the_middle_of_a_raise_is_due_after_its_lease(
    program: Program,
) -> None:
    order = await program.asked()
    program.engine.hanging.clear()
    assert (await program.click("U0MANAGER", order)).ok
    await program.later(seconds=4)
    assert await due(program) == ()
    await program.later(seconds=2)
    assert [row.instance_id for row in await due(program)] == [order]


async def due(program: Program) -> tuple[intake.Row, ...]:
    """Return what another process would get now."""
    async with program.services.database.write() as connection:
        return await intake.due(connection, program.clock(), 10, DELIVERER_LEASE)


async def test_a_decision_for_an_instance_that_is_gone_is_answered_and_told(program: Program) -> None:
    order = await program.asked()
    program.engine.failing = UnknownInstanceError(order)
    del program.engine.instances[order]
    await program.click("U0MANAGER", order)
    await program.hears("U0MANAGER", message_for(Reason.REQUEST_OVER))
    row = await taken(program, order)
    assert (row.state, (row.verdict or {})["reason"]) == ("answered", "request_over")
    assert (await program.audited(order))[-1] == "decision.refused"


async def test_what_the_engine_calls_unknown_and_knows_is_raised_again(program: Program) -> None:
    order = await program.asked()
    program.engine.failing = UnknownInstanceError(order)
    await program.click("U0MANAGER", order)
    await eventually(lambda: failed(program))
    assert (await taken(program, order)).state == "pending"


async def test_a_raise_whose_answer_is_lost_is_repeated_and_counts_once(program: Program) -> None:
    order = await program.asked()
    program.engine.swallow = 1
    await program.click("U0MANAGER", order)
    await eventually(lambda: raised(program))
    await program.later(seconds=31)
    await program.services.deliverer.round()
    assert (await program.ended(order))["status"] == "completed"
    assert (await program.audited(order)).count("request.accepted") == 1
    assert len(program.engine.raised) == 2


async def raised(program: Program) -> int:
    return len(program.engine.raised)


async def test_an_end_that_nobody_saw_answers_what_is_left(program: Program) -> None:
    order = await program.asked()
    program.engine.swallow = 1
    await program.click("U0MANAGER", order)
    await eventually(lambda: raised(program))
    await program.engine.terminate(order, {"reason": "elsewhere"})
    await program.later(seconds=31)
    await program.services.deliverer.round()
    row = await taken(program, order)
    assert (row.verdict or {})["reason"] == "request_over"


async def test_a_pause_keeps_a_decision_that_was_raised_and_raises_it_no_more(program: Program) -> None:
    order = await program.asked()
    await program.engine.pause(order)
    await program.click("U0MANAGER", order)
    await eventually(lambda: raised(program))
    for _ in range(3):
        await program.later(minutes=11)
        await program.services.deliverer.round()
    row = await taken(program, order)
    assert (row.state, row.verdict) == ("raised", None)
    assert len(program.engine.raised) == 2  # the second one made sure that it has the event
    await program.engine.resume(order)
    assert (await program.ended(order))["status"] == "completed"


async def test_an_answer_is_waited_for_and_none_comes_of_an_unknown_decision(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    decision = (await taken(program, order)).id
    verdict = await program.services.answers.wait(decision, 5.0)
    assert verdict is not None
    assert verdict.allowed
    assert await program.services.answers.wait("never heard of", 0.01) is None


async def test_a_delivery_that_breaks_down_is_counted_and_keeps_nobody_waiting(program: Program) -> None:
    first, second = await program.asked("1"), await program.asked("2")
    program.engine.away = EngineUnavailableError("away")
    await program.click("U0MANAGER", first)
    await program.click("U0MANAGER", second)
    await eventually(lambda: failed(program), lambda count: count == 2)
    program.engine.away = None
    program.engine.failing = ZeroDivisionError("unexpected")
    await program.later(seconds=31)
    await program.services.deliverer.round()
    done = await eventually(lambda: statuses(program), lambda found: "COMPLETED" in found)
    assert sorted(done) == ["COMPLETED", "RUNNING"]
    assert program.services.deliverer.failures == 3
    await program.later(seconds=31)
    await program.services.deliverer.round()
    await eventually(lambda: statuses(program), lambda found: found == ["COMPLETED", "COMPLETED"])


async def statuses(program: Program) -> list[str]:
    return [each.status for each in program.engine.instances.values()]
