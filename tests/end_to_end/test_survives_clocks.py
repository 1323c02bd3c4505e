"""The app's clock ten minutes off or set back: Slack's window holds, deadlines stay the engine's, nothing waits for it.

Local Slack and the engine keep the true time; only the app's clock is turned.
"""

import asyncio
import functools
import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from approvals.policy.routing import parse_policy
from approvals.signing import Purpose
from approvals.values import in_utc
from bot.process.settings import Settings
from bot.services import Services
from cards.moments import date_token
from records import audit, instances, keys
from records.database import Database
from tests.end_to_end.conftest import STORY
from tests.end_to_end.system import MANAGER, Order, SidecarProcess, System, eventually, text_of

TEN = timedelta(minutes=10)
RIGHT = timedelta(0)


class Dial:
    """A clock that can be turned."""

    def __init__(self) -> None:
        self.off = RIGHT

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off

    def parts(self, settings: Settings) -> Services:
        """Make the app's parts with this clock."""
        services = Services(settings)
        services.clock = self
        return services


@pytest.fixture(scope="module")
def turning() -> Dial:
    return Dial()


@pytest.fixture
def dial(turning: Dial) -> Iterator[Dial]:
    yield turning
    turning.off = RIGHT


@pytest.fixture(scope="module")
def settings(turning: Dial) -> dict[str, Any]:
    return {"policy": STORY, "parts": turning.parts}


def row_of(order: Order) -> instances.Instance:
    found = order.system.records(lambda connection: instances.get(connection, order.instance_id))
    assert found is not None
    return found


def audit_is_whole(system: System) -> bool:
    async def verified() -> bool:
        database = Database.open(system.settings.database_url)
        try:
            return (await audit.verify(database)).ok
        finally:
            await database.close()

    return asyncio.run(verified())


def counted_once(order: Order) -> None:
    assert order.result() == {"status": "completed"}
    assert (order.actions().count("request.accepted"), len(order.processed())) == (1, 1)


@pytest.mark.parametrize("off", [TEN, -TEN], ids=["ahead", "behind"])
def test_a_clock_ten_minutes_off_takes_no_click_and_the_log_says_why(
    system: System, dial: Dial, off: timedelta
) -> None:
    order = system.order(f"off-{off > RIGHT}")
    order.card()
    dial.off = off
    with structlog.testing.capture_logs() as logged:
        outcome = order.click("U0MANAGER")
    assert (outcome.status, outcome.ok) == (401, False)
    assert order.decisions() == ()
    refused = next(line for line in logged if "refused at Slack's door" in line["event"])
    assert "clock is off" in refused["why"]
    assert abs(refused["seconds_off"] - off.total_seconds()) < 60
    dial.off = RIGHT
    assert order.click("U0MANAGER").ok
    counted_once(order)


def test_deadlines_are_the_engine_s_whatever_the_app_s_clock_says(system: System, dial: Dial) -> None:
    orders = []
    for off in (TEN, -TEN):
        dial.off = off
        order = system.order(f"deadline-{off > RIGHT}", currency="EUR")
        card, row = order.card(), row_of(order)
        assert row.deadline is not None
        late = row.deadline - in_utc(order.state().created_at) - timedelta(seconds=3)
        assert timedelta(0) <= late < timedelta(minutes=1)
        assert date_token(row.deadline).partition("|")[0] in text_of(card)
        orders.append(order)
    for off, order in zip((TEN, RIGHT), orders, strict=True):
        dial.off = off
        assert order.result() == {"status": "rejected", "reason": "approval_timeout"}
        order.card_says("Nobody answered")


def test_a_deadline_is_recorded_once_a_clock_that_is_behind_has_reached_it_and_a_late_click_does_not_count(
    system: System, dial: Dial
) -> None:
    dial.off = -TEN
    order = system.order("behind", currency="EUR")
    deadline = eventually(lambda: row_of(order).deadline)
    order.card()
    time.sleep(max(0.0, (deadline - datetime.now(UTC)).total_seconds()) + 2)
    assert "request.timed_out" not in order.actions()
    dial.off = RIGHT
    order.click("U0MANAGER")
    assert order.result() == {"status": "rejected", "reason": "approval_timeout"}
    assert ("request.timed_out" in order.actions(), order.processed()) == (True, ())


