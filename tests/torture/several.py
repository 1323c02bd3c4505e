"""Three apps on one PostgreSQL while apps and their sidecar are killed, then while apps are asked to end, under load.

    python -m tests.torture.several --orders 300 --every 2 --seed 7

Every order is asked and approved; nothing is lost or done twice. Who is told twice is counted: at most one message for
a kill, none for an orderly end. COUNTERSIGN_TEST_SIDECARS=A,B,C names one for each app; they are not killed.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.torture.parts import CHANNEL, eventually, quantiles
from tests.torture.replicas import REAL, Replicas, replicas
from tests.torture.report import finish

ACTS = {"kills": ("app", "app", "app", "sidecar"), "ends": ("end",)}
PATIENCE_S = 120.0
DECIDED_S = 10.0
"""Seconds from an acknowledged click to its effect, for 99 of 100, while apps end in an orderly way.

After a kill another app takes a decision up when its lease is over (bot.decisions.delivery.DELIVERER_LEASE). While the
sidecar, or every app, is being started again nothing takes effect: that time is printed and not judged.
"""
REQUESTER = "U0REQUESTER"
AT_ONCE = 5
"""Orders that wait for a decision."""
AGAIN_S = 0.2
"""Seconds until a person tries once more."""


class Work:
    """People who ask for orders and approve them, as often as they must until somebody answers."""

    def __init__(self, made: Replicas, count: int) -> None:
        self._made = made
        self._count = count
        self._http = httpx.Client(timeout=15)
        self.names: list[str] = []
        self.acknowledged: dict[str, float] = {}
        self.approved: dict[str, float] = {}
        self.wrong: list[str] = []

    @property
    def over(self) -> bool:
        """Whether every order has taken effect or was given up."""
        return len(self.approved) + len(self.wrong) >= self._count

    def took(self, name: str) -> float:
        """Return the seconds from an acknowledged click to its effect; 0 if there was none."""
        return self.approved.get(name, self.acknowledged[name]) - self.acknowledged[name]

    def run(self) -> None:
        """Do all of it."""
        watching = threading.Thread(target=self._watch)
        watching.start()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._one, range(self._count)))
        watching.join()

    def _one(self, number: int) -> None:
        order = f"n{number}-{self._made.run}"
        if not eventually(lambda: self._started(order), PATIENCE_S):
            self.wrong.append(f"order {order} was not taken")
            return
        name = f"order-{order}-workflow"
        self.names.append(name)
        if not eventually(lambda: self._clicked(name), PATIENCE_S):
            self.wrong.append(f"{name}: no click was acknowledged")

    def _started(self, order: str) -> bool:
        try:
            answer = self._http.post(
                f"{self._made.url}/orders/{order}/start", json={"amount": 900}, headers=self._made.key
            )
        except httpx.HTTPError:
            time.sleep(AGAIN_S)
            return False
        if answer.is_success:
            return True
        time.sleep(AGAIN_S)
        return False

    def _clicked(self, name: str) -> bool:
        cards = self._made.cards().get(name)
        outcome = self._made.click(cards[-1]) if cards else None
        if outcome is None or outcome.status != 200 or outcome.error is not None:
            time.sleep(AGAIN_S)
            return False
        self.acknowledged[name] = time.monotonic()
        return True

    def _watch(self) -> None:
        """Note when each takes effect."""
        end = None
        while not self.over and (end is None or time.monotonic() < end):
            for name in self._made.approved() - set(self.approved):
                self.approved[name] = time.monotonic()
            if len(self.acknowledged) + len(self.wrong) >= self._count and end is None:
                end = time.monotonic() + PATIENCE_S
            time.sleep(0.1)


def strike(made: Replicas, act: str) -> None:
    """Kill or end one part, and start it again."""
    if act == "sidecar":
        made.sidecar.kill()
        made.sidecar.start()
    elif act == "end":
        made.stop_app()
    else:
        made.kill_app()
    made.start_app()


def torture(
    folder: Path, *, orders: int, apps: int, acts: tuple[str, ...], every_s: float, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Strike until all orders are through; give the figures and all that is wrong."""
    dice = random.Random(seed)
    struck: Counter[str] = Counter()
    with replicas(folder, apps) as made:
        work = Work(made, orders)
        running = threading.Thread(target=work.run)
        began = time.monotonic()
        running.start()
        while running.is_alive():
            running.join(every_s)
            if running.is_alive():
                act = dice.choice([each for each in acts if not (REAL and each == "sidecar")])
                struck[act] += 1
                strike(made, act)
        took = time.monotonic() - began
        figures, wrong = _examined(made, work, struck)
    return {"apps": apps, "acts": dict(struck), **figures, "seconds": round(took)}, wrong


