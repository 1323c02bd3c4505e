"""What others do to our workflows with the engine's own tools: the doctor finds it, heals it and writes it down."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from bot.control.reconciling.doctor import Doctor, Finding, IssueKind, suspended_twice
from bot.control.reconciling.reconciler import Reconciler
from bot.control.reconciling.restoring import Restoration
from bot.engine.client import EngineInstance, UnlistableError
from bot.services import doctor_of
from records import audit, instances
from records.database import Database
from tests.end_to_end.system import ROOT, Order, System, eventually, running, text_of

NOW = timedelta(0)


def examine(system: System) -> tuple[Finding, ...]:
    async def found() -> tuple[Finding, ...]:
        async with doctor_of(system.settings, NOW) as doctor:
            return await doctor.examine()

    return asyncio.run(found())


def heal(system: System) -> None:
    async def healed() -> None:
        async with doctor_of(system.settings, NOW) as doctor:
            await doctor.heal(await doctor.examine(), "cli:test")

    asyncio.run(healed())


def of(order: Order, found: tuple[Finding, ...]) -> list[IssueKind]:
    return [each.kind for each in found if each.instance_id == order.instance_id]


def countersign(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = system.settings
    environment = {
        "PATH": os.environ["PATH"],
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "SLACK_API_URL": settings.slack_api_url,
        "DAPR_GRPC_PORT": str(settings.dapr_grpc_port),
        "COUNTERSIGN_SECRET_KEY": settings.secret_key.get_secret_value(),
        "COUNTERSIGN_DATABASE_URL": settings.database_url,
        "COUNTERSIGN_POLICY": str(settings.policy),
    }
    command = [sys.executable, "-m", "bot.cli", "doctor", *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, input="n\n"
    )


def test_a_wedged_workflow_is_found_and_healed_by_a_forced_purge_after_asking(system: System) -> None:
    order = system.order("wedged")
    order.card()
    for _ in range(2):  # docs/explanation/dapr.md#a-second-pause-wedges-the-worker
        system.engine.pause_workflow(order.instance_id)
    eventually(lambda: of(order, examine(system)) == [IssueKind.WEDGED])
    asked = countersign(system, "--settled", "0")
    assert "There is no terminal to ask at, so nothing was healed" in asked.stderr
    assert order.state() is not None, "it was not agreed to"
    healed = countersign(system, "--yes", "--settled", "0", "-o", "json")
    mine = [each for each in json.loads(healed.stdout) if each["instance_id"] == order.instance_id]
    assert [(each["ill"], each["healed"]) for each in mine] == [("wedged", True)]
    assert order.state() is None
    eventually(lambda: "approval_approve" not in str(order.card().blocks))
    entry = next(each for each in order.audit() if each.action == "doctor.healed_wedged")
    assert (entry.actor.startswith("cli:"), entry.through) == (True, "cli")


def test_an_order_that_was_approved_unasked_is_nothing_to_heal(system: System) -> None:
    """Doctor reported card_lies for every automatic order for ever: it has no card that could show anything."""
    order = system.order("unasked", "20")
    eventually(lambda: order.status() == "COMPLETED")
    eventually(lambda: any(each.action == "effect.order_processed" for each in order.audit()))
    eventually(lambda: of(order, examine(system)) == [])


def test_the_doctor_ends_with_0_at_each_look_where_only_automatic_orders_ran(tmp_path: Path) -> None:
    with running(tmp_path) as system:
        orders = [system.order(f"unasked-{number}", "20") for number in range(3)]
        for order in orders:
            eventually(lambda order=order: any(each.action == "effect.order_processed" for each in order.audit()))
            eventually(lambda order=order: of(order, examine(system)) == [])
        looks = [countersign(system, "--look", "--settled", "0") for _ in range(2)]
        assert [(each.returncode, "card_lies" in each.stdout) for each in looks] == [(0, False)] * 2, looks


@pytest.mark.parametrize("purged", [False, True], ids=["terminated", "terminated and purged"])
def test_what_somebody_ended_behind_our_back_is_found_and_its_card_rewritten(system: System, *, purged: bool) -> None:
    order = system.order(f"behind-{purged}".lower())
    order.card()
    system.engine.terminate_workflow(order.instance_id)
    if purged:
        system.engine.purge_workflow(order.instance_id)
    heal(system)
    eventually(lambda: "approval_approve" not in str(order.card().blocks))
    eventually(lambda: of(order, examine(system)) == [])
    assert any(each.action.startswith("workflow.found_") for each in order.audit())


def test_a_request_that_is_terminated_while_its_card_is_posted_gets_no_buttons(system: System) -> None:
    system.slack.fault(method="chat.postMessage", kind="slow", delay=1.5)
    order = system.order("in-flight")
    eventually(lambda: "request.asked" in order.actions())
    answer = system.post(
        f"/workflows/{order.instance_id}/terminate",
        {"reason": "ordered twice"},
        by="operator@example.com",
        roles=("operator",),
    )
    assert answer.status_code == 200, answer.text
    order.card()
    # Less than the reconciler leaves to the workflow: whoever posted it ends it.
    eventually(lambda: "approval_approve" not in str(order.card().blocks), 10)
    row = system.records(lambda connection: instances.get(connection, order.instance_id))
    assert row is not None
    assert row.phase == "terminated"


async def test_a_workflow_that_starts_between_two_looks_has_not_vanished(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    await database.migrate()
    now = datetime.now(UTC)

    class Late:
        """An engine that knows the instance from the second look on; meanwhile the workflow has asked."""

        looks = 0

        async def state(self, instance_id: str) -> EngineInstance | None:
            self.looks += 1
            if self.looks > 1:
                return EngineInstance(
                    instance_id=instance_id, name="w", status="RUNNING", created_at=now, updated_at=now
                )
            async with database.write() as connection:
                await instances.project(connection, instance_id, instances.Changes(phase="waiting"), now)
            return None

    async with database.write() as connection:
        await instances.insert(connection, instances.Known(instance_id="late", name="w", phase="starting"), now)
    nobody: Any = None
    reconciler = Reconciler(
        database=database, engine=cast("Any", Late()), card_repair=nobody, keys=nobody, clock=lambda: now
    )
    assert (await reconciler.look()).vanished == 0
    async with database.read() as connection:
        row = await instances.get(connection, "late")
    await database.close()
    assert row is not None
    assert row.phase == "waiting"


def test_a_workflow_that_others_started_is_found_and_gets_a_row(system: System) -> None:
    instance_id = system.order_id("theirs")
    request = {"kind": "order", "subject": "1", "requester": "requester@example.com", "amount": "900"}
    system.engine.schedule_new_workflow("approval_workflow", input=request | {"bad": 1}, instance_id=instance_id)
    heal(system)
    assert [
        each for each in examine(system) if each.instance_id == instance_id and each.kind is IssueKind.ORPHANED
    ] == []


def test_without_a_sidecar_the_doctor_says_so(system: System) -> None:
    settings = system.settings.model_copy(update={"dapr_grpc_port": 9})
    broken = System(system.slack, system.url, settings, "127.0.0.1:9")
    found = countersign(broken)
    assert found.returncode == 5
    assert "does not answer" in found.stderr


def test_two_suspensions_in_a_row_are_a_wedge_and_one_after_a_resumption_is_none() -> None:
    once, again = "executionSuspended", "executionResumed"
    assert not suspended_twice([once, "eventRaised", again, once])
    assert suspended_twice([once, "eventRaised", once])


def test_what_the_doctor_did_stands_in_the_chain(system: System) -> None:
    found = system.records(lambda connection: audit.page(connection, audit.EntryFilter(action="doctor.healed_wedged")))
    assert all(each.data["healing"] for each in found)


def test_a_workflow_that_breaks_off_is_named_by_doctor_and_blames_nobody(system: System) -> None:
    order = system.order("breaks-off")
    order.card()
    system.engine.raise_workflow_event(
        order.instance_id, "approval_decision", data={"__durabletask_autoobject__": True}
    )
    if order.status() != "FAILED":
        system.engine.resume_workflow(order.instance_id)  # resuming what runs makes it fail, for real
    eventually(lambda: order.status() == "FAILED")
    card = order.card_says("broke off with an error", seconds=40)
    assert "approval_approve" not in str(card.blocks)
    assert "operator stopped" not in text_of(card)
    assert "Error" not in " ".join(order.thread())
    finding = next(each for each in examine(system) if each.instance_id == order.instance_id)
    assert (finding.kind, "rerun" in finding.healing) == (IssueKind.FAILED, True)
    eventually(lambda: _figure(system, "countersign_workflows_failed") >= 1, 40)
    eventually(lambda: _figure(system, 'countersign_requests_ended_total{outcome="failed"}') >= 1, 40)


def _figure(system: System, name: str) -> float:
    lines = system.http.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


class Unlistable:
    """An engine that cannot list, as the real one once an id holds two bars."""

    async def instance_ids(self, *_: object) -> object:
        raise UnlistableError("one whose id holds '||' is in the way")


async def test_a_list_that_the_engine_cannot_give_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    await database.migrate()
    nobody = cast("Any", None)
    unlistable = cast("Any", Unlistable())
    reconciler = Reconciler(
        database=database, engine=unlistable, card_repair=nobody, keys=nobody, clock=lambda: datetime.now(UTC)
    )
    doctor = Doctor(
        database=database,
        engine=cast("Any", Unlistable()),
        reconciler=reconciler,
        restoration=Restoration(database, None, (), lambda: datetime.now(UTC)),
        card_repair=nobody,
        clock=lambda: datetime.now(UTC),
    )
    assert (await reconciler.sweep()).seen == 0
    assert [each.kind for each in await doctor.examine()] == [IssueKind.UNLISTABLE]
    await database.close()
