"""Taking a decision on an SQLite file: from the cache, from a read, refused, repeated; each leaves one entry."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activities import recording
from approvals.decision import Judgement, Reason, Verdict
from approvals.machine import Effect
from approvals.people import Person
from approvals.signing import parse_key_ring
from approvals.state import State, binding_of
from bot.access.refusals import Kind, Refused
from bot.decisions.state_cache import StateCache
from bot.decisions.submissions import DecisionSubmission, SubmissionReceipt, WithdrawalSubmission
from bot.decisions.submitting import Decisions
from bot.process.background import Background
from records import audit, instances
from records.database import Database
from tests.approvals.story import ANN, BOB, NOW, OK, REQUESTER, Story
from tests.migrated import migrated

STORY = Story()


class AnyJudge:
    """Says the same of everybody, as if Slack had been asked."""

    def __init__(self) -> None:
        self.verdict, self.takes_s = OK, 0.0

    async def at_the_door(self, submitted: Any, state: State) -> Judgement:
        await asyncio.sleep(self.takes_s)
        return Judgement(verdict=self.verdict, emails=(f"{submitted.person.user.lower()}@example.com",))


class Kept:
    """Takes deliveries and delivers none."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def deliver(self, row: Any) -> None:
        self.rows.append(row)


class Desk:
    """Takes decisions in, with all that it stands on."""

    def __init__(self, database: Database) -> None:
        self.database, self.judge, self.delivered, self.states = database, AnyJudge(), Kept(), StateCache()
        judge: Any = self.judge
        deliverer: Any = self.delivered
        nobody_waits: Any = None
        self.decisions = Decisions(
            database=database,
            judge=judge,
            keys=parse_key_ring("k" * 40),
            deliverer=deliverer,
            answers=nobody_waits,
            states=self.states,
            background=Background(),
            clock=lambda: NOW,
        )

    async def stands(self, state: State) -> State:
        async with self.database.write() as connection:
            known = instances.Known(instance_id=state.instance_id, name="approval_workflow")
            await instances.insert(connection, known, NOW)
            changes = instances.Changes(**recording.projection(state))
            await instances.project(connection, state.instance_id, changes, NOW)
        return state

    async def take(self, state: State, person: Person = ANN, **fields: Any) -> SubmissionReceipt:
        known = {"id": "d-1", "binding": binding_of(state), "approved": True, "through": "slack"}
        return await self.decisions.take(
            DecisionSubmission(instance_id=state.instance_id, person=person, **known | fields)
        )

    async def withdraw(self, state: State, person: Person = REQUESTER, **fields: Any) -> SubmissionReceipt:
        known = {"id": "w-1", "binding": binding_of(state), "through": "slack"}
        return await self.decisions.take(
            WithdrawalSubmission(instance_id=state.instance_id, person=person, **known | fields)
        )

    async def audited(self) -> list[str]:
        async with self.database.read() as connection:
            return [str(entry.action) for entry in reversed(await audit.page(connection))]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database = Database.open(await migrated(tmp_path / "decisions.db"))
    yield Desk(database)
    await database.close()


@pytest.mark.parametrize("cached", [True, False])
async def test_a_decision_is_committed_with_its_entry_and_then_delivered(desk: Desk, cached: Any) -> None:
    state = await desk.stands(STORY.waiting())
    if cached:
        desk.states.keep(state)
    receipt = await desk.take(state)
    assert (receipt.taken, receipt.repeated) == (True, False)
    assert [row.id for row in desk.delivered.rows] == ["d-1"]
    assert await desk.audited() == ["decision.submitted"]


async def test_a_stale_cache_refuses_nobody_and_takes_nothing_wrongly(desk: Desk) -> None:
    old = STORY.waiting(STORY.route(STORY.stage(), STORY.stage()))
    effects: tuple[Effect, ...]
    new, effects = STORY.decide(old, BOB)
    assert (new.stage, bool(effects)) == (1, True)
    await desk.stands(new)
    desk.states.keep(old)
    receipt = await desk.take(new)
    assert receipt.taken
    assert desk.states.of(old.instance_id) is None
    desk.states.keep(old)
    receipt = await desk.take(old, id="d-2")
    assert (receipt.taken, receipt.verdict.reason) == (False, Reason.OLD_CARD)