@pytest.mark.parametrize("off", [TEN, -TEN], ids=["ahead", "behind"])
def test_a_true_decision_counts_whatever_the_clock_of_its_judge_says(
    system: System, dial: Dial, off: timedelta
) -> None:
    """A worker more than a minute ahead refused it as not proven, each time that it was delivered."""
    order = system.order(f"judged-{off > RIGHT}")
    order.card()
    dial.off = off
    answer = order.approve_by_rest()
    assert answer.status_code in {200, 202}, answer.text
    if off < RIGHT:
        eventually(lambda: order.decisions()[0].state == "pending")
        dial.off = RIGHT  # it is recorded as soon as the clock is right, without one more attempt by hand
    counted_once(order)
    assert "evidence.refused" not in order.actions()


def test_a_key_s_end_is_judged_by_the_app_s_clock_and_a_revoked_one_stays_revoked(system: System, dial: Dial) -> None:
    create = functools.partial(
        keys.create, secret=system.settings.keys.subkey(Purpose.API_KEY), now=datetime.now(UTC), name="short",
        person=MANAGER, roles=("operator",), created_by="test", expires_at=datetime.now(UTC) + TEN / 2,
    )  # fmt: skip
    key, token = system.records(create, write=True)

    def seen(off: timedelta) -> int:
        dial.off = off
        return system.http.get("/workflows", headers={"Authorization": f"Bearer {token}"}).status_code

    assert [seen(off) for off in (RIGHT, TEN, RIGHT, -TEN)] == [200, 401, 200, 200]
    system.records(lambda connection: keys.revoke(connection, key.id, datetime.now(UTC)), write=True)
    assert [seen(off) for off in (RIGHT, -TEN)] == [401, 401]


def test_a_clock_set_back_between_asking_and_deciding_changes_nothing(system: System, dial: Dial) -> None:
    dial.off = TEN
    order = system.order("set-back")
    order.card()
    dial.off = RIGHT
    assert order.click("U0MANAGER").ok
    counted_once(order)
    order.card_says("Approved")
    moments = [entry.at for entry in order.audit()]
    assert moments != sorted(moments)
    assert audit_is_whole(system)


def test_who_follows_sees_what_happens_after_the_clock_was_set_back(system: System, dial: Dial) -> None:
    dial.off = TEN
    order = system.order("followed")
    order.card()
    headers = {"Authorization": f"Bearer {system.token('operator@example.com', 'operator')}"}
    with system.http.stream("GET", "/events", headers=headers) as answer:
        dial.off = RIGHT
        order.click("U0MANAGER")
        data = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
        assert next(each for each in data if each.get("id") == order.instance_id and each["phase"] != "waiting")


def test_a_click_that_the_engine_could_not_take_is_delivered_promptly_after_the_clock_was_set_back(
    tmp_path: Path, alone: Callable[..., System]
) -> None:
    dial = Dial()
    with SidecarProcess(tmp_path / "sidecar.db") as sidecar:
        system = alone(sidecar=sidecar.address, socket_mode=True, parts=dial.parts)
        order = system.order("undelivered")
        order.card()
        dial.off = TEN
        sidecar.send(signal.SIGKILL)
        assert order.click("U0MANAGER").ok  # over the socket: no signature, and no window
        eventually(lambda: (order.decisions()[0].next_attempt_at or datetime.now(UTC)) > datetime.now(UTC) + TEN / 2)
        dial.off = RIGHT
        sidecar.start()
        counted_once(order)
        assert audit_is_whole(system)


@pytest.mark.parametrize("night", ["2026-03-28T12:00:00+00:00", "2026-10-24T12:00:00+00:00"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC"])
def test_a_deadline_across_a_daylight_saving_night_is_the_same_instant_in_any_zone(
    monkeypatch: pytest.MonkeyPatch, night: str, zone: str
) -> None:
    """What a day is stands in the policy's own test; here: the machine's zone does not come into it."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        within: Any = parse_policy(STORY).rules[-1].stages[0].within
        deadline = in_utc(datetime.fromisoformat(night)) + within
        assert date_token(deadline).startswith(f"<!date^{int(datetime.fromisoformat(night).timestamp()) + 86_400}^")
        assert in_utc(deadline.replace(tzinfo=None)) == deadline
    finally:
        monkeypatch.undo()
        time.tzset()
