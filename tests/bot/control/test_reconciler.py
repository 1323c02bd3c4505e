"""What moved behind the app's back is found: the row follows the engine, the card is rewritten, the audit says so."""

import json
from datetime import timedelta

import pytest

from bot import services
from bot.control.reconciling.doctor import YOUNG, Doctor, IssueKind
from bot.decisions.submissions import DecisionSubmission
from bot.engine.client import EngineRefusedError, EngineUnavailableError, UnlistableError
from records import instances
from tests.in_process import Program, eventually

ACTOR = "operator@example.com"


def shows_buttons(program: Program, instance_id: str) -> bool:
    return "approval_approve" in json.dumps(program.card(instance_id).blocks)


async def test_a_row_follows_the_engine_to_the_end(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    await program.services.reconciler.follow()
    row = await program.row(order)
    assert (row.engine_status, row.phase) == ("COMPLETED", "approved")
    assert row.finished_at is not None
    for _ in range(8):  # each look is later than the one before, and then it ends
        await program.later(seconds=20)
        await program.services.reconciler.follow()
    assert (await program.services.reconciler.look()).seen == 0


async def test_what_another_tool_stopped_loses_its_buttons_and_is_audited(program: Program) -> None:
    order = await program.asked()
    await program.engine.terminate(order, {"reason": "from another console"})
    found = await program.services.reconciler.look()
    assert (found.seen, found.changed) == (1, 1)
    assert (await program.row(order)).phase == "terminated"
    assert (await program.audited(order))[-1] == "workflow.found_terminated"
    await eventually(lambda: buttons(program, order), lambda shown: not shown)


async def buttons(program: Program, instance_id: str) -> bool:
    return shows_buttons(program, instance_id)


async def test_what_another_tool_paused_is_shown_as_paused(program: Program) -> None:
    order = await program.asked()
    await program.engine.pause(order)
    await program.services.reconciler.look()
    row = await program.row(order)
    assert (row.engine_status, row.phase) == ("SUSPENDED", "waiting")
    assert row.wanted.endswith("paused")
    await program.later(minutes=1)
    assert await program.services.card_repair.repair() == 1
    assert "aused" in json.dumps(program.card(order).blocks)


async def test_a_card_of_what_was_decided_meanwhile_keeps_what_it_has_to_show(program: Program) -> None:
    order = await program.asked()
    as_read = await program.row(order)
    await program.click("U0MANAGER", order)
    await program.ended(order)
    decided = await program.row(order)
    for paused, status in ((False, "RUNNING"), (True, "SUSPENDED")):
        seen = instances.Changes(engine_status=status)  # type: ignore[arg-type]
        await program.services.reconciler.rows.note_status(as_read, seen, paused=paused)
        assert (await program.row(order)).wanted == decided.wanted == "approved"


async def test_what_another_tool_purged_has_ended(program: Program) -> None:
    order = await program.asked()
    await program.engine.purge(order, force=True)
    assert (await program.services.reconciler.look()).vanished == 1
    assert (await program.audited(order))[-1] == "workflow.found_vanished"
    assert (await program.row(order)).phase == "terminated"


async def test_a_history_that_was_purged_after_the_end_is_forgotten_here_too(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    await program.services.reconciler.look()
    await eventually(lambda: program.row(order), lambda row: row.shown == row.wanted)
    await program.engine.purge(order)
    await program.later(seconds=5)
    found = await program.services.reconciler.sweep()
    assert found.purged == 1
    assert (await program.row(order)).phase == "purged"
    assert (await program.audited(order))[-1] == "workflow.found_purged"


async def test_what_another_program_started_is_listed(program: Program) -> None:
    for number in range(5):
        program.engine.put(f"foreign-{number}", "RUNNING", "somebody_elses")
    found = await program.services.reconciler.sweep()
    assert (found.seen, found.added) == (5, 5)
    assert (await program.row("foreign-3")).name == "somebody_elses"
    assert (await program.services.reconciler.sweep()).added == 0


async def test_what_was_listed_before_its_first_turn_gets_its_name_later(program: Program) -> None:
    program.engine.put("foreign", "PENDING", "")
    await program.services.reconciler.sweep()
    assert (await program.row("foreign")).name == ""
    program.engine.put("foreign", "RUNNING", "somebody_elses")
    await program.services.reconciler.look()
    assert (await program.row("foreign")).name == "somebody_elses"


async def test_a_row_that_was_lost_with_its_database_is_rebuilt_from_the_history(program: Program) -> None:
    order = await program.asked()
    await program.forget_rows()
    await program.services.reconciler.sweep()
    row = await program.row(order)
    assert (row.phase, row.subject, row.engine_status) == ("waiting", "42", "RUNNING")
    assert [card.ts for card in row.cards] == [program.card(order).ts]
    assert (await program.click("U0MANAGER", order)).ok
    await program.becomes(order, "approved")


@pytest.mark.parametrize("end", ["approved by key", "stopped from outside"])
async def test_a_card_that_the_database_was_restored_before_loses_its_buttons_at_the_end(
    program: Program, end: str
) -> None:
    order = await program.asked()
    row = await program.row(order)
    assert row.state is not None
    before = row.state.model_copy(update={"cards": ()})
    await program.mark(order, state=before, cards=(), posting="", posted="", shown="", wanted="")
    if end == "approved by key":
        manager = await program.services.directory.find("U0MANAGER")
        assert manager is not None
        await program.services.decisions.take(
            DecisionSubmission(id="by-key", instance_id=order, person=manager.person, approved=True, through="rest")
        )
        await program.ended(order)
    else:
        await program.engine.terminate(order, {"reason": "from another console"})
    await program.services.reconciler.look()
    await eventually(lambda: buttons(program, order), lambda shown: not shown)
    assert [card.ts for card in (await program.row(order)).cards] == [program.card(order).ts]


async def test_an_end_that_only_the_history_tells_is_the_rows(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    await program.forget_rows()
    await program.services.reconciler.sweep()
    assert (await program.row(order)).phase == "approved"


@pytest.mark.parametrize(
    ("output", "phase"),
    [
        ({"status": "completed"}, "failed"),
        ({"status": "rejected", "reason": "approval_timeout"}, "timed_out"),
        ({"status": "rejected", "reason": "no"}, "rejected"),
        ("something else", "terminated"),
    ],
)
async def test_an_end_without_evidence_is_believed_only_if_it_denies(
    program: Program, output: object, phase: str
) -> None:
    await program.begun("foreign", phase="waiting")
    program.engine.put("foreign", "COMPLETED", output=json.dumps(output))
    await program.services.reconciler.look()
    assert (await program.row("foreign")).phase == phase


async def test_an_engine_that_is_away_ends_the_look_and_changes_nothing(program: Program) -> None:
    order = await program.asked()
    program.engine.away = EngineUnavailableError("away")
    with pytest.raises(EngineUnavailableError):
        await program.services.reconciler.look()
    assert (await program.row(order)).phase == "waiting"


async def test_an_instance_that_cannot_be_compared_is_left_out_and_the_others_go_on(program: Program) -> None:
    first, second = await program.asked("1"), await program.asked("2")
    await program.engine.terminate(second, {})
    program.engine.ill[first] = EngineRefusedError("it is stalled")
    found = await program.services.reconciler.look()
    assert (found.changed, program.services.reconciler.left_out) == (1, 1)
    assert (await program.row(second)).phase == "terminated"


async def test_an_engine_that_knows_hardly_anything_ends_nothing(program: Program) -> None:
    for number in range(25):
        await program.begun(f"kept-{number}", phase="waiting")
    assert (await program.services.reconciler.look()).vanished == 0
    assert (await program.row("kept-3")).phase == "waiting"


async def test_an_engine_that_cannot_list_is_compared_all_the_same(program: Program) -> None:
    program.engine.unlistable = UnlistableError("an id is in its way")
    assert (await program.services.reconciler.sweep()).seen == 0


# ---- the doctor -----------------------------------------------------------------------------------------------------


def doctor(program: Program) -> Doctor:
    return services.doctor(program.services, timedelta(0))


async def ills(program: Program) -> dict[str, IssueKind]:
    return {each.instance_id: each.kind for each in await doctor(program).examine()}


async def test_the_doctor_finds_each_damage_and_heals_what_can_be_healed(program: Program) -> None:
    diverged, vanished, wedged = [await program.asked(each) for each in ("diverged", "vanished", "wedged")]
    lying = await program.asked("lying")
    await program.begun("never", phase="starting")
    program.engine.put("orphaned", "RUNNING", "somebody_elses")
    program.engine.put("stalled", "STALLED")
    await program.begun("stalled", phase="unknown", engine_status="STALLED")
    await program.engine.terminate(diverged, {})
    await program.engine.purge(vanished, force=True)
    program.engine.note(wedged, executionSuspended={})
    program.engine.note(wedged, executionSuspended={})
    await program.mark(lying, shown="older")
    await program.later(minutes=5)
    found = await doctor(program).examine()
    assert {each.instance_id: each.kind for each in found} == {
        diverged: IssueKind.DIVERGED,
        vanished: IssueKind.VANISHED,
        wedged: IssueKind.WEDGED,
        lying: IssueKind.CARD_LIES,
        "never": IssueKind.NEVER_STARTED,
        "orphaned": IssueKind.ORPHANED,
        "stalled": IssueKind.STALLED,
    }
    assert await program.audited(diverged) == [each for each in await program.audited(diverged) if "doctor" not in each]
    after = await doctor(program).heal(found, ACTOR)
    healed = {each.instance_id: each.healed for each in after}
    assert healed == {
        diverged: True,
        vanished: True,
        wedged: True,
        lying: True,
        "orphaned": True,
        "never": None,
        "stalled": None,
    }
    assert "doctor.healed_diverged" in await program.audited(diverged)
    assert set((await ills(program)).values()) == {IssueKind.NEVER_STARTED, IssueKind.STALLED}


async def test_the_doctor_leaves_what_has_just_ended_to_the_reconciler_and_names_it_when_it_stays_behind(
    program: Program,
) -> None:
    order = await program.asked()
    await program.later(minutes=5)
    await program.engine.terminate(order, {})
    found = {}
    for seconds in (0, 40, 40, 20):
        await program.later(seconds=seconds)
        examined = await services.doctor(program.services, YOUNG).examine()
        found[program.clock.ahead.total_seconds() - 300] = [each.kind for each in examined]
    assert found == {0: [], 40: [], 80: [], 100: [IssueKind.DIVERGED]}


async def test_the_doctor_names_a_workflow_that_broke_off(program: Program) -> None:
    order = await program.asked()
    program.engine.become(order, "FAILED", failure="ZeroDivisionError: oh")
    await program.services.reconciler.look()
    await program.later(minutes=5)
    [found] = [each for each in await doctor(program).examine() if each.kind is IssueKind.FAILED]
    assert "ZeroDivisionError: oh" in found.sentence


async def test_the_doctor_names_what_the_engine_cannot_read_and_examines_the_others(program: Program) -> None:
    damaged, failed, other = await program.asked("1"), await program.asked("2"), await program.asked("3")
    program.engine.become(failed, "FAILED", failure="ZeroDivisionError: oh")
    program.engine.become(other, "STALLED")
    await program.services.reconciler.look()
    for each in (damaged, failed):
        program.engine.ill[each] = EngineRefusedError("inbox key declared in metadata but missing from state store")
    await program.later(minutes=5)
    found = [each for each in await doctor(program).examine() if each.kind in {IssueKind.DAMAGED, IssueKind.STALLED}]
    assert {(each.instance_id, each.kind) for each in found} == {
        (damaged, IssueKind.DAMAGED),
        (failed, IssueKind.DAMAGED),
        (other, IssueKind.STALLED),
    }
    assert "inbox key declared in metadata" in next(each.sentence for each in found if each.instance_id == damaged)


async def test_the_doctor_names_a_decision_without_an_answer_and_delivers_it_again(program: Program) -> None:
    order = await program.asked()
    program.engine.swallow = 1
    await program.click("U0MANAGER", order)
    await program.later(minutes=5)
    [found] = await doctor(program).examine()
    assert (found.kind, found.instance_id) == (IssueKind.UNANSWERED, order)
    [healed] = await doctor(program).heal([found], ACTOR)
    assert healed.healed is None
    await program.services.deliverer.round()
    assert (await program.ended(order))["status"] == "completed"


async def test_the_doctor_names_what_slack_refused_to_tell(program: Program) -> None:
    program.slack.fault(method="conversations.open", kind="error", error="user_disabled", count=None)
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    await eventually(lambda: refused(program))
    [found] = [each for each in await doctor(program).examine() if each.kind is IssueKind.UNTOLD]
    assert "user_disabled" in found.sentence


async def refused(program: Program) -> list[str]:
    return [each.sentence for each in await doctor(program).examine() if each.kind is IssueKind.UNTOLD]


async def test_the_doctor_says_what_it_cannot_list(program: Program) -> None:
    program.engine.unlistable = UnlistableError("an id holds '||'")
    [found] = await doctor(program).examine()
    assert found.kind is IssueKind.UNLISTABLE
