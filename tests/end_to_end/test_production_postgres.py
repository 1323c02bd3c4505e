"""Production's shape: PostgreSQL by a URL with a password, two app processes, one sidecar. Parts die under it."""

import asyncio
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from cards import request_card
from local.slack.transport import Envelope
from records import audit, chain
from records.database import Database
from tests.end_to_end.conftest import STORY, Systems
from tests.end_to_end.control_room import Room
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import REAL_SIDECAR, Order, SidecarProcess, System, buttons_of, eventually
from tests.postgres import PASSWORD, Cluster, running_cluster

pytestmark = pytest.mark.postgres
CLOSED = ("request.approved", "request.rejected")


class Production:
    """Two apps on one database and one sidecar."""

    def __init__(
        self, system: System, apps: list[AppProcess], cluster: Cluster, sidecar: SidecarProcess | None
    ) -> None:
        self.system = system
        self.apps = apps
        self.cluster = cluster
        self.sidecar = sidecar

    def at_both(self, *clicks: tuple[dict[str, str], bytes]) -> list[httpx.Response]:
        """Send signed requests to both apps at once; one is sent to both."""
        both = [(app.url, *clicks[number % len(clicks)]) for number, app in enumerate(self.apps)]

        def send(url: str, headers: dict[str, str], body: bytes) -> httpx.Response:
            return httpx.post(f"{url}/slack/events", content=body, headers=headers, timeout=10)

        with ThreadPoolExecutor(len(both)) as pool:
            return list(pool.map(lambda each: send(*each), both))

    def signed(self, payload: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        """Sign a payload as Slack does, without sending it."""
        sent = self.system.slack.workspace.http.signed(Envelope("interactive", payload, None))
        return dict(sent.headers), sent.body

    def verify(self) -> None:
        """Check the audit's whole chain: two processes that append never fork it."""

        async def verified() -> chain.Verification:
            database = Database.open(self.system.settings.database_url)
            try:
                return await audit.verify(database)
            finally:
                await database.close()

        found = asyncio.run(verified())
        assert found.ok, found


@pytest.fixture(scope="module")
def production(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    policy = folder / "policy.yml"
    policy.write_text(STORY)
    if REAL_SIDECAR:
        systems.stop()
    with ExitStack() as stack:
        sidecar = None if REAL_SIDECAR else stack.enter_context(SidecarProcess(folder / "sidecar.db"))
        cluster = stack.enter_context(running_cluster())
        system, apps = stack.enter_context(
            running_apps(
                folder,
                2,
                sidecar=sidecar.address if sidecar else None,
                database_url=cluster.url,
                policy=policy,
                reconcile_every_seconds=1,
                dapr_api_timeout_seconds=2,
            )
        )
        made = Production(system, apps, cluster, sidecar)
        yield made
        made.verify()
        assert [app.end()[0] for app in apps] == [0, 0]
        for app in apps:
            assert PASSWORD not in app.written
            assert system.settings.database_url not in app.written
            assert "Task was destroyed" not in app.written


def clicked(order: Order, user: str, action: str = request_card.APPROVE) -> dict[str, Any]:
    """Return the payload of a click that nobody has sent."""
    system, card = order.system, order.card()
    button = buttons_of(card)[action]
    order_click = {"action_id": action, "block_id": "b", "type": "button", "value": button["value"], "action_ts": "1.1"}
    channel = {"id": system.slack.workspace.world.channel("approvals").id, "name": "approvals"}
    return {
        "type": "block_actions",
        "user": {"id": user, "username": user, "name": user, "team_id": "T0LOCAL"},
        "team": {"id": "T0LOCAL", "domain": "local"},
        "api_app_id": "A0",
        "token": "x",
        "container": {"type": "message", "message_ts": card.ts, "channel_id": channel["id"]},
        "trigger_id": "1.2.3",
        "channel": channel,
        "message": {"ts": card.ts},
        "response_url": "http://127.0.0.1:9/",
        "actions": [order_click],
    }


def test_the_whole_story_on_postgresql(production: Production) -> None:
    system = production.system
    room = Room.of(system)
    approved, rejected, late, ended = (
        system.order("approved"),
        system.order("rejected"),
        system.order("late", currency="EUR"),
        system.order("ended"),
    )
    assert approved.click("U0MANAGER").ok
    assert rejected.reject("U0MANAGER", "Zu teuer: ünïcode ✓").ok
    ended.card()
    assert room.post(f"/workflows/{ended.id}/terminate", {"reason": "ordered twice"}).is_success
    assert approved.result() == {"status": "completed"}
    assert rejected.result() == {"status": "rejected", "reason": "Zu teuer: ünïcode ✓"}
    assert late.result() == {"status": "rejected", "reason": "approval_timeout"}
    assert ended.status() == "TERMINATED"
    ended.card_says("ordered twice")
    for order in (approved, rejected, late, ended):
        eventually(lambda order=order: not buttons_of(order.card()), 40)
    wanted = {approved.instance_id, rejected.instance_id, late.instance_id}
    eventually(lambda: wanted <= {each["id"] for each in room.get("/workflows", status="COMPLETED")["workflows"]})
    assert len(room.get("/workflows", limit=2)["workflows"]) == 2
    figures = room.get("/statistics")
    assert figures["timeouts"] >= 1
    assert figures["decided"] >= 2
    assert room.post(f"/workflows/{approved.id}/purge", {"reason": "test"}).is_success
    assert system.engine.get_workflow_state(approved.instance_id) is None
    assert "request.approved" in approved.actions()
    production.verify()


def test_the_same_signed_bytes_at_both_processes_at_once_count_once(production: Production) -> None:
    orders = [production.system.order(f"bytes-{number}") for number in range(5)]
    for order in orders:
        first, second = production.at_both(production.signed(clicked(order, "U0MANAGER")))
        assert (first.status_code, first.content) == (second.status_code, second.content) == (200, b"")
    for order in orders:
        assert order.result() == {"status": "completed"}
        assert len(order.decisions()) == 1
        assert order.actions().count("decision.submitted") == order.actions().count("request.accepted") == 1
        assert len(order.processed()) == 1


def test_two_managers_at_two_processes_at_once_decide_once(production: Production) -> None:
    orders = [production.system.order(f"race-{number}") for number in range(5)]
    for order in orders:
        clicks = [production.signed(clicked(order, user)) for user in ("U0MANAGER", "U0MANAGER2")]
        assert [answer.status_code for answer in production.at_both(*clicks)] == [200, 200]
    for order in orders:
        assert order.result() == {"status": "completed"}
        eventually(lambda order=order: all(row.verdict for row in order.decisions()))
        assert [order.actions().count(action) for action in ("request.accepted", *CLOSED)] == [1, 1, 0]
        assert len(order.processed()) == 1


def test_a_policy_that_is_edited_is_read_by_both(production: Production) -> None:
    path = production.system.settings.policy
    path.write_text(path.read_text().replace("everything else", "edited for all"))
    routes = []
    for app in production.apps:
        for number in range(3):
            order_id = production.system.order_id(f"edited-{number}-{app.pid}")
            headers = {"Authorization": f"Bearer {production.system.token()}"}
            answer = httpx.post(f"{app.url}/orders/{order_id}/start", json={"amount": "2400"}, headers=headers)
            assert answer.status_code == 200
            routes.append(Order(production.system, order_id))
    for order in routes:
        order.card_says("edited for all")


def test_what_others_did_at_the_engine_is_noted_once_by_two_processes(production: Production) -> None:
    orders = [production.system.order(f"behind-{number}") for number in range(3)]
    for order in orders:
        order.card()
        production.system.engine.terminate_workflow(order.instance_id)
    for order in orders:
        eventually(lambda order=order: "workflow.found_terminated" in order.actions())
        eventually(lambda order=order: not buttons_of(order.card()), 40)
        production.system.engine.purge_workflow(order.instance_id)
        eventually(lambda order=order: "workflow.found_purged" in order.actions())
        found = [action for action in order.actions() if action.startswith("workflow.found_")]
        assert found == ["workflow.found_terminated", "workflow.found_purged"]


def test_a_decision_of_a_process_that_was_killed_is_delivered_by_another(
    production: Production, tmp_path: Path
) -> None:
    system = production.system
    order = system.order("orphan")
    order.card()
    with AppProcess(system.settings, tmp_path / "third.log") as third:
        if production.sidecar:
            production.sidecar.send(signal.SIGSTOP)
        headers, body = production.signed(clicked(order, "U0MANAGER"))
        answer = httpx.post(f"{third.url}/slack/events", content=body, headers=headers, timeout=5)
        assert answer.status_code == 200
        third.kill()
        if production.sidecar:
            assert order.decisions()[0].verdict is None
            production.sidecar.send(signal.SIGCONT)
    assert order.result() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1


def kill(cluster: Cluster) -> None:
    cluster.kill()


def freeze(cluster: Cluster) -> None:
    cluster.signal(signal.SIGSTOP)


def thaw(cluster: Cluster) -> None:
    cluster.signal(signal.SIGCONT)


def unconfirmed(system: System) -> int:
    return sum("not confirmed yet" in text for text in system.private("U0MANAGER"))


@pytest.mark.parametrize(("away", "back"), [(kill, Cluster.start), (freeze, thaw)], ids=["killed", "frozen"])
def test_while_the_database_is_away_no_click_is_confirmed_and_it_recovers(
    production: Production, away: Callable[[Cluster], None], back: Callable[[Cluster], None]
) -> None:
    system = production.system
    order = system.order(f"away-{away.__name__}")
    order.card()
    system.token()
    away(production.cluster)
    try:
        ready = eventually(lambda: (found := system.http.get("/readyz")).json()["status"] == "degraded" and found)
        assert ready.status_code == 200, "each replica would leave the load balancer, and clicks get its error"
        assert re.search("cannot be|not answer|has crashed", ready.json()["checks"]["database"])
        assert PASSWORD not in ready.text
        before = unconfirmed(system)
        answered = order.click("U0MANAGER").ok
        if answered:  # it may still be written: the message says so, where Slack's own error would hide it
            eventually(lambda: unconfirmed(system) > before)
        assert answered or away is not freeze
        if away is not freeze:
            answer = system.start("meanwhile")
            assert answer.status_code == 503
            assert "Nothing was written" in answer.json()["detail"]
            assert PASSWORD not in answer.text
        assert system.http.get("/livez").status_code == 200
    finally:
        back(production.cluster)
    for app in production.apps:
        eventually(lambda app=app: httpx.get(f"{app.url}/readyz", timeout=10).json()["status"] == "ready")
    if not order.decisions():
        assert order.click("U0MANAGER").ok
    assert order.result() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1


def test_who_leaves_a_group_decides_at_no_process_any_more(production: Production) -> None:
    system = production.system
    warm, left = [system.order(f"warm-{number}") for number in range(2)], system.order("left")
    for app, order in zip(production.apps, warm, strict=True):
        order.card()
        system.slack.deliver_to = f"{app.url}/slack/events"
        assert order.click("U0MANAGER").ok  # both processes know the group now
        assert order.result() == {"status": "completed"}
    left.card()
    system.slack.deliver_to = f"{production.apps[0].url}/slack/events"
    system.act(system.slack.change_group("S0MANAGERS", members=("U0MANAGER2",)))
    eventually(lambda: [each for each in system.slack.deliveries() if "subteam_updated" in str(each.payload)], 5)
    time.sleep(0.5)  # for PostgreSQL's notification to the other process
    system.slack.deliver_to = f"{production.apps[1].url}/slack/events"
    left.click("U0MANAGER")
    eventually(lambda: "request.refused" in str(left.actions()) or "decision.refused" in str(left.actions()), 10)
    assert left.status() == "RUNNING"
    system.act(system.slack.change_group("S0MANAGERS", members=("U0MANAGER", "U0MANAGER2")))
    system.slack.deliver_to = f"{production.apps[0].url}/slack/events"
    assert left.click("U0MANAGER2").ok
    assert left.result() == {"status": "completed"}
