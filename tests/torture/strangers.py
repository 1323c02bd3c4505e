"""A stranger's refund through kills of the app and of the stranger: no end is lost, nothing is refunded twice.

Half of them wait with the client, half are told by a webhook; then the stranger is the receiver that is killed.

`python -m tests.torture.strangers --trials 50 --seed 7`
"""

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from local.sidecar import Sidecar
from local.slack import LocalSlack
from tests.end_to_end.processes import AppProcess
from tests.end_to_end.system import ROOT, Order, System, eventually, settings_for

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


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Stranger:
    """The stranger's service as a process."""

    def __init__(self, ledger: Path, port: int, url: str, key: str, secret: str) -> None:
        self.ledger = ledger
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._environment |= {
            "PYTHONPATH": str(ROOT / "client/src"),
            "COUNTERSIGN_URL": url,
            "COUNTERSIGN_API_KEY": key,
            "STRANGERS_SECRET": secret,
        }
        self.port = port
        self.process = self._begin()

    def _begin(self) -> "subprocess.Popen[bytes]":
        script = str(ROOT / "tests/end_to_end/stranger.py")
        return subprocess.Popen(
            [sys.executable, script, str(self.port), str(self.ledger)], cwd=self.ledger, env=self._environment
        )

    def again(self) -> None:
        """Kill -9 it, and start it again."""
        self.process.kill()
        self.process.wait()
        self.process = self._begin()

    def ask(self, order: str) -> None:
        """Ask for a refund until it is acknowledged, as a customer's browser would."""

        def asked() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.post(f"http://127.0.0.1:{self.port}/refunds/{order}").is_success
            return False

        eventually(asked, 60)

    def end(self, order: str) -> str:
        """Return how it ended, empty before that."""
        path = self.ledger / f"{order}.end"
        return path.read_text() if path.exists() else ""

    def told(self, order: str) -> set[str]:
        """Return the ids under which it was told of the end by webhooks."""
        path = self.ledger / f"{order}.ids"
        return set(path.read_text().split()) if path.exists() else set()

    def problem(self, order: str) -> str:
        """Return what last stood in its way."""
        path = self.ledger / f"{order}.problem"
        return path.read_text() if path.exists() else ""

    def paid(self, order: str) -> int:
        """Return how often it was paid."""
        path = self.ledger / f"{order}.paid"
        return len(path.read_text().splitlines()) if path.exists() else 0


class World:
    """The app on a fixed port, local Slack, the sidecar, and the stranger."""

    def __init__(self, folder: Path, slack: LocalSlack, sidecar: str) -> None:
        (folder / "policy.yml").write_text(POLICY)
        (folder / "ledger").mkdir()
        self._folder, self._port = folder, free_port()
        port = free_port()
        hosts = f"127.0.0.1:{port}"
        self.settings = settings_for(folder, slack, sidecar, policy=folder / "policy.yml", callback_hosts=hosts)
        self.app = self._begin()
        self.app.ready()
        slack.deliver_to = f"{self.app.url}/slack/events"
        self.system = System(slack, self.app.url, self.settings, sidecar)
        key = self.system.token("requester@example.com", "requester")
        own = self.system.http.get("/webhooks/secret", headers={"Authorization": f"Bearer {key}"}).json()
        self.stranger = Stranger(folder / "ledger", port, self.app.url, key, own["secrets"][0])

    def _begin(self) -> AppProcess:
        return AppProcess(self.settings, self._folder / "app.log", port=self._port)

    def app_again(self) -> None:
        """Kill -9 the app, and start it again at the same address."""
        self.app.kill()
        self.app = self._begin()

    def request(self, order: str) -> Order:
        """Wait for the request's card, and return it."""
        try:
            eventually(lambda: self.known_as(order), 150)
        except AssertionError as error:
            why = self.stranger.problem(order) or f"the stranger's exit code is {self.stranger.process.poll()}"
            raise AssertionError(f"{order} was not asked for: {why}\n{self.app.written[-2000:]}") from error
        found = Order(self.system, order)
        found.instance_id = self.known_as(order)
        found.card()
        return found

    def known_as(self, order: str) -> str:
        """Return the request's id, empty before there is one."""
        headers = {"Authorization": f"Bearer {self.system.token('requester@example.com', 'requester')}"}
        with contextlib.suppress(httpx.TransportError):
            answer = self.system.http.get("/workflows", params={"q": order}, headers=headers)
            lines = answer.json()["workflows"] if answer.is_success else []
            return str(next((each["id"] for each in lines if each["subject"] == f"Refund order {order}"), ""))
        return ""

    def close(self) -> None:
        """End both programs."""
        self.app.kill()
        self.stranger.process.kill()
        self.stranger.process.wait()
        self.system.http.close()


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Give everything, started."""
    with Sidecar(folder / "sidecar.db") as sidecar, LocalSlack(manifest=ROOT / "manifest.yml") as slack:
        found = World(folder, slack, sidecar.address)
        try:
            yield found
        finally:
            found.close()


def trial(found: World, order: str, dice: random.Random) -> None:
    """Ask, kill at random moments before and after the click, and expect one refund."""
    found.stranger.ask(order)
    for _ in range(dice.randrange(1, 3)):
        time.sleep(dice.random() * 0.6)
        dice.choice((found.app_again, found.stranger.again))()
    request = found.request(order)
    eventually(lambda: found.system.http.get("/readyz").status_code == 200, 60)
    request.click("U0MANAGER")
    time.sleep(dice.random() * 0.3)
    dice.choice((found.app_again, found.stranger.again))()
    end = ended(found, order)
    if end != "refunded" or found.stranger.paid(order) != 1:
        raise AssertionError(f"{order} ended {end!r} and was paid {found.stranger.paid(order)} times")
    if order.startswith("hook") and len(found.stranger.told(order)) != 1:
        raise AssertionError(f"{order} was told under the ids {found.stranger.told(order)}")


def ended(found: World, order: str) -> str:
    """Return how the stranger's order ended. Raises AssertionError with what is known of it if it does not."""
    try:
        eventually(lambda: found.stranger.end(order), 150)  # an attempt that was killed is leased for a minute
    except AssertionError as error:
        request = found.known_as(order)
        headers = {"Authorization": f"Bearer {found.system.token('operator@example.com', 'operator')}"}
        shown = found.system.http.get(f"/workflows/{request}/diagnosis", headers=headers).text
        raise AssertionError(f"{order} has no end. {found.stranger.problem(order)} {shown[:1000]}") from error
    return found.stranger.end(order)


def main() -> int:
    """Run the trials, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    dice = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as found:
        for number in range(given.trials):
            trial(found, f"{'hook' if number % 2 else 'o'}{number}", dice)
            print(f"{number + 1} of {given.trials}", file=sys.stderr, flush=True)  # noqa: T201 its progress
    print(json.dumps({"trials": given.trials, "lost": 0, "paid_twice": 0}))  # noqa: T201 its result
    return 0


if __name__ == "__main__":
    sys.exit(main())
