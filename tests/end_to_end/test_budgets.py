"""What one order costs in SQL, in calls to Slack and in the engine, from the POST to COMPLETED, on both databases.

Background loops and BEGIN or COMMIT do not count. What people are told afterwards is counted apart.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest

from tests.end_to_end.conftest import STORY
from tests.end_to_end.counting import Counted, Quiet, Tally
from tests.end_to_end.forging import Stranger
from tests.end_to_end.system import Order, System, eventually, running
from tests.postgres import running_cluster

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


class Counting(NamedTuple):
    """A system whose statements are counted."""

    system: System
    services: Quiet

    def slack_calls(self) -> int:
        """Return how often Slack was called, but for people and groups: those are kept for a minute, for all orders."""
        return sum(call.method.startswith(("chat.", "views.")) for call in self.system.slack.calls())


@pytest.fixture(scope="module", params=BOTH)
def counting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    folder = tmp_path_factory.mktemp("counting")
    policy = folder / "policy.yml"
    policy.write_text(STORY)
    made: list[Quiet] = []
    with ExitStack() as stack:
        changes = {"policy": policy}
        if request.param == "postgresql":
            changes["database_url"] = stack.enter_context(running_cluster()).url

        def parts(settings: object) -> Quiet:
            made.append(Quiet(settings, Tally()))
            return made[-1]

        system = stack.enter_context(running(folder, parts=parts, **changes))
        found = Counting(system, made[0])
        warm_up(system)
        settled(found)
        yield found


def warm_up(system: System) -> None:
    """Do what happens once: the key's first use, the policy's version, people and groups of Slack."""
    warm = system.order("warm", "500", currency="GBP")
    warm.card()
    in_two_stages(warm)
    warm.output()


def settled(counting: Counting) -> Counted:
    """Let what is told be sent, and return what that took."""
    counting.services.notifier.release()
    return counting.services.tally.take()


def approved(order: Order) -> None:
    order.click("U0MANAGER")


def rejected(order: Order) -> None:
    order.reject("U0MANAGER", "too dear")


def in_two_stages(order: Order) -> None:
    order.click("U0MANAGER")
    order.card(1)
    order.click("U0VP", stage=1)


def timed_out(order: Order) -> None:
    """Do nothing: nobody answers."""


class Budget(NamedTuple):
    """The most that an order may take. `calls`: of Slack's Web API; `events`, `kilobytes`: of the engine's history."""

    statements: int
    writes: int
    calls: int
    activities: int
    events: int
    kilobytes: int


SCENES = {
    approved: ("USD", Budget(28, 7, 1, 5, 21, 11)),
    rejected: ("USD", Budget(29, 8, 2, 4, 18, 10)),  # with the modal that asks for the reason
    timed_out: ("EUR", Budget(31, 7, 1, 5, 27, 7)),  # with two reminders
    in_two_stages: ("GBP", Budget(45, 11, 2, 8, 33, 20)),
}


def history_of(order: Order) -> list[Any]:
    """Return the engine's history of the order."""
    reader = Stranger(order.system.sidecar)
    try:
        return reader.history(order.instance_id)
    finally:
        reader.close()


@pytest.mark.parametrize("act", SCENES, ids=lambda act: act.__name__)
def test_an_order_takes_few_statements_writes_and_calls(counting: Counting, act: Callable[[Order], None]) -> None:
    currency, most = SCENES[act]
    system, tally = counting.system, counting.services.tally
    system.token()
    tally.take()
    before = counting.slack_calls()
    order = system.order(f"counted-{act.__name__}", "500", currency=currency)
    order.card()
    # A click while the card is being recorded appends beside it to the audit, which costs one of them a statement more.
    eventually(lambda: tally.committed(" SET cards="))
    act(order)
    order.output()
    path = tally.take()
    history = history_of(order)
    took = Budget(
        len(path.statements),
        path.writes,
        counting.slack_calls() - before,
        sum(event.HasField("taskScheduled") for event in history),
        len(history),
        -(-sum(event.ByteSize() for event in history) // 1024),
    )
    settled(counting)
    assert not [text for text in path.statements if re.search(r"\bpolicies\b", text)]  # once for each version
    assert all(spent <= bound for spent, bound in zip(took, most, strict=True)), f"{took}\n{path.shown}"
