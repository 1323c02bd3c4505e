"""SIGTERM in the middle of posting, announcing and telling, again and again: no second card, nobody is told twice.

    python -m tests.torture.stopping --trials 20 --seed 7

Slack takes up to half a second for each post and update, so that nearly every stop finds calls under way.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.torture.parts import CHANNEL, World, eventually, quantiles, world
from tests.torture.report import finish

ORDERS = 2
"""Orders in each trial: one stop falls into their asking, one into their telling."""

PATIENCE = 60.0
REQUESTER = "U0REQUESTER"


def torture(trials: int, seed: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Stop twice in each trial; give the figures and all that is wrong."""
    dice = random.Random(seed)
    with world(folder) as made:
        for method in ("chat.postMessage", "chat.update"):
            made.slack.fault(method=method, kind="slow", delay=0.4, count=None, probability=0.7, seed=seed)
        seconds: list[float] = []
        names = [name for number in range(trials) for name in _trial(made, number, dice, seconds)]
        return _examined(made, names, seconds)


def _trial(made: World, number: int, dice: random.Random, seconds: list[float]) -> list[str]:
    names = [made.order(f"s{number}x{each}") for each in range(ORDERS)]
    asked = [name for name in names if name]
    _stop(made, dice.uniform(0, 0.8), seconds)
    eventually(lambda: set(asked) <= set(made.cards()), PATIENCE)
    for name in asked:
        made.click(made.cards()[name][0])
    _stop(made, dice.uniform(0, 0.8), seconds)
    eventually(lambda: set(asked) <= made.approved(), PATIENCE)
    return asked


def _stop(made: World, after: float, seconds: list[float]) -> None:
    time.sleep(after)
    seconds.append(made.stop_app())
    made.start_app()
    made.ready()


def _examined(made: World, names: list[str], seconds: list[float]) -> tuple[dict[str, Any], list[str]]:
    eventually(lambda: not made.rows("SELECT id FROM notifications WHERE over_at IS NULL"), PATIENCE)
    eventually(lambda: made.lying() == (0, 0), PATIENCE)
    cards = made.cards()
    replies = {name: sum(len(made.slack.thread(CHANNEL, card.ts)) for card in cards[name]) for name in names}
    said = [message.text for message in made.slack.dms(REQUESTER)]
    told = {name: sum(name.removeprefix("order-").removesuffix("-workflow") in text for text in said) for name in names}
    second = [name for name in names if len(cards[name]) > 1]
    lies, more = made.lying()
    wrong = [f"{name} has {len(cards[name])} cards" for name in second]
    wrong += [f"{name}: {count} replies in the thread" for name, count in replies.items() if count != 1]
    wrong += [f"{name}: the requester was told {count} times" for name, count in told.items() if count != 1]
    wrong += [f"{lies + more} cards lie"] if lies + more else []
    figures = {
        "stops": len(seconds),
        "orders": len(names),
        "second cards": len(second),
        "double replies": sum(count > 1 for count in replies.values()),
        "double direct messages": sum(count > 1 for count in told.values()),
        "missing": sum(count == 0 for count in (*replies.values(), *told.values())),
        "lying cards": lies + more,
        "seconds to stop": quantiles(seconds),
    }
    return figures, wrong


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, wrong = torture(given.trials, given.seed, Path(folder))
    return finish("stops", {"seed": given.seed, **figures}, wrong)


if __name__ == "__main__":
    sys.exit(main())
