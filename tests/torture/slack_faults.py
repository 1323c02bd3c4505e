"""Slack answering 10 % 429, 5 % 500 and 5 % with the reply lost after the work: nothing counts twice, no card lies.

python -m tests.torture.slack_faults --requests 1000 --seed 7
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.slack.call_log import ApiCall
from tests.torture.parts import CHANNEL, World, eventually, world
from tests.torture.report import finish

TRUE_WITHIN = 60.0
OK = 200
TOO_MANY = 429
RETRY_AFTER = 2
MARGIN = 1.0
"""Seconds that a call may have been on its way when the answer to another was given, on a machine with no time."""


def torture(requests: int, seed: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Let so many orders be asked and approved under faults; give the figures and all that is wrong."""
    with world(folder, slack_posts_per_second=50) as made:
        for kind, probability, number in (("ratelimited", 0.10, 0), ("http_500", 0.05, 1), ("lost_reply", 0.05, 2)):
            # Each die is cast after the ones before it have passed, so the shares are very nearly these.
            made.slack.fault(
                method="*", kind=kind, probability=probability, count=None, seed=seed + number, retry_after=RETRY_AFTER
            )
        began = time.monotonic()
        names, seen = _asked_and_approved(made, requests)
        decided = max(seen.values(), default=began)
        eventually(lambda: not made.unanswered() and not made.unaccounted(names), 120)
        eventually(lambda: made.lying()[0] == 0, 300)
        true_after = time.monotonic() - decided
        figures, wrong = _examined(made, names, seen, true_after)
        return figures | {"seconds": round(time.monotonic() - began)}, wrong


def _asked_and_approved(made: World, requests: int) -> tuple[set[str], dict[str, float]]:
    """Start all, approve each as soon as its card stands; returns the instances and when each was decided."""
    names: set[str] = set()
    decided: dict[str, float] = {}
    done = threading.Event()

    def approve() -> None:
        while not (done.is_set() and len(decided) >= len(names)):
            waiting = [(name, cards) for name, cards in made.cards().items() if name in names and name not in decided]
            for name, cards in waiting[:20]:
                outcome = made.click(cards[0])
                # Without a button it was decided by a click whose answer did not come in time.
                if outcome is None or outcome.status == OK:
                    decided[name] = time.monotonic()
            time.sleep(0.05)

    clicking = threading.Thread(target=approve, daemon=True)
    clicking.start()
    with ThreadPoolExecutor(4) as pool:
        for name in pool.map(lambda number: made.order(f"f{number}"), range(requests)):
            if name:
                names.add(name)
    done.set()
    clicking.join(300)
    return names, decided


def _examined(
    made: World, names: set[str], decided: dict[str, float], true_after: float
) -> tuple[dict[str, Any], list[str]]:
    cards = made.cards()
    alarms = {row[0] for row in made.rows("SELECT instance_id FROM audit WHERE action = 'card.unposted'")}
    neither = sorted(names - set(cards) - alarms)
    lies, second = made.lying()
    disobeyed = too_early(made.slack.calls())
    calls = made.slack.calls()
    figures = {
        "requests": len(names),
        "calls": len(calls),
        "429": sum(each.status == TOO_MANY for each in calls),
        "500": sum(each.status == 500 for each in calls),
        "lost replies": sum(each.status == 0 for each in calls),
        "decided": len(decided),
        "refused, as Slack could not be asked": made.refused(set(decided)),
        "counted twice": made.doubled(),
        "neither card nor alarm": len(neither),
        "known cards that lie": lies,
        "second cards after a lost reply": second,
        "seconds until all cards were true after the last decision": round(true_after, 1),
        "calls before their Retry-After": disobeyed,
    }
    wrong = [f"{name} has neither card nor alarm" for name in neither]
    wrong += [f"{made.doubled()} counted twice"] if made.doubled() else []
    wrong += made.unaccounted(set(decided))
    wrong += [f"{lies} known cards lie"] if lies else []
    wrong += [f"{disobeyed} calls came before their Retry-After"] if disobeyed else []
    return figures, wrong


def too_early(calls: list[ApiCall]) -> int:
    """Count calls that began too early after a 429 to the same method and channel."""
    until: dict[tuple[str, str], tuple[float, float]] = {}
    early = 0
    for call in sorted(calls, key=lambda each: each.at):
        channel = str(call.arguments.get("channel", "")).lstrip("#")
        key = (call.method, "C0APPROVALS" if channel == CHANNEL else channel)
        began = call.at - call.elapsed
        known, end = until.get(key, (0.0, 0.0))
        early += known + MARGIN < began < end - 0.1
        if call.status == TOO_MANY:
            until[key] = (call.at, call.at + RETRY_AFTER)
    return early


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, wrong = torture(given.requests, given.seed, Path(folder))
    within = figures["seconds until all cards were true after the last decision"] <= TRUE_WITHIN
    return finish("Slack faults", {"seed": given.seed, **figures, "within 60 s": within}, wrong)


if __name__ == "__main__":
    sys.exit(main())
