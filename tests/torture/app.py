"""Kills app, worker and sidecar at named and random points under load, then counts: nothing lost, doubled or lying.

    python -m tests.torture.app --kills 300 --seed 7

A click that got its 200 counts; one that did not may count or not. The named points: when Slack has done the work and
its answer is not yet given, when a click has just been acknowledged, when a start has just been answered.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.torture.parts import World, eventually, world
from tests.torture.report import finish

PATIENCE = 120.0
POINTS = ("random", "Slack has done it", "a click is acknowledged", "a start is answered")


@dataclass
class Killer:
    """Kills at a point: at once, or when the load reaches the point that was armed."""

    world: World
    dice: random.Random
    armed: str = ""
    struck: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)

    def reached(self, point: str) -> None:
        """Strike if this is the armed point."""
        if self.armed == point:
            self.armed = ""
            self.world.kill_app()
            self.struck.set()

    def on_change(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Hear that Slack has changed something: the app has not yet been answered."""
        self.reached("Slack has done it")

    def kill(self) -> None:
        """Kill once and start again what was killed."""
        if self.dice.random() < 0.3:
            self.counts["sidecar, random"] += 1
            self.world.sidecar.kill()
            self.world.sidecar.start()
            return
        point = self.dice.choice(POINTS)
        self.struck.clear()
        self.armed = point
        if point == "random" or not self.struck.wait(5):
            self.armed = ""
            if not self.struck.is_set():
                self.world.kill_app()
        self.counts[f"app, {point}"] += 1
        self.world.start_app()


@dataclass
class Load:
    """Threads that start orders and approve them, remembering what was acknowledged."""

    world: World
    killer: Killer
    stop: threading.Event = field(default_factory=threading.Event)
    started: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    number: int = 0

    def orders(self) -> None:
        """Start orders until the end, a few at a time."""
        while not self.stop.is_set():
            if len(self.started) - len(self.acknowledged) > 15:
                time.sleep(0.1)
                continue
            self.number += 1
            instance = self.world.order(f"n{self.number}", patiently=30)
            if instance is not None:
                self.started.append(instance)
                self.killer.reached("a start is answered")

    def clicks(self) -> None:
        """Approve what stands in the channel, again while there was no answer."""
        while not self.stop.is_set():
            cards = self.world.cards()
            open_ = [name for name in self.started if name not in self.acknowledged and name in cards]
            for name in open_[:3]:
                outcome = self.world.click(cards[name][-1])
                if outcome is not None and outcome.status == 200 and outcome.error is None:
                    self.acknowledged.add(name)
                    self.killer.reached("a click is acknowledged")
            time.sleep(0.02)


def torture(kills: int, seed: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Kill so many times; give the figures and all that is wrong."""
    dice = random.Random(seed)
    with world(folder) as made:
        killer = Killer(made, dice)
        load = Load(made, killer)
        stop = made.slack.workspace.world.listen(killer.on_change)
        threads = [threading.Thread(target=each, daemon=True) for each in (load.orders, load.clicks)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(dice.uniform(0.05, 0.9))
            killer.kill()
        stop()
        load.stop.set()
        for thread in threads:
            thread.join(60)
        return _examined(made, load, killer)


def _examined(made: World, load: Load, killer: Killer) -> tuple[dict[str, Any], list[str]]:
    began = time.monotonic()
    eventually(lambda: not made.unanswered() and not made.unaccounted(load.acknowledged), PATIENCE)
    eventually(lambda: made.lying()[0] == 0, PATIENCE)
    recovered = time.monotonic() - began
    lost = made.unaccounted(load.acknowledged)
    lies, second = made.lying()
    wrong = list(lost)
    wrong += [f"{made.unanswered()} decisions are unanswered"] if made.unanswered() else []
    wrong += [f"{made.doubled()} counted twice"] if made.doubled() else []
    wrong += [f"a card lies: {each}" for each in made.lies()]
    figures = {
        "kills": sum(killer.counts.values()),
        "by point": dict(killer.counts),
        "orders": len(load.started),
        "acknowledged": len(load.acknowledged),
        "lost": len(lost),
        "refused, as Slack could not be asked": made.refused(load.acknowledged),
        "doubled": made.doubled(),
        "lying cards": lies,
        "second cards after a lost reply": second,
        "seconds until all was true": round(recovered, 1),
    }
    return figures, wrong


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, wrong = torture(given.kills, given.seed, Path(folder))
    return finish("kills", {"seed": given.seed, **figures}, wrong)


if __name__ == "__main__":
    sys.exit(main())
