"""The sidecar frozen, dead, or without a worker: acknowledgements go on, people are told, everything arrives later.

python -m tests.torture.frozen --seconds 60
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.torture.parts import World, eventually, quantiles, world
from tests.torture.report import finish

TOLD = "recorded"
ALARM_AGE = 30.0
NOBODY = 1
"""A port where no sidecar is: an app that points there has no worker that the real sidecar could use."""


def torture(seconds: float, folder: Path, hows: tuple[str, ...] = ("frozen", "dead", "no worker")) -> Any:
    """Let the sidecar be away in each way; give the figures and all that is wrong."""
    figures: dict[str, Any] = {"seconds away": seconds}
    wrong: list[str] = []
    with world(folder) as made:
        for how in hows:
            found, bad = _away(made, how, seconds)
            figures[how] = found
            wrong += [f"{how}: {each}" for each in bad]
    return figures, wrong


def _away(made: World, how: str, seconds: float) -> tuple[dict[str, Any], list[str]]:
    names = [made.order(f"{how.replace(' ', '')}{number}") for number in range(max(4, min(20, int(seconds * 2))))]
    orders = [name for name in names if name]
    posted = eventually(lambda: set(orders) <= set(made.cards()), 60)
    back = PARTS[how](made)
    began = time.monotonic()
    acks, lives, alarm = [], [], False
    heard = _told(made)
    acknowledged = set()
    while time.monotonic() - began < seconds or len(acknowledged) < len(orders):
        if len(acknowledged) < len(orders):
            name = orders[len(acknowledged)]
            outcome = made.click(made.cards()[name][-1])
            if outcome is None or outcome.status != 200:
                break
            acks.append(outcome.elapsed)
            acknowledged.add(name)
        lives.append(_timed(lambda: httpx.get(f"{made.url}/livez", timeout=10)))
        alarm = alarm or _alarmed(made)
        time.sleep(0.2)
    told = eventually(lambda: _told(made) - heard, 10) or 0
    back()
    arrived = time.monotonic()
    eventually(lambda: acknowledged <= made.approved() and not made.unanswered(), 120)
    figures = {
        "acknowledged in s": quantiles(acks),
        "livez in s": quantiles(lives),
        "acknowledged": len(acknowledged),
        "told that it is recorded": told,
        "alarm": alarm,
        "arrived within s": round(time.monotonic() - arrived, 1),
    }
    wrong = [] if posted else ["cards were not posted"]
    wrong += [f"{name} was acknowledged and did not count" for name in sorted(acknowledged - made.approved())]
    wrong += ["a click was not acknowledged"] if len(acknowledged) < len(orders) else []
    wrong += ["nobody was told"] if not told else []
    wrong += ["no alarm"] if seconds > ALARM_AGE + 5 and not alarm else []
    wrong += ["something counted twice"] if made.doubled() else []
    return figures, wrong


def _frozen(made: World) -> Callable[[], object]:
    made.sidecar.send(signal.SIGSTOP)
    return lambda: made.sidecar.send(signal.SIGCONT)


def _dead(made: World) -> Callable[[], object]:
    made.sidecar.kill()
    return made.sidecar.start


def _no_worker(made: World) -> Callable[[], object]:
    """Take the worker away: the app goes on elsewhere, and the sidecar is alone."""
    made.kill_app()
    real = made.settings
    made.settings = real.model_copy(update={"dapr_grpc_port": NOBODY})
    made.start_app()

    def back() -> None:
        made.kill_app()
        made.settings = real
        made.start_app()

    return back


PARTS = {"frozen": _frozen, "dead": _dead, "no worker": _no_worker}


def _told(made: World) -> int:
    everybody = (*made.slack.ephemerals("U0MANAGER"), *made.slack.dms("U0MANAGER"))
    return sum(TOLD in message.text for message in everybody)


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _alarmed(made: World) -> bool:
    text = httpx.get(f"{made.url}/metrics", timeout=10).text
    found = {each.name: each.samples[0].value for each in text_string_to_metric_families(text) if each.samples}
    if not found["countersign_undelivered_alarm"]:
        return False
    return "waiting for the workflow" in httpx.get(f"{made.url}/readyz", timeout=10).text


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, wrong = torture(given.seconds, Path(folder))
    return finish("sidecar away", figures, wrong)


if __name__ == "__main__":
    sys.exit(main())
