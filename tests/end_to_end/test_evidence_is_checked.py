"""A counted decision that no door took in, an effect without an approval: the doctor and the audit check name both."""

from datetime import UTC, datetime

from approvals.audit_actions import AuditAction
from bot.services import Services
from records import audit
from tests.bot.cli.calling import run
from tests.bot.cli.test_local import set_up
from tests.end_to_end.forging import a_yes, state_of
from tests.end_to_end.system import Order, System, eventually
from tests.end_to_end.test_survives_a_stalled_instance import examined

SETTINGS = {}  # this file spoils its audit


def stolen_key_decides(system: System, order: Order) -> None:
    """Raise a decision with our own signature past every door, as who has the secret key can."""
    order.raise_event(system.settings.keys.sign(a_yes(state_of(system, order))).model_dump(mode="json"))


def test_a_decision_that_no_door_took_in_raises_the_alarm(system: System) -> None:
    order = system.order("stolen")
    order.card()
    stolen_key_decides(system, order)
    eventually(lambda: "evidence.missing" in order.actions())
    [found] = [each for each in examined(system) if each.instance_id == order.instance_id and each.kind == "unproven"]
    assert "a decision counted that none of our doors took in" in found.sentence
    shown = eventually(
        lambda: 'action="evidence.missing"} 1.0' in (text := system.http.get("/metrics").text) and text, 30
    )
    assert "countersign_evidence_alarms_total" in shown


def test_an_effect_without_an_approval_is_named_by_the_audit_check(system: System) -> None:
    order = system.order("unapproved")
    order.card()
    entry = audit.Entry(
        at=datetime.now(UTC),
        actor="workflow",
        action=AuditAction.EFFECT_ORDER_PROCESSED,
        instance_id=order.instance_id,
        request_digest="f" * 64,
        through="workflow",
    )
    system.records(lambda connection: audit.append(connection, entry), write=True)
    found = run("audit", "verify", **set_up(Services(system.settings)))
    assert found.code == 1
    assert f"effect.order_processed of {order.instance_id}" in found.out
    assert "no approval of it is on record" in found.out
    assert order.instance_id in {each.instance_id for each in examined(system) if each.kind == "unproven"}


def test_true_orders_leave_an_audit_that_lacks_nothing(system: System) -> None:
    order = system.order("true")
    order.click("U0MANAGER")
    assert order.output()["status"] == "completed"
    assert order.instance_id not in {each.instance_id for each in examined(system) if each.kind == "unproven"}
