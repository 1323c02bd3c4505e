"""A pause is deliberate: card, thread and clickers are told, and nothing raises an alarm for it."""

from datetime import UTC, datetime, timedelta

from bot.decisions.delivery import ALARM_AGE
from records import intake
from tests.end_to_end.control_room import key, ok
from tests.end_to_end.system import System, buttons_of, eventually, text_of

SETTINGS = "reconciled"


def test_a_pause_is_said_by_card_thread_and_to_whoever_clicks(system: System) -> None:
    order = system.order("paused")
    order.card()
    operator = key(system, "operator")
    path = f"/workflows/{order.instance_id}"
    ok(system.http.post(f"{path}/pause", json={"reason": "the supplier is checked"}, headers=operator))
    card = order.card_says("Paused by", "the supplier is checked")
    assert "approval_approve" in buttons_of(card)  # a decision is kept
    eventually(lambda: any("Paused by" in text and "the supplier is checked" in text for text in order.thread()))
    with system.hears("U0MANAGER", "as soon as it is resumed"):
        assert order.click("U0MANAGER").ok

    def late() -> tuple[timedelta | None, tuple[intake.Row, ...]]:
        long_after = datetime.now(UTC) + 2 * ALARM_AGE
        age = system.records(lambda connection: intake.oldest_undelivered(connection, long_after))
        return age, system.records(lambda connection: intake.unanswered(connection, long_after, 10))

    assert [row for row in late()[1] if row.instance_id == order.instance_id] == []
    assert late()[0] is None
    assert system.http.get("/readyz").json()["checks"]["undelivered"] == "ok"
    ok(system.http.post(f"{path}/resume", json={}, headers=operator))
    assert order.output()["status"] == "completed"
    eventually(lambda: any("Resumed by" in text for text in order.thread()))
    assert "Paused" not in text_of(order.card_says("Approved"))


def test_a_pause_by_another_tool_stands_on_the_card_too(system: System) -> None:
    order = system.order("paused-elsewhere")
    order.card()
    system.engine.pause_workflow(order.instance_id)
    order.card_says("Paused by", "an operator", seconds=30)
    system.engine.resume_workflow(order.instance_id)
    eventually(lambda: "Paused" not in text_of(order.card()), 30)