async def test_a_refusal_is_audited_once_and_nothing_is_delivered(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    desk.states.keep(state)
    desk.judge.verdict = Verdict(allowed=False, reason=Reason.NOT_AN_APPROVER, rule="manager")
    first = await desk.take(state)
    again = await desk.take(state)
    assert [each.verdict.reason for each in (first, again)] == [Reason.NOT_AN_APPROVER] * 2
    assert (desk.delivered.rows, await desk.audited()) == ([], ["decision.refused"])


async def test_what_slack_could_not_say_is_left_to_the_workflow(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    desk.judge.verdict = Verdict(allowed=False, reason=Reason.LOOKUP_FAILED, rule="manager")
    assert (await desk.take(state)).taken


@pytest.mark.parametrize("phase", ["terminated", "purged", "failed"])
async def test_a_request_that_was_ended_from_outside_takes_no_decision(desk: Desk, phase: Any) -> None:
    state = await desk.stands(STORY.waiting())
    async with desk.database.write() as connection:
        await instances.project(connection, state.instance_id, instances.Changes(phase=phase), NOW)
    receipt = await desk.take(state)
    assert (receipt.taken, receipt.verdict.reason) == (False, Reason.REQUEST_OVER)


async def test_the_same_submission_again_is_the_first_one(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    await desk.take(state)
    again = await desk.take(state)
    assert (again.taken, again.repeated) == (True, True)
    assert (len(desk.delivered.rows), await desk.audited()) == (1, ["decision.submitted"])


@pytest.mark.parametrize("other", [{"approved": False, "reason": "no"}, {"person": BOB}])
async def test_another_decision_under_the_same_id_is_a_conflict(desk: Desk, other: Any) -> None:
    state = await desk.stands(STORY.waiting())
    await desk.take(state)
    with pytest.raises(Refused, match="used before for something else") as raised:
        await desk.take(state, **other)
    assert raised.value.kind is Kind.CONFLICT


@pytest.mark.parametrize("cached", [True, False])
async def test_a_withdrawal_goes_the_way_of_a_decision(desk: Desk, cached: Any) -> None:
    state = await desk.stands(STORY.waiting())
    if cached:
        desk.states.keep(state)
    first = await desk.withdraw(state)
    again = await desk.withdraw(state)
    assert (first.taken, first.repeated, again.taken, again.repeated) == (True, False, True, True)
    (row,) = desk.delivered.rows
    assert (row.id, row.payload["submission"]["type"]) == ("w-1", "withdraw")
    assert await desk.audited() == ["withdrawal.submitted"]


async def test_a_withdrawal_by_another_than_the_requester_is_refused_and_audited_once(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    receipts = [await desk.withdraw(state, person=ANN) for _ in range(2)]
    assert [each.verdict.reason for each in receipts] == [Reason.NOT_THE_REQUESTER] * 2
    assert (desk.delivered.rows, await desk.audited()) == ([], ["withdrawal.refused"])


async def test_whose_request_it_is_waits_for_the_workflow_while_slack_is_slow(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    desk.judge.takes_s = 60.0
    assert (await desk.withdraw(state, person=ANN)).taken


async def test_a_decision_s_id_is_no_withdrawal_s(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    await desk.take(state)
    with pytest.raises(Refused, match="used before for something else"):
        await desk.withdraw(state, id="d-1", person=ANN)


async def test_a_refusal_can_be_told_beforehand_and_records_nothing(desk: Desk) -> None:
    state = await desk.stands(STORY.waiting())
    assert await desk.decisions.refusal(binding_of(state), ANN) is None
    other = binding_of(state).model_copy(update={"instance_id": "order-43-workflow"})
    refusal = await desk.decisions.refusal(other, ANN)
    assert refusal is not None
    assert (refusal.reason, await desk.audited()) == (Reason.REQUEST_OVER, [])
