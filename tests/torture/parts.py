"""What every torture works with: parts as processes that can be killed or frozen, Slack here, a look inside."""

import asyncio
import json
import os
import secrets
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bot.process.settings import Settings
from local.slack import LocalSlack, Message
from tests.end_to_end.forking import Forks
from tests.end_to_end.system import ROOT, System, settings_for
from tests.torture.sidecar import Parts as SidecarParts

CHANNEL = "approvals"
LOOKUP_FAILED = "lookup_failed"
T = TypeVar("T")


def eventually(found: Callable[[], T], seconds: float) -> T | None:
    """Return the first true value, None after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    return None


class SidecarProcess(SidecarParts):
    """The sidecar of its own torture, without that one's workers."""

    def _start_worker(self) -> Any:
        return None

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kill -9 it."""
        self.sidecar.kill()
        self.sidecar.join()

    def start(self) -> None:
        """Start it again on the same file and port."""
        self.sidecar = self._start_sidecar()

    def send(self, number: signal.Signals) -> None:
        """Freeze it or let it go on."""
        if self.sidecar.pid is not None:
            os.kill(self.sidecar.pid, number)

    def close(self) -> None:
        """End it, also while it is frozen."""
        self.kill()


class World:
    """All parts at once."""

    def __init__(self, folder: Path, stack: ExitStack, **changes: Any) -> None:
        self.folder = folder
        self.sidecar = self._engine(folder, stack)
        self.slack: LocalSlack = stack.enter_context(LocalSlack(manifest=ROOT / "manifest.yml"))
        self.settings: Settings = settings_for(folder, self.slack, self.sidecar.address, **changes)
        self._forks = stack.enter_context(Forks())
        self.run = secrets.token_hex(3)
        self.pid, self.url = 0, ""
        self.start_app()
        stack.callback(self.kill_app)
        self.key = self._key()

    def _engine(self, folder: Path, stack: ExitStack) -> Any:
        made = SidecarProcess(folder)
        stack.callback(made.close)
        return made

    def start_app(self) -> None:
        """Start the app and point Slack at it."""
        self.pid, self.url = self._forks.start(self.settings)
        self.slack.deliver_to = f"{self.url}/slack/events"

    def kill_app(self) -> None:
        """Kill -9 the app with its worker."""
        os.kill(self.pid, signal.SIGKILL)

    def stop_app(self) -> float:
        """Ask the app to end, in the middle of whatever it does. Returns the seconds that this took."""
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        if not eventually(lambda: not _lives(self.pid), 30):
            raise RuntimeError("the app does not end")
        return time.monotonic() - began

    def _key(self) -> dict[str, str]:
        system = System(self.slack, self.url, self.settings, self.sidecar.address)
        token = system.token("requester@example.com", "requester", "operator", "auditor")
        system.http.close()
        return {"Authorization": f"Bearer {token}"}

    def write(self, statement: str, *arguments: object) -> None:
        """Write in the app's database, past everything that checks."""
        with closing(sqlite3.connect(self.folder / "countersign.db", timeout=30)) as connection, connection:
            connection.execute(statement, arguments)

    def keep(self) -> None:
        """Keep a copy of the database as it is now."""
        _copied(self.folder / "countersign.db", self.folder / "kept.db")

    def restore(self) -> None:
        """Put the copy back. No app may run."""
        _copied(self.folder / "kept.db", self.folder / "countersign.db")

    def order(self, name: str, *, patiently: float = 60.0) -> str | None:
        """Start an order, again and again while parts are away; returns the instance's id."""
        path = f"/orders/{name}-{self.run}/start"

        def started() -> bool:
            try:
                answer = httpx.post(self.url + path, json={"amount": 900}, headers=self.key, timeout=15)
            except httpx.HTTPError:
                return False
            return answer.status_code == 200

        return f"order-{name}-{self.run}-workflow" if eventually(started, patiently) else None

    def cards(self) -> dict[str, list[Message]]:
        """Return the cards in the channel by their instance."""
        found: dict[str, list[Message]] = {}
        for message in self.slack.messages(CHANNEL):
            instance = ((message.metadata or {}).get("event_payload") or {}).get("instance_id")
            if instance:
                found.setdefault(str(instance), []).append(message)
        return found

    def click(self, message: Message, user: str = "U0MANAGER") -> Any:
        """Press Approve; returns what came of it, None where the button is gone."""
        actor = self.slack.act_as(user)
        try:
            return asyncio.run(actor.click(CHANNEL, message.ts, "approval_approve"))
        except Exception:  # noqa: BLE001 a card that was rewritten meanwhile has no such button
            return None

    def rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Ask the app's database."""
        with sqlite3.connect(f"file:{self.folder / 'countersign.db'}?mode=ro", uri=True, timeout=30) as connection:
            return connection.execute(statement, arguments).fetchall()

    def ready(self, seconds: float = 60.0) -> bool:
        """Wait until the app says that it is ready."""

        def found() -> bool:
            try:
                return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        return bool(eventually(found, seconds))

    # ---- what must hold ---------------------------------------------------------------------------------------------

    def unanswered(self) -> int:
        """Count decisions without the workflow's answer."""
        return int(self.rows("SELECT count(*) FROM intake WHERE answered_at IS NULL")[0][0])

    def doubled(self) -> int:
        """Count orders that were processed twice and decisions that counted twice."""
        twice = "SELECT order_id FROM order_ledger GROUP BY order_id HAVING count(*) > 1"
        accepted = self.rows("SELECT instance_id, data FROM audit WHERE action = 'request.accepted'")
        counted = Counter((row[0], _json(row[1]).get("decision_id")) for row in accepted)
        return len(self.rows(twice)) + sum(count > 1 for count in counted.values())

    def unaccounted(self, acknowledged: set[str]) -> list[str]:
        """Say which acknowledged decisions neither took effect nor got a refusal that was audited, with their story."""
        told = []
        for name in sorted(acknowledged - self.approved()):
            found = self.rows("SELECT verdict FROM intake WHERE instance_id = ?", name)
            verdicts = [(_json(row[0]) or {}).get("reason") for row in found]
            if LOOKUP_FAILED in verdicts:
                continue  # Slack would not say who it was: refused, audited and notified, so it is not lost
            row = self.rows("SELECT phase, engine_status, output FROM instances WHERE instance_id = ?", name)
            story = self.rows("SELECT action, verdict FROM audit WHERE instance_id = ? ORDER BY seq", name)
            told.append(f"{name} was acknowledged and lost: verdicts {verdicts}, row {row}, audit {story}")
        return told

    def refused(self, acknowledged: set[str]) -> int:
        """Count acknowledged decisions that were refused because Slack could not be asked."""
        found = self.rows("SELECT instance_id, verdict FROM intake WHERE verdict IS NOT NULL")
        failed = {row[0] for row in found if (_json(row[1]) or {}).get("reason") == LOOKUP_FAILED}
        return len(failed & (acknowledged - self.approved()))

    def approved(self) -> set[str]:
        """Return the instances whose approval took effect."""
        return {row[0] for row in self.rows("SELECT instance_id FROM order_ledger")}

    def lies(self) -> list[str]:
        """Tell the story of each known card that lies."""
        over = (
            "SELECT instance_id, phase, engine_status, shown, wanted, cards, output FROM instances "
            "WHERE phase NOT IN ('starting','waiting')"
        )
        buttons = {
            (name, message.ts)
            for name, messages in self.cards().items()
            for message in messages
            if "approval_approve" in str(message.blocks)
        }
        return [str(row) for row in self.rows(over) if any((row[0], card["ts"]) in buttons for card in _json(row[5]))]

    def lying(self) -> tuple[int, int]:
        """Count known cards that show buttons for what is over, and second cards (a reply was lost) that do."""
        known = {
            (row[0], card["ts"])
            for row in self.rows("SELECT instance_id, cards FROM instances")
            for card in _json(row[1])
        }
        over = {
            row[0] for row in self.rows("SELECT instance_id FROM instances WHERE phase NOT IN ('starting','waiting')")
        }
        lies = [
            (instance, message.ts)
            for instance, messages in self.cards().items()
            for message in messages
            if instance in over and "approval_approve" in str(message.blocks)
        ]
        first = sum(each in known for each in lies)
        return first, len(lies) - first


def _lives(pid: int) -> bool:
    """Return whether a process still runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _copied(source: Path, target: Path) -> None:
    for each in target.parent.glob(f"{target.name}*"):
        each.unlink()
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _json(text: str) -> Any:
    return json.loads(text or "[]")


@contextmanager
def world(folder: Path, **changes: Any) -> Iterator[World]:
    """Start all parts, and end them."""
    with ExitStack() as stack:
        made = World(folder, stack, **changes)
        if not made.ready():
            raise RuntimeError("the parts did not become ready")
        yield made


def quantiles(values: list[float]) -> dict[str, float]:
    """Return p50, p99 and the greatest, in seconds."""
    ordered = sorted(values) or [0.0]
    return {
        "p50": round(ordered[len(ordered) // 2], 3),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 3),
        "max": round(ordered[-1], 3),
    }
