"""One attack after the other, while an order is asked and approved: nothing is lost, doubled, told twice or untrue.

    python -m tests.torture.attacks --attack damage --trials 20 --seed 7
    python -m tests.torture.attacks --attack behind --trials 5 --apps 3

- damage: a bad row in each table; stalled: an instance that its engine stalls; slow: connections that send slowly
- stop: SIGTERM in mid-activity; limits: Slack's own rate limits and as many 429 again
- crowd: 500 people who may not decide click while Slack says of nobody who they are
- behind: the database restored to a moment before what its engine has done

With --apps 3 on one PostgreSQL; COUNTERSIGN_TEST_SIDECARS=A,B,C names real sidecars, one for each app.
"""

import argparse
import asyncio
import contextlib
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import sqlalchemy as sa

from records.columns import Instant
from records.tables import metadata
from tests.end_to_end.system import _client
from tests.torture.parts import CHANNEL, World, eventually, world
from tests.torture.replicas import Replicas, replicas
from tests.torture.report import finish

PATIENCE: Final = 60.0
OK: Final = 200
BAD: Final = ("", "{", "[1]", "null", '{"a":', "\x1b[31m", "9" * 400, "damaged", "0", "ü" * 50)
NUMBERS: Final = (-(2**53), -1, 0, 1, 2**53)
LIKELY: Final = {
    "state": "pending", "phase": "waiting", "engine_status": "RUNNING", "name": "approval_workflow", "through": "slack",
}  # fmt: skip
"""What makes a reader look at a row at all."""

LARGE: Final = {"x": "a" * 2_100_000}
"""With two of them the instance's next turn does not fit into the engine's largest message."""

HALVES: Final = (b"", b"POST /slack/events HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\n", b"GET /livez HTT")
TABLES_SPOILT: Final = 10
"""Tables that take a bad row whatever the dice say; keys and constraints keep some out of the others."""

SLOW_CONNECTIONS: Final = 150
CROWD: Final = 500
OUTAGE_S: Final = 10.0
HEARD_WITHIN_S: Final = 10.0


class Trial:
    """One trial: its number, its dice, and the orders that must be approved in the end."""

    def __init__(self, made: World, number: int, dice: random.Random) -> None:
        self.made = made
        self.number = number
        self.dice = dice
        self.names: list[str] = []
        self.wrong: list[str] = []

    def asked(self, name: str) -> str:
        """Start an order and wait for its card."""
        found = self.made.order(f"{name}{self.number}")
        if found is None:
            self.wrong.append(f"order {name}{self.number} did not start")
            return ""
        self.names.append(found)
        if not eventually(lambda: found in self.made.cards(), PATIENCE):
            self.wrong.append(f"{found} has no card")
        return found

    def click(self, name: str) -> None:
        """Approve it; again while the click is not acknowledged, as a person would."""

        def acknowledged() -> bool:
            cards = self.made.cards().get(name)
            outcome = self.made.click(cards[-1]) if cards else None
            return outcome is not None and outcome.status == OK and outcome.error is None

        if name and not eventually(acknowledged, PATIENCE):
            self.wrong.append(f"{name}: no click was acknowledged")

    def approved(self) -> None:
        """Wait until all that was asked is approved."""

        def ended() -> set[str]:
            return {row[0] for row in self.made.rows("SELECT instance_id FROM instances WHERE phase = 'approved'")}

        if not eventually(lambda: set(self.names) <= ended(), PATIENCE):
            self.wrong += [f"{name} is not approved" for name in sorted(set(self.names) - ended())]

    def answers(self, *paths: str) -> None:
        """Demand that the app answers these with 200."""
        for path in paths:
            answer = httpx.get(self.made.url + path, headers=self.made.key, timeout=30)
            if answer.status_code != OK:
                self.wrong.append(f"{path} answers {answer.status_code}: {answer.text[:200]}")


# ---- the attacks ----------------------------------------------------------------------------------------------------


def damage(trial: Trial) -> None:
    """Write a bad row into each table; everything goes on beside it."""
    first = trial.asked("d")
    spoilt = [table.name for table in metadata.sorted_tables if _spoil(trial, table, first)]
    if len(spoilt) < TABLES_SPOILT:
        trial.wrong.append(f"only these tables took a bad row: {spoilt}")
    trial.click(first)
    trial.click(trial.asked("e"))
    trial.approved()
    trial.answers("/readyz", "/workflows", "/metrics", f"/workflows/{first}")


