"""The management verbs on an SQLite file and a fake engine: what each does, refuses and writes down."""

from typing import Any

import pytest

from approvals.authority import Role
from approvals.statuses import STATUSES, Status, standing
from approvals.verbs import VERBS
from bot.access.authenticating import Initiator
from bot.access.refusals import Kind, Refused
from bot.control.operations.calls import Given
from bot.control.operations.rules import RULES
from bot.control.operations.single import CALL_LEASE
from bot.engine.client import EngineUnavailableError
from records import leases
from tests.bot.control.conftest import NOW, House, caller

OPERATOR = caller(Role.OPERATOR)


def test_every_verb_has_its_rule() -> None:
    assert set(RULES) == set(VERBS)


CHANGES = [
    ("pause", "RUNNING", "SUSPENDED"),
    ("resume", "SUSPENDED", "RUNNING"),
    ("terminate", "RUNNING", "TERMINATED"),
    ("terminate", "PENDING", "TERMINATED"),
    ("note", "COMPLETED", "COMPLETED"),
]


@pytest.mark.parametrize(("verb", "before", "after"), CHANGES)
async def test_a_verb_moves_what_fits_and_is_audited_first(
    house: House, given: Given, verb: str, before: str, after: str
) -> None:
    house.engine.put("i", before)
    done = await house.operations.act(OPERATOR, VERBS[verb], "i", given)
    assert (done.status, done.changed) == (after, True)
    assert house.engine.instances["i"].status == after
    assert await house.audited() == [f"workflow.{VERBS[verb].action}"]


async def test_a_purge_forgets_what_is_over(house: House, given: Given) -> None:
    house.engine.put("i", "FAILED")
    assert (await house.operations.act(OPERATOR, VERBS["purge"], "i", given)).changed
    assert house.engine.instances == {}


async def test_a_purge_by_force_ends_what_is_not_over(house: House) -> None:
    house.engine.put("i", "RUNNING")
    with pytest.raises(Refused, match="not over, so it was not purged"):
        await house.operations.act(OPERATOR, VERBS["purge"], "i", Given())
    await house.operations.act(OPERATOR, VERBS["purge"], "i", Given(force=True))
    assert house.engine.instances == {}


@pytest.mark.parametrize(
    ("verb", "status", "said"),
    [(name, status, text) for name, verb in VERBS.items() for status, text in verb.already.items()],
)
async def test_where_there_is_nothing_to_do_nothing_is_done(
    house: House, given: Given, verb: str, status: str, said: str
) -> None:
    house.engine.put("i", status)
    done = await house.operations.act(OPERATOR, VERBS[verb], "i", given)
    assert (done.changed, done.sentence) == (False, said.format(end=status.capitalize()))
    assert await house.audited() == []


MISFITS = [
    (name, status)
    for name, verb in VERBS.items()
    for status in STATUSES
    if verb.only and status not in verb.statuses and status not in verb.already
]
ASKED = [(name, status) for name, status in MISFITS if not VERBS[name].judges_itself]


@pytest.mark.parametrize(("verb", "status"), MISFITS)
def test_a_face_can_say_beforehand_that_a_status_does_not_fit(verb: str, status: Status) -> None:
    assert VERBS[verb].hindrance(status, "order 42") == f"{VERBS[verb].only}, and order 42 is {standing(status)}."


@pytest.mark.parametrize(("verb", "status"), ASKED)
async def test_a_status_that_does_not_fit_is_said(house: House, given: Given, verb: str, status: str) -> None:
    house.engine.put("i", status)
    with pytest.raises(Refused, match=f"{VERBS[verb].only}, and i is {standing(status)}") as raised:
        await house.operations.act(OPERATOR, VERBS[verb], "i", given)
    assert raised.value.kind is Kind.CONFLICT
    assert house.engine.instances["i"].status == status


async def test_who_may_not_changes_nothing_and_the_refusal_is_audited(house: House, given: Given) -> None:
    house.engine.put("i", "RUNNING")
    with pytest.raises(Refused) as raised:
        await house.operations.act(caller(Role.AUDITOR), VERBS["pause"], "i", given)
    assert raised.value.kind is Kind.NOT_ALLOWED
    assert (house.engine.instances["i"].status, await house.audited()) == ("RUNNING", ["access.refused"])


