"""Refunds of strangers through kills of the app and of every stranger: no end is lost, nothing is refunded twice.

Six ways to ask, at once: with the client package, which waits or is told by a webhook; by raw REST and a webhook; by a
child workflow of another app-id; by `countersign ask` in a shell script; by MCP with its official client. Each program
is killed at named points of a refund (it is asked for, its card is posted, it is clicked) and in between.

    python -m tests.torture.strangers --kills 50 --seed 7
"""

import argparse
import contextlib
import itertools
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from dapr.ext.workflow import DaprWorkflowClient

from local.sidecar import Sidecar
from local.slack import LocalSlack, Message
from tests.end_to_end.forking import Forks
from tests.end_to_end.system import CHANNEL, ROOT, Order, System, eventually, settings_for, text_of
from tests.torture.parts import quantiles
from tests.torture.programs import Program, Scripts, free_port
from tests.torture.report import finish

POLICY = """
version: 1
channel: approvals
currency: EUR
groups: {managers: managers}
rules:
  - name: refunds
    when: {kind: refund}
    approve: [{group: managers}]
    within: 1 day
"""
WAYS = ("client", "hook", "rest", "child", "ask", "mcp")
POINTS = ("any moment", "it is asked for", "its card is posted", "it is clicked")
SUBJECT = re.compile(r"Refund order ([a-z]+-[0-9]+)")
PATIENCE_S = 100.0
"""Seconds after the last kill. An attempt of a webhook that was killed is leased for a minute."""

ROUND_S = 20.0
"""The longest that a round of kills waits until a refund of each way has ended since it began."""


class World:
    """The app on a fixed port, local Slack, a sidecar with a second app-id, and the strangers' programs."""

    def __init__(self, folder: Path, slack: LocalSlack, sidecar: Sidecar, forks: Forks) -> None:
        (folder / "policy.yml").write_text(POLICY)
        self.ledger = folder / "ledger"
        self.ledger.mkdir()
        self._forks, self._port = forks, free_port()
        asks, hears = free_port(), free_port()
        settings = settings_for(
            folder, slack, sidecar.address, policy=folder / "policy.yml", callback_hosts=f"127.0.0.1:{hears}"
        )
        self.settings = settings
        self.pid, url = forks.start(settings, self._port)
        slack.deliver_to = f"{url}/slack/events"
        self.system = System(slack, url, settings, sidecar.address)
        eventually(lambda: self.system.http.get("/readyz").status_code == 200)
        key = self.system.token("requester@example.com", "requester", "requests:ask")
        own = self.system.http.get("/webhooks/secret", headers={"Authorization": f"Bearer {key}"}).json()
        self.refunds = f"http://127.0.0.1:{asks}/refunds"
        self.shop = DaprWorkflowClient(port=sidecar.addresses["shop"].rpartition(":")[2])
        ours = {"COUNTERSIGN_URL": url, "COUNTERSIGN_API_KEY": key, "STRANGERS_HOOKS_PORT": str(hears)}
        ours["DAPR_GRPC_PORT"] = sidecar.addresses["shop"].rpartition(":")[2]
        service = str(ROOT / "tests/end_to_end/stranger.py")
        self.client = Program([service, str(asks), str(self.ledger)], ours, folder)
        self.receiver = Program(
            [service, str(hears), str(self.ledger)], {"STRANGERS_SECRET": own["secrets"][0]}, folder
        )
        self.child = Program(["-m", "tests.torture.shop", str(self.ledger)], ours, folder)
        self.agent = Program(["-m", "tests.torture.agent", str(self.ledger)], ours, folder)
        self.scripts = Scripts(ROOT / "tests/torture/ask.sh", self.ledger, ours, folder)
        self._cards: dict[str, Message] = {}
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def app_again(self) -> None:
        """Kill -9 the app, and start it again at the same address."""
        os.kill(self.pid, signal.SIGKILL)
        self.pid, _ = self._forks.start(self.settings, self._port)

    @property
    def victims(self) -> dict[str, Callable[[], None]]:
        """What kills each program and begins it again."""
        return {
            "server": self.app_again,
            "client": self.client.again,
            "receiver": self.receiver.again,
            "child workflow's worker": self.child.again,
            "script": self.scripts.again,
            "agent": self.agent.again,
        }

    def ask(self, order: str) -> None:
        """Have a stranger ask for a refund in the way that the order's name says, durably on its side."""
        if order.startswith("child"):
            self.shop.schedule_new_workflow("refund_workflow", input={"id": order}, instance_id=f"refund-{order}")
        elif order.startswith("ask"):
            self.scripts.begin(order)
        elif order.startswith("mcp"):
            (self.ledger / f"{order}.wanted").touch()
        else:
            eventually(lambda: self._asked(order))

    def _asked(self, order: str) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.post(f"{self.refunds}/{order}").is_success
        return False

    def card(self, order: str) -> Message | None:
        """Return the request's card."""
        with self._lock:
            for message in self.system.slack.messages(CHANNEL):
                if message.ts not in self._seen and message.metadata:
                    self._seen.add(message.ts)
                    if said := SUBJECT.search(text_of(message)):
                        self._cards.setdefault(said[1], message)
            return self._cards.get(order)

    def request(self, order: str) -> Order:
        """Wait for the request's card, and return it."""
        found = Order(self.system, order)
        card = eventually(lambda: self.card(order))
        found.instance_id = str(card.metadata["event_payload"]["instance_id"])
        return found

    def read(self, order: str, kind: str) -> list[str]:
        """Return the lines that the stranger wrote about an order."""
        path = self.ledger / f"{order}.{kind}"
        return path.read_text().split() if path.exists() else []

    def wrong(self, order: str) -> str:
        """Say what is wrong about an order that has had its time, nothing if it was refunded once."""
        end, paid, told = (self.read(order, kind) for kind in ("end", "paid", "ids"))
        if end != ["refunded"] or len(paid) != 1:
            return f"{order} ended {end} and was paid {len(paid)} times. {self.read(order, 'problem')}"
        if order.startswith(("hook", "rest")) and len(set(told)) != 1:
            return f"{order} was told under the ids {told}"
        return ""

    def close(self) -> None:
        """End all programs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for each in (self.client, self.receiver, self.child, self.agent, self.scripts):
            each.kill()
        self.system.http.close()


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Give everything, started."""
    with (
        Sidecar(folder / "sidecar.db", apps={"shop": 0}) as sidecar,
        LocalSlack(manifest=ROOT / "manifest.yml") as slack,
        Forks() as forks,
    ):
        found = World(folder, slack, sidecar, forks)
        try:
            yield found
        finally:
            found.close()