def _spoil(trial: Trial, table: sa.Table, live: str) -> bool:
    """Write a bad row; False if a constraint refuses it, for then nobody can write it."""
    row = {}
    for column in table.columns:
        if isinstance(column.type, Instant | sa.Integer):
            row[column.name] = -trial.number - 1 if column.primary_key else trial.dice.choice(NUMBERS)
        elif isinstance(column.type, sa.LargeBinary):
            row[column.name] = b"\xff"
        elif isinstance(column.type, sa.Boolean | sa.Float):
            row[column.name] = 1.0 if isinstance(column.type, sa.Float) else True
        elif column.primary_key:
            row[column.name] = f"damaged-{trial.number}"
        elif column.name == "instance_id" and table.name == "intake":
            row[column.name] = live
        else:
            row[column.name] = LIKELY.get(column.name) if trial.dice.random() < 0.7 else None
            row[column.name] = row[column.name] or trial.dice.choice(BAD)
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        trial.made.write(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", *row.values())  # noqa: S608
    except (sqlite3.Error, asyncpg.PostgresError, asyncpg.DataError):
        return False
    return True


def stalled(trial: Trial) -> None:
    """Let the engine stall an instance; no other waits with it."""
    first = trial.asked("st")
    trial.names.remove(first)
    engine = _client(trial.made.sidecar.address)
    for name in ("one", "two"):
        engine.raise_workflow_event(first, name, data=LARGE)

    def said() -> bool:
        answer = httpx.get(f"{trial.made.url}/workflows/{first}", headers=trial.made.key, timeout=30)
        return "STALLED" in answer.text

    if not eventually(said, PATIENCE):
        trial.wrong.append(f"{first} is not said to be stalled")
    trial.click(trial.asked("so"))
    trial.approved()
    trial.answers("/readyz", "/workflows", f"/workflows/{first}/history", f"/workflows/{first}/diagnosis")


def slow(trial: Trial) -> None:
    """Open connections that send slowly; a click is acknowledged meanwhile, and all of them are closed."""
    name = trial.asked("sl")
    at = httpx.URL(trial.made.url)
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(SLOW_CONNECTIONS):
            each = stack.enter_context(socket.create_connection((at.host, at.port or 80), timeout=10))
            with contextlib.suppress(OSError):
                each.sendall(HALVES[number % len(HALVES)])
            opened.append(each)
        trial.click(name)
        trial.approved()
        if not eventually(lambda: all(map(_closed, opened)), 25):
            trial.wrong.append(f"{sum(not _closed(each) for each in opened)} slow connections stay open")


def _closed(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def stop(trial: Trial) -> None:
    """Ask an app to end while it posts, judges, records and tells."""
    name = trial.asked("t")
    trial.click(name)
    time.sleep(trial.dice.uniform(0, 0.5))
    trial.made.stop_app()
    trial.made.start_app()
    trial.made.ready()
    trial.approved()


def limits(trial: Trial) -> None:
    """Ask three at once under Slack's limits."""
    for name in [trial.asked(f"l{number}x") for number in range(3)]:
        trial.click(name)
    trial.approved()


def behind(trial: Trial) -> None:
    """Restore the database to a moment before an approval; the engine is further."""
    made = trial.made
    first, second = trial.asked("b"), trial.asked("c")
    time.sleep(trial.dice.uniform(0.2, 1))
    made.keep()
    trial.click(first)
    eventually(lambda: first in made.approved(), PATIENCE)
    time.sleep(trial.dice.uniform(0.5, 2))  # what is told is told by then, most of the time
    made.kill_all() if isinstance(made, Replicas) else made.kill_app()
    made.restore()
    made.start_app()
    made.ready()
    trial.click(second)
    trial.approved()


def crowd(trial: Trial) -> None:
    """Let people click who may not, while users.info is away; the manager is heard within ten seconds of its end."""
    made, name = trial.made, trial.asked("cr")
    users = [f"U1CROWD{number:03d}" for number in range(CROWD)]
    card = made.cards()[name][-1]
    for user in users:
        asyncio.run(made.slack.change_user(user))
    known = made.slack.workspace.world.channels["C0APPROVALS"].members
    asyncio.run(made.slack.change_channel("C0APPROVALS", members=tuple({*known, *users})))
    made.slack.fault(method="users.info", kind="slow", delay=30, count=None)
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        refused = list(pool.map(lambda user: made.click(card, user), users))
    bad = [each.error or each.status if each else "no button" for each in refused if each is None or each.status != OK]
    if bad:
        trial.wrong.append(f"{len(bad)} clicks of the crowd were not answered: {sorted(set(map(str, bad)))}")
    trial.click(name)
    time.sleep(max(0.0, began + OUTAGE_S - time.monotonic()))
    made.slack.clear_faults()
    over = time.monotonic()
    trial.approved()
    if time.monotonic() - over > HEARD_WITHIN_S:
        trial.wrong.append(f"the manager was heard {time.monotonic() - over:.1f} s after the outage")


ATTACKS: dict[str, Callable[[Trial], None]] = {
    "damage": damage,
    "stalled": stalled,
    "slow": slow,
    "stop": stop,
    "limits": limits,
    "behind": behind,
    "crowd": crowd,
}


# ---- what must hold -------------------------------------------------------------------------------------------------


def torture(attack: str, trials: int, seed: int, folder: Path, apps: int = 1) -> tuple[dict[str, Any], list[str]]:
    """Make so many trials of an attack; give the figures and all that is wrong."""
    changes: dict[str, Any] = {"reconcile_every_seconds": 1.0}
    with replicas(folder, apps, **changes) if apps > 1 else world(folder, **changes) as made:
        if attack == "limits":
            for method in ("chat.postMessage", "chat.update"):
                made.slack.fault(method=method, kind="ratelimited", probability=0.4, count=None, seed=seed)
        done = []
        began = time.monotonic()
        for number in range(trials):
            trial = Trial(made, number, random.Random(f"{seed}/{number}"))
            ATTACKS[attack](trial)
            done.append(trial)
        names = [name for trial in done for name in trial.names]
        figures, wrong = _examined(made, names, attack)
        wrong = [line for trial in done for line in trial.wrong] + wrong
        return {
            "attack": attack,
            "trials": trials,
            "apps": apps,
            **figures,
            "seconds": round(time.monotonic() - began),
        }, wrong


def _examined(made: World, names: list[str], attack: str) -> tuple[dict[str, Any], list[str]]:
    ours = set(names)

    def buttons() -> list[str]:
        return [
            name
            for name, cards in made.cards().items()
            for card in cards
            if name in ours and "approval_approve" in str(card.blocks)
        ]

    eventually(lambda: not buttons() and not _untold(made, ours), PATIENCE)
    cards = made.cards()
    replies = {name: sum(len(made.slack.thread(CHANNEL, card.ts)) for card in cards.get(name, ())) for name in ours}
    effects = [row[0] for row in made.rows("SELECT instance_id FROM order_ledger")]
    figures = {
        "orders": len(names),
        "lying cards": len(buttons()),
        "second cards": sum(len(cards.get(name, ())) > 1 for name in ours),
        "told twice": sum(count > 1 for count in replies.values()),
        "not told": sum(count == 0 for count in replies.values()),
        "effects doubled": sum(effects.count(name) > 1 for name in ours),
        "effects missing": 0 if attack == "behind" else sum(name not in effects for name in ours),
        "called stopped": sum("Stopped" in str(card.blocks) for name in ours for card in cards.get(name, ())),
    }
    return figures, [f"{count} {what}" for what, count in figures.items() if what != "orders" and count]


def _untold(made: World, names: set[str]) -> bool:
    found = made.rows("SELECT instance_id FROM notifications WHERE over_at IS NULL")
    return any(row[0] in names for row in found)


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attack", choices=sorted(ATTACKS), required=True)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--apps", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, wrong = torture(given.attack, given.trials, given.seed, Path(folder), given.apps)
    return finish(given.attack, {"seed": given.seed, **figures}, wrong)


if __name__ == "__main__":
    sys.exit(main())
