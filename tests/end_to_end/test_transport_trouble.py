"""Parts fail under a click: it is acknowledged only when it is durable, nothing is lost, and people are told."""

import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cards import private
from local.slack import ApiCall, Channel, Message
from tests.end_to_end.system import Order, SidecarProcess, System, buttons_of, eventually, running

UNDECIDED, SORRY = private.UNDECIDED[:60], private.SORRY[:60]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, SidecarProcess]]:
    folder = tmp_path_factory.mktemp("broken")
    with (
        SidecarProcess(folder / "sidecar.db") as sidecar,
        running(folder, sidecar=sidecar.address, dapr_api_timeout_seconds=1.0) as system,
    ):
        yield system, sidecar


@pytest.mark.parametrize("how", ["frozen", "dead"])
def test_while_the_sidecar_is_away_clicks_are_taken_and_arrive_afterwards(
    broken: tuple[System, SidecarProcess], how: str
) -> None:
    system, sidecar = broken
    orders = [system.order(f"{how}-{number}") for number in range(3)]
    for order in orders:
        order.card()
    sidecar.send(signal.SIGSTOP if how == "frozen" else signal.SIGKILL)
    with system.hears("U0MANAGER", UNDECIDED):
        for order in orders:
            assert order.click("U0MANAGER").ok
    assert system.http.get("/livez").status_code == 200
    answer = orders[0].approve_by_rest(by="manager2@example.com", decision_id=f"while-{how}")
    assert answer.status_code == 202
    assert answer.json()["outcome"] is None
    if how == "frozen":
        sidecar.send(signal.SIGCONT)
    else:
        sidecar.start()
    for order in orders:
        eventually(lambda order=order: order.actions().count("request.approved") == 1, 30)
        eventually(lambda order=order: len(order.processed()) == 1)
        order.card_says("Approved: order")


def test_what_is_decided_while_it_is_paused_counts_when_it_is_resumed(system: System) -> None:
    order = system.order("paused")
    order.card()
    system.engine.pause_workflow(order.instance_id)
    with system.hears("U0MANAGER", "as soon as it is resumed"):
        assert order.click("U0MANAGER").ok
    assert order.status() == "SUSPENDED"
    system.engine.resume_workflow(order.instance_id)
    assert order.result() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1


def test_a_locked_database_confirms_nothing_and_the_person_hears_it(alone: Callable[..., System]) -> None:
    system = alone()
    order = system.order("locked")
    eventually(lambda: "card.posted" in order.actions())
    other = sqlite3.connect(str(system.settings.database_url).removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with system.hears("U0MANAGER", "not confirmed yet"):
        assert order.click("U0MANAGER").ok
    other.execute("ROLLBACK")
    other.close()
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1, "the first click may be written late, and counts once"


def test_a_card_that_slack_does_not_take_raises_an_alarm_and_rest_decides(
    alone: Callable[..., System], tmp_path: Path
) -> None:
    policy = tmp_path / "channel.yml"
    policy.write_text(
        "version: 1\nchannel: no-such-channel\nrules:\n"
        "  - name: two stages\n    stages:\n"
        "      - {approve: [{group: managers}], within: 1 h}\n"
        "      - {approve: [{group: vps}], within: 1 h}\n"
    )
    system = alone(policy=policy)
    order = system.order("unposted")
    eventually(lambda: "card.unposted" in order.actions())
    eventually(lambda: "Slack has not taken the card" in (order.state().serialized_custom_status or ""))
    # The next stage's card is posted where it can be, and the one that never was does not take its place.
    system.act(system.slack.change_channel("C0NEW", **_channel("no-such-channel")))
    assert order.approve_by_rest().json()["outcome"] == "accepted"
    card = eventually(lambda: _cards_in(system, order, "no-such-channel"))[0]
    assert buttons_of(card)
    system.act(system.slack.act_as("U0VP").click("no-such-channel", card.ts, "approval_approve"))
    assert order.result() == {"status": "completed"}
    eventually(lambda: not buttons_of(_cards_in(system, order, "no-such-channel")[0]))


def _channel(name: str) -> dict[str, object]:
    return Channel(id="C0NEW", name=name, members=("U0BOT", "U0VP", "U0MANAGER")).model_dump(exclude={"id"})


def _cards_in(system: System, order: Order, channel: str) -> list[Message]:
    return [each for each in system.slack.messages(channel) if order.instance_id in str(each.metadata)]


def test_slacks_retry_after_is_obeyed(alone: Callable[..., System]) -> None:
    system = alone()
    system.slack.fault(method="chat.postMessage", kind="ratelimited", retry_after=2)
    order = system.order("later")
    order.card()
    first, second = _posts(system)[:2]
    assert second.at - first.at >= 2


def _posts(system: System) -> list[ApiCall]:
    return system.slack.calls("chat.postMessage")


@pytest.mark.parametrize("clicked", [0, 1])
def test_a_second_card_after_a_lost_reply_counts_once_and_is_rewritten_at_its_click(
    system: System, clicked: int
) -> None:
    system.slack.fault(method="chat.postMessage", kind="lost_reply")
    order = system.order(f"lost-{clicked}")
    cards = eventually(lambda: len(order.cards()) == 2 and order.cards())
    eventually(lambda: order.actions().count("card.posted") == 1)
    manager = system.slack.act_as("U0MANAGER")
    system.act(manager.click("approvals", cards[clicked].ts, "approval_approve"))
    assert order.result() == {"status": "completed"}
    eventually(lambda: not buttons_of(order.cards()[clicked]))
    eventually(lambda: not buttons_of(order.cards()[1]))  # the one that is known
    other = system.slack.act_as("U0MANAGER2")
    if clicked == 1:
        system.act(other.click("approvals", cards[0].ts, "approval_approve"))
        eventually(lambda: not buttons_of(order.cards()[0]))
    assert order.actions().count("request.accepted") == 1


def test_a_click_while_slack_cannot_be_asked_is_taken_and_the_workflow_asks(
    alone: Callable[..., System],
) -> None:
    system = alone()
    order = system.order("lookup")
    order.card()
    system.slack.fault(method="users.info", kind="http_500", count=2)
    assert order.click("U0MANAGER").ok
    assert order.result() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1


@pytest.mark.parametrize("system", ["socket"], indirect=True)
def test_a_doubled_envelope_counts_once(system: System) -> None:
    order = system.order("doubled")
    order.card()
    system.slack.fault(method="interactive", kind="duplicate")
    order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    assert len(order.decisions()) == 1