@dataclass
class Killer:
    """Kills a program when a refund reaches the point that is armed, or after a while if none does."""

    world: World
    dice: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    _armed: str = ""
    _struck: threading.Event = field(default_factory=threading.Event)

    def reached(self, point: str) -> None:
        """Let the killer strike if this is its point. From any thread."""
        if self._armed == point:
            self._struck.set()

    def kill(self, victim: str) -> None:
        """Kill a program once, and begin it again."""
        self._struck.clear()
        self._armed = self.dice.choice(POINTS)
        if not self._struck.wait(self.dice.uniform(0.1, 1.0) if self._armed == POINTS[0] else 2.0):
            self._armed = POINTS[0]
        self.kills[f"{victim}, {self._armed}"] += 1
        self._armed = ""
        self.world.victims[victim]()


@dataclass
class Load:
    """Refunds that are asked for, clicked and waited for, so many at once, until they are told to stop."""

    world: World
    killer: Killer
    stop: threading.Event = field(default_factory=threading.Event)
    wrong: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    orders: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def keep_asking(self, way: str) -> None:
        """Ask one way, one refund after the other."""
        while not self.stop.is_set():
            order = f"{way}-{next(self._numbers):04}"
            self.orders.append(order)
            try:
                self.refund(order)
            except AssertionError as error:
                self.wrong.append(f"{order}: {str(error)[:200]} {self.world.wrong(order)}")

    def refund(self, order: str) -> None:
        """Ask, click until it is acknowledged, and wait for the end. Raises: AssertionError if there is none."""
        self.world.ask(order)
        self.killer.reached("it is asked for")
        self._wait(lambda: self.world.card(order))
        request = self.world.request(order)
        self.killer.reached("its card is posted")
        self._wait(lambda: self._clicked(request))
        clicked = time.monotonic()
        self.killer.reached("it is clicked")
        self._wait(lambda: self.world.read(order, "end"))
        self.took.append(time.monotonic() - clicked)
        self.ended[order.partition("-")[0]] += 1
        if wrong := self.world.wrong(order):
            self.wrong.append(wrong)

    def _wait(self, found: Callable[[], Any]) -> None:
        """Wait as long as there are kills, and then as long as recovery may take."""
        while not self.stop.is_set():
            if found():
                return
            time.sleep(0.05)
        eventually(found, PATIENCE_S)

    def _clicked(self, request: Order) -> bool:
        """Click; a button that is gone was clicked by a call whose answer was lost."""
        if "approval_approve" not in str(request.card().blocks):
            return True
        outcome: Any = request.click("U0MANAGER")
        return bool(outcome.status == 200 and outcome.error is None)


def torture(found: World, kills: int, seed: int, at_once: int = 2) -> tuple[dict[str, Any], list[str]]:
    """Kill each program so many times under refunds in all ways. Returns the figures and what is wrong."""
    dice = random.Random(seed)
    killer = Killer(found, dice)
    load = Load(found, killer)
    threads = [threading.Thread(target=load.keep_asking, args=(way,), daemon=True) for way in WAYS * at_once]
    for thread in threads:
        thread.start()
    for number in range(1, kills + 1):
        before = load.ended.copy()
        for victim in dice.sample(list(found.victims), len(found.victims)):
            killer.kill(victim)
        with contextlib.suppress(AssertionError):
            eventually(lambda: all(load.ended[way] > before[way] for way in WAYS), ROUND_S)  # noqa: B023 used at once
        sys.stderr.write(f"{number} of {kills} kills of each, {len(load.took)} refunds, {len(load.wrong)} wrong\n")
    load.stop.set()
    for thread in threads:
        thread.join(3 * PATIENCE_S)
    wrong = [
        *load.wrong,
        *(wrong for each in load.orders if (wrong := found.wrong(each)) and each not in str(load.wrong)),
    ]
    return {
        "kills": sum(killer.kills.values()),
        "by point": dict(sorted(killer.kills.items())),
        "refunds": dict(Counter(each.partition("-")[0] for each in load.orders)),
        "seconds from click to end": quantiles(load.took),
    }, load.wrong


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each program")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--at-once", type=int, default=2, help="refunds of each way")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as found:
        figures, wrong = torture(found, given.kills, given.seed, given.at_once)
    return finish("strangers", {"seed": given.seed, **figures}, wrong)


if __name__ == "__main__":
    sys.exit(main())
