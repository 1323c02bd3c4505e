"""A rolling restart under clicks, over HTTP behind a load balancer and over sockets: none is refused or unanswered.

    python -m tests.torture.rolling --apps 3 --rate 20 --rounds 1

Each app in turn gets SIGTERM, ends, and is started again, while people click. The load balancer is haproxy and asks
/readyz; over sockets Slack chooses one of the app's connections for each click. What Slack sends while a close frame is
on its way to it can never be answered: such clicks are counted apart, at most one for each restart, and made again.
"""

import argparse
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from local.slack.socket_mode import CLOSED
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import Order, System, eventually
from tests.postgres import running_cluster
from tests.torture.report import finish

APPROVALS = 12
"""Orders of which each is approved once while the apps restart; all other clicks are refused by the rules."""

BALANCER = """
defaults
    mode http
    timeout connect 1s
    timeout client 15s
    timeout server 15s
    option redispatch
    retries 2
frontend clicks
    bind 127.0.0.1:{port}
    default_backend apps
backend apps
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 250ms fall 1 rise 1
"""


class Clicks:
    """People who click at a steady rate, and what came of it."""

    def __init__(self, orders: list[Order], kept: Order, rate: float, seed: int) -> None:
        self.left = orders
        self._kept = kept
        self._rate = rate
        self._dice = random.Random(seed)
        self._ended = threading.Event()
        self.seconds: list[float] = []
        self.bad: list[str] = []
        self.crossed = 0

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Click as long as the block runs."""
        with ThreadPoolExecutor(16) as pool:
            beat = threading.Thread(target=self._beat, args=(pool,))
            beat.start()
            try:
                yield
            finally:
                self._ended.set()
                beat.join()

    def _beat(self, pool: ThreadPoolExecutor) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            if self.left and self._dice.random() < 0.1:
                pool.submit(self._click, self.left.pop(), "U0MANAGER")
            else:
                pool.submit(self._click, self._kept, "U0REQUESTER")
            due += 1 / self._rate
            time.sleep(max(0.0, due - time.monotonic()))

    def _click(self, order: Order, user: str) -> None:
        outcome = order.click(user)
        if outcome.body == CLOSED:  # it crossed the socket's close: Slack says so, and the person clicks again
            self.crossed += 1
            outcome = order.click(user)
        self.seconds.append(outcome.elapsed)
        if not outcome.ok:
            self.bad.append(f"a click was not answered: {outcome.status} {outcome.error} {outcome.body[:100]}")


def roll(apps: list[AppProcess], system: System, folder: Path, ports: list[int]) -> list[float]:
    """Restart each app in turn, and wait until it is ready before the next. Returns how long each end took."""
    ends = []
    for number, app in enumerate(apps):
        code, seconds = app.end()
        ends.append(seconds)
        assert code == 0, app.written[-2000:]
        settings = system.settings.model_copy(update={"port": ports[number]})
        apps[number] = following = AppProcess(settings, folder / f"again-{number}.log", port=ports[number])
        following.ready()
        eventually(lambda: httpx.get(f"{following.url}/readyz").status_code == 200)  # noqa: B023 this round's
        time.sleep(0.6)  # the load balancer looks four times a second
    return ends


def torture(
    folder: Path, *, socket_mode: bool, apps: int, rate: float, rounds: int
) -> tuple[dict[str, Any], list[str]]:
    """Roll over all apps under clicks; give the figures and all that is wrong."""
    with ExitStack() as stack:
        changes: dict[str, Any] = {}
        if shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            changes["database_url"] = stack.enter_context(running_cluster()).url
        system, running = stack.enter_context(running_apps(folder, apps, socket_mode=socket_mode, **changes))
        stack.callback(lambda: [app.kill() for app in running])
        ports = [int(app.url.rsplit(":", 1)[1]) for app in running]
        if not socket_mode:
            port = stack.enter_context(balanced(folder, ports))
            system.slack.deliver_to = f"http://127.0.0.1:{port}/slack/events"
        orders = [system.order(f"roll-{number}", "900") for number in range(APPROVALS)]
        kept = system.order("kept", "900")
        for order in (*orders, kept):
            order.card()
        if socket_mode:
            eventually(lambda: system.slack.sockets == apps)
        clicks = Clicks(orders[:], kept, rate, seed=7)
        began = time.monotonic()
        ends: list[float] = []
        with clicks.flowing():
            for _ in range(rounds):
                time.sleep(1)
                ends += roll(running, system, folder, ports)
            time.sleep(1)
        took = time.monotonic() - began
        approved = [order for order in orders if order not in clicks.left]
        system.http.base_url = running[0].url
        wrong = clicks.bad + [
            f"{order.id} was approved and not processed once" for order in approved if not _processed(order)
        ]
        if clicks.crossed > len(ends):
            wrong.append(f"{clicks.crossed} clicks crossed the close of {len(ends)} sockets")
    found = sorted(clicks.seconds)
    figures = {
        "over": "sockets" if socket_mode else "http",
        "restarts": len(ends),
        "clicks": len(found),
        "a second": round(len(found) / took, 1),
        "approved": len(approved),
        "ack p50 s": round(found[len(found) // 2], 3),
        "ack p99 s": round(found[int(len(found) * 0.99)], 3),
        "crossed a close": clicks.crossed,
        "longest end s": round(max(ends), 1),
    }
    return figures, wrong


def _processed(order: Order) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if len(order.processed()) == 1:
            return True
        time.sleep(0.1)
    return False


@contextmanager
def balanced(folder: Path, ports: list[int]) -> Iterator[int]:
    """Run haproxy in front of some ports; give its own."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    lines = "".join(f"    server app{number} 127.0.0.1:{each}\n" for number, each in enumerate(ports))
    config = folder / "haproxy.cfg"
    config.write_text(BALANCER.format(port=port) + lines)
    with subprocess.Popen([program, "-f", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: answers(port))
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    """Return whether the load balancer has an app that is ready."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def main() -> int:
    """Read the command line and roll, over HTTP and over sockets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=3)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    failed = 0
    for socket_mode in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            figures, wrong = torture(
                Path(folder), socket_mode=socket_mode, apps=given.apps, rate=given.rate, rounds=given.rounds
            )
        failed |= finish("rolling", figures, wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