async def test_a_bulks_call_needs_no_caller_and_names_who_started_it(house: House, given: Given) -> None:
    house.engine.put("i", "RUNNING")
    by = Initiator(actor="key:9", email="night@example.com", through="cli")
    assert (await house.operations.act_for(by, VERBS["pause"], "i", given)).changed


async def test_an_engine_that_is_away_leaves_both_entries(house: House, given: Given) -> None:
    house.engine.put("i", "RUNNING")
    house.engine.failing = EngineUnavailableError("away")
    with pytest.raises(EngineUnavailableError):
        await house.operations.act(OPERATOR, VERBS["pause"], "i", given)
    assert await house.audited() == ["workflow.pause", "workflow.pause_failed"]


async def test_a_rerun_is_a_new_instance_and_never_the_old_one(house: House) -> None:
    house.engine.put("i", "COMPLETED")
    for taken in ("i", "-bad-"):
        with pytest.raises(Refused):
            await house.operations.act(OPERATOR, VERBS["rerun"], "i", Given(event_id=1, new_id=taken))
    done = await house.operations.act(OPERATOR, VERBS["rerun"], "i", Given(event_id=1, new_id="j"))
    assert (done.instance_id, sorted(house.engine.instances)) == ("j", ["i", "j"])
    with pytest.raises(Refused, match="j is taken"):
        await house.operations.act(OPERATOR, VERBS["rerun"], "i", Given(event_id=1, new_id="j"))


@pytest.mark.parametrize(
    ("status", "name", "payload", "said"),
    [
        ("RUNNING", "Approval_Decision", {"a": 1}, "A decision is not raised as a bare event"),
        ("RUNNING", "paid", {}, "a JSON object with something in it"),
        ("COMPLETED", "paid", {"a": 1}, "The event would be dropped"),
        ("PENDING", "paid", {"a": 1}, "has not started yet"),
    ],
)
async def test_an_event_that_would_be_lost_is_refused(
    house: House, status: str, name: str, payload: Any, said: str
) -> None:
    house.engine.put("i", status)
    with pytest.raises(Refused, match=said):
        await house.operations.act(OPERATOR, VERBS["raise-event"], "i", Given(event=name, payload=payload))
    assert house.engine.raised == []


async def test_an_event_reaches_its_instance(house: House) -> None:
    house.engine.put("i", "RUNNING")
    await house.operations.act(OPERATOR, VERBS["raise-event"], "i", Given(event="paid", payload={"a": 1}))
    assert house.engine.raised == [("i", "paid", {"a": 1})]


async def test_an_event_for_an_unknown_id_is_looked_for_in_the_audit(house: House) -> None:
    with pytest.raises(Refused, match="No workflow is known as typo"):
        await house.operations.act(OPERATOR, VERBS["raise-event"], "typo", Given(event="paid", payload={"a": 1}))
    assert await house.audited() == ["workflow.raise_event_failed"]


async def test_a_start_by_name_runs_once(house: House) -> None:
    done = await house.operations.start(OPERATOR, "nightly", {"a": 1}, instance_id="n")
    assert (done.status, house.engine.instances["n"].name) == ("RUNNING", "nightly")
    with pytest.raises(Refused, match="n is taken"):
        await house.operations.start(OPERATOR, "nightly", {"a": 1}, instance_id="n")
    with pytest.raises(Refused, match="Did you mean 'nightly'"):
        await house.operations.start(OPERATOR, "nightli", None)


async def test_an_instance_in_another_calls_hands_is_left_to_it(house: House, given: Given) -> None:
    house.engine.put("i", "RUNNING")
    async with house.database.write() as connection:
        await leases.take(connection, "i", "another", NOW, CALL_LEASE)
    with pytest.raises(Refused) as raised:
        await house.operations.act(OPERATOR, VERBS["pause"], "i", given)
    assert raised.value.kind is Kind.BUSY