def _examined(made: Replicas, work: Work, struck: Counter[str]) -> tuple[dict[str, Any], list[str]]:
    eventually(lambda: not made.rows("SELECT id FROM notifications WHERE over_at IS NULL"), PATIENCE_S)
    eventually(lambda: made.lying() == (0, 0), PATIENCE_S)
    lost = made.unaccounted(set(work.acknowledged))
    told = _told(made, work.names)
    twice = sum(count - 1 for count in told.values() if count > 1)
    seconds = [work.approved[name] - at for name, at in work.acknowledged.items() if name in work.approved]
    decided = quantiles(seconds)
    kills = sum(count for act, count in struck.items() if act != "end")
    missing = sorted(f"{name} {kind}" for (name, kind), count in told.items() if count == 0)
    wrong = [*work.wrong, *lost]
    wrong += [f"{made.doubled()} counted twice"] if made.doubled() else []
    wrong += [f"{made.unanswered()} decisions are unanswered"] if made.unanswered() else []
    wrong += [f"{twice} messages too many after {kills} kills"] if twice > kills else []
    wrong += [f"never told: {', '.join(missing)}"] if missing else []
    wrong += [f"a card lies: {each}" for each in made.lies()]
    wrong += [f"99 of 100 took {decided['p99']} s"] if not kills and decided["p99"] > DECIDED_S else []
    figures = {
        "orders": len(work.names),
        "lost": len(lost),
        "doubled": made.doubled(),
        "told twice": twice,
        "not told": len(missing),
        "second cards": sum(len(cards) > 1 for cards in made.cards().values()),
        "seconds from click to effect": decided,
    }
    slow = sorted(each for each in work.acknowledged if work.took(each) > DECIDED_S)
    return figures | {"slow": {each: _story(made, each) for each in slow[:5]}}, wrong


def _story(made: Replicas, name: str) -> list[str]:
    """Say when each step of a request was written down, in seconds since its decision was."""
    rows = made.rows("SELECT action, at FROM audit WHERE instance_id = ? ORDER BY seq", name)
    clicked = next(at for action, at in rows if action == "decision.submitted")
    attempts = made.rows("SELECT attempts FROM intake WHERE instance_id = ?", name)
    return [f"{action} {(at - clicked) / 1e6:.1f}" for action, at in rows] + [f"attempts {attempts}"]


def _told(made: Replicas, names: list[str]) -> Counter[tuple[str, str]]:
    """Count what each order's thread and its requester got."""
    cards = made.cards()
    said = [message.text for message in made.slack.dms(REQUESTER)]
    found: Counter[tuple[str, str]] = Counter()
    for name in names:
        order = name.removeprefix("order-").removesuffix("-workflow")
        found[name, "thread"] = sum(len(made.slack.thread(CHANNEL, card.ts)) for card in cards.get(name, ()))
        found[name, "direct message"] = sum(order in text for text in said)
    return found


def main() -> int:
    """Read the command line; first kill, then end in an orderly way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--apps", type=int, default=3)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--only", choices=tuple(ACTS), help="one of the two")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends all parts
    failed = 0
    for name, acts in ACTS.items():
        if given.only not in {None, name}:
            continue
        with tempfile.TemporaryDirectory() as folder:
            figures, wrong = torture(
                Path(folder), orders=given.orders, apps=given.apps, acts=acts, every_s=given.every, seed=given.seed
            )
        failed |= finish(f"several, {name}", {"seed": given.seed, **figures}, wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
