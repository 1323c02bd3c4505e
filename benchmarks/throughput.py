"""Orders a second from the POST to the rewritten card, against the least that the same engine and SDK can do.

    .venv/bin/python -m benchmarks.throughput [--orders 60] [--rounds 3] [--postgres] [--apps 1] [--real HOST:PORT]

In turn, on the same sidecar and in the same worker: a batch of the floor (a workflow of five activities that do
nothing and one event), and a batch of orders, each started, clicked, completed and its card rewritten. Clicks are sent
`--at-once` at a time; `ack_quiet` are the acknowledgements of single clicks between batches. Then `--burst` cards are
clicked at once: `ack_burst` are their acknowledgements, `ack_loaded` those of single clicks while those decisions are
in flight, `in_flight` how many there were at the first and the last of these. `cpu_ms_each` is the CPU time of the
apps for one order and for one workflow of the floor: it is the same if the machine is busy with other things. `cpu` is
whose code the app's main thread ran. With `--postgres` `lock_wait_share` is the share of writing time in which a
process waited for the audit's lock, and `lock_held_ms` how long it was held for each order. `--split` runs the first
app with `--only web` and the others with `--only worker`. The sidecar, the apps, local Slack and this driver share one
machine. The last line is one JSON object.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import httpx

from benchmarks.click_measured import MANAGER, signed
from benchmarks.click_measured import SECRET as SIGNING
from benchmarks.serving import ROOT, SECRET, free_port, make_key, sidecar, until
from bot.engine.client import Engine
from cards.request_card import APPROVE
from local.slack import LocalSlack, Message

CHANNEL = "approvals"
QUIET = 15
RUN = secrets.token_hex(3)
"""In each id: a real runtime keeps what earlier runs left."""

PROBES = 60
PROBE_PAUSE_S = 0.03
LOOK_S = 0.02
AUDIT_LOCK = 1668248942
"""The key of PostgreSQL's lock around the audit's end (records/migrations)."""
GOALS = {"of_floor": {"local": 0.4, "real": 0.5}, "ack_loaded_p50_of_quiet": 3.0, "ack_loaded_p99_ms": 100.0}
FAILED = ("background work failed", "QueuePool", "could not be told")


class Place(NamedTuple):
    """Where everything is."""

    slack: LocalSlack
    urls: list[str]
    token: str
    engine: Engine
    pids: list[int]


@contextlib.contextmanager
def app(  # noqa: PLR0913, PLR0917 what it is joined to
    folder: Path, number: int, slack: LocalSlack, sidecar_address: str, database: str, only: str = ""
) -> Iterator[tuple[str, int]]:
    """Run one app; gives its URL and its process id."""
    host, _, sidecar_port = sidecar_address.rpartition(":")
    environment = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "DAPR_RUNTIME_HOST": host,
        "DAPR_GRPC_PORT": sidecar_port,
        "COUNTERSIGN_DATABASE_URL": database,
        "COUNTERSIGN_POLICY": str(ROOT / "policy.yml"),
        "COUNTERSIGN_SECRET_KEY": SECRET,
        "COUNTERSIGN_ONLY": only,
    }
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.throughput_app", str(port), str(folder / f"cpu-{number}")]
    with (folder / f"app-{number}.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def database(folder: Path, *, postgres: bool) -> Iterator[str]:
    """Give a database's URL."""
    if not postgres:
        yield f"sqlite:///{folder / 'countersign.db'}"
        return
    from tests.postgres import running_cluster  # noqa: PLC0415 pytest is there for developers alone

    with running_cluster() as cluster:
        yield cluster.url


class Slots:
    """Runs work, so many at a time."""

    def __init__(self, at_once: int) -> None:
        self._slots = asyncio.Semaphore(at_once)

    async def all(self, work: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run all of it; returns the results in order."""

        async def one(each: Callable[[], Awaitable[Any]]) -> Any:
            async with self._slots:
                return await each()

        return await asyncio.gather(*(one(each) for each in work))


async def came(true: Callable[[], bool], seconds: float = 240.0) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 another process does it
            await asyncio.sleep(LOOK_S)


async def floor(place: Place, name: str, count: int, at_once: int) -> float:
    """Run a batch of the floor; returns how many ended in a second."""
    ids, engine, slots = [f"{name}-{number}-{RUN}" for number in range(count)], place.engine, Slots(at_once)

    async def over(instance_id: str) -> None:
        while (found := await engine.state(instance_id, payloads=False)) is None or not found.finished:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)

    began = time.perf_counter()
    await slots.all([lambda each=each: engine.schedule("floor", each, None) for each in ids])
    await slots.all([lambda each=each: engine.raise_event(each, "approval_decision", {}) for each in ids])
    await slots.all([lambda each=each: over(each) for each in ids])
    return count / (time.perf_counter() - began)


class Batch:
    """Orders of one batch."""

    def __init__(self, place: Place, http: aiohttp.ClientSession, name: str, count: int) -> None:
        self._place = place
        self._http = http
        self.ids = [f"{name}{number}-{RUN}" for number in range(count)]
        self._mine = {f"order-{each}-workflow" for each in self.ids}

    def cards(self) -> list[Message]:
        """Return the cards of this batch."""
        found = self._place.slack.messages(CHANNEL)
        return [each for each in found if _instance_of(each) in self._mine]

    async def start(self, slots: Slots) -> None:
        """Start all, and wait for their cards."""
        await slots.all([lambda each=each, n=n: self._start(each, n) for n, each in enumerate(self.ids)])
        await came(lambda: len(self.cards()) == len(self.ids))

    async def _start(self, order_id: str, number: int) -> None:
        headers = {"Authorization": f"Bearer {self._place.token}"}
        url = f"{self._place.urls[number % len(self._place.urls)]}/orders/{order_id}/start"
        async with self._http.post(url, json={"amount": "2400"}, headers=headers) as answer:
            if answer.status != 200:
                raise RuntimeError(await answer.text())

    async def click(self, card: Message, number: int = 0) -> float:
        """Approve a card; returns the milliseconds until that is acknowledged."""
        body, headers = signed(_payload(card))
        began = time.perf_counter()
        url = f"{self._place.urls[number % len(self._place.urls)]}/slack/events"
        async with self._http.post(url, data=body, headers=headers) as answer:
            await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a click was answered with {answer.status}")
        return (time.perf_counter() - began) * 1000

    def waiting(self) -> int:
        """Return how many cards still have their buttons."""
        return sum(APPROVE in str(card.blocks) for card in self.cards())

    async def decided(self) -> None:
        """Wait until every order is processed and every card rewritten."""
        await came(lambda: not self.waiting())
        for each in self._mine:
            while (found := await self._place.engine.state(each, payloads=False)) is None or not found.finished:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)


async def orders(place: Place, http: aiohttp.ClientSession, name: str, count: int, at_once: int) -> float:
    """Run a batch of orders; returns how many ended in a second."""
    batch, slots = Batch(place, http, name, count), Slots(at_once)
    began = time.perf_counter()
    await batch.start(slots)
    await slots.all([lambda card=card, n=n: batch.click(card, n) for n, card in enumerate(batch.cards())])
    await batch.decided()
    return count / (time.perf_counter() - began)


async def burst(place: Place, http: aiohttp.ClientSession, name: str, count: int) -> dict[str, Any]:
    """Click many cards at once, and single ones while those decisions are in flight."""
    batch = Batch(place, http, name, count + PROBES)
    await batch.start(Slots(16))
    cards = batch.cards()
    many = [lambda card=card, n=n: batch.click(card, n) for n, card in enumerate(cards[:count])]
    at_once: list[float] = await Slots(count).all(many)
    single, in_flight = list[float](), list[int]()
    for card in cards[count:]:
        in_flight.append(batch.waiting() - (PROBES - len(single)))
        if in_flight[-1] < count / 10:
            break
        single.append(await batch.click(card))
        await asyncio.sleep(PROBE_PAUSE_S)
    await asyncio.gather(*(batch.click(card) for card in cards[count + len(single) :]))
    await batch.decided()
    return {
        "ack_burst_ms": _spread(at_once),
        "ack_loaded_ms": _spread(single),
        "in_flight": in_flight[:: max(1, len(in_flight) - 1)],
    }


async def quiet(place: Place, http: aiohttp.ClientSession, name: str) -> list[float]:
    """Click one card after the other, each when the one before is done; returns the acknowledgements."""
    batch = Batch(place, http, name, QUIET)
    await batch.start(Slots(4))
    acks = []
    for card in batch.cards():
        await asyncio.sleep(0.15)
        acks.append(await batch.click(card))
    await batch.decided()
    return acks


def cpu_ms(pids: list[int]) -> float:
    """Return the milliseconds of CPU that processes have used: on a machine that others use too, truer than time."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) * 1000 / os.sysconf("SC_CLK_TCK")


class Lock:
    """Samples of who waits for the audit's lock, and whether it is held."""

    def __init__(self) -> None:
        self.samples = self.writing = self.waiting = self.held = 0

    @contextlib.asynccontextmanager
    async def watched(self, url: str) -> AsyncIterator[None]:
        """Look at PostgreSQL's locks while the block runs."""
        if not url.startswith("postgres"):
            yield
            return
        connection = await asyncpg.connect(url)
        task = asyncio.create_task(self._look(connection))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await connection.close()

    async def _look(self, connection: asyncpg.Connection) -> None:
        query = (
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL), count(*) FILTER (WHERE NOT "
            "granted), count(*) FILTER (WHERE granted) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1"
        )
        while True:
            writing, waiting, held = await connection.fetchrow(query, AUDIT_LOCK)
            self.samples += 1
            self.writing += writing + waiting
            self.waiting += waiting
            self.held += held > 0
            await asyncio.sleep(0.005)

    def report(self, seconds: float, count: int) -> dict[str, Any]:
        """Return the shares; nothing where nothing was watched."""
        if not self.samples:
            return {}
        return {
            "lock_wait_share": round(self.waiting / max(1, self.writing), 3),
            "lock_held_ms": round(1000 * seconds * self.held / self.samples / count, 2),
        }


async def measure(place: Place, wanted: argparse.Namespace, url: str) -> dict[str, Any]:
    """Take turns."""
    floors, ours, calm, lock = list[float](), list[float](), list[float](), Lock()
    seconds, spent = 0.0, {"floor": 0.0, "orders": 0.0}
    connections = aiohttp.TCPConnector(limit=0, keepalive_timeout=5)  # the server closes idle ones after ten seconds
    async with aiohttp.ClientSession(connector=connections) as http:
        await orders(place, http, "warm", 8, 4)
        await floor(place, "warm", 8, 4)
        for number in range(wanted.rounds):
            before = cpu_ms(place.pids)
            floors.append(await floor(place, f"f{number}", wanted.orders, wanted.at_once))
            spent["floor"] += cpu_ms(place.pids) - before
            calm += await quiet(place, http, f"q{number}x")
            began, before = time.perf_counter(), cpu_ms(place.pids)
            async with lock.watched(url):
                ours.append(await orders(place, http, f"r{number}x", wanted.orders, wanted.at_once))
            seconds += time.perf_counter() - began
            spent["orders"] += cpu_ms(place.pids) - before
        loaded = await burst(place, http, "b", wanted.burst) if wanted.burst else {}
    if loaded:
        of_quiet = loaded["ack_loaded_ms"]["p50"] / statistics.median(calm)
        loaded |= {"ack_loaded_p50_of_quiet": round(of_quiet, 2)}
    ratios = [mine / least for mine, least in zip(ours, floors, strict=True)]
    return {
        "orders_s": round(statistics.median(ours), 1),
        "floor_s": round(statistics.median(floors), 1),
        "of_floor": round(statistics.median(ratios), 3),
        "of_floor_each": [round(each, 3) for each in ratios],
        "cpu_ms_each": {name: round(ms / wanted.rounds / wanted.orders, 1) for name, ms in spent.items()},
        "ack_quiet_ms": _spread(calm),
        **loaded,
        **lock.report(seconds, wanted.rounds * wanted.orders),
    }


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2)}


def _instance_of(card: Message) -> str:
    return str(((card.metadata or {}).get("event_payload") or {}).get("instance_id", ""))


def _payload(card: Message) -> dict[str, Any]:
    buttons = [each for block in card.blocks if block["type"] == "actions" for each in block["elements"]]
    button = next(each for each in buttons if each["action_id"] == APPROVE)
    return {
        "type": "block_actions",
        "user": {"id": MANAGER.user, "username": "manager", "team_id": MANAGER.team},
        "api_app_id": "A0LOCAL",
        "team": {"id": MANAGER.team, "domain": "local"},
        "container": {"channel_id": "C0APPROVALS", "message_ts": card.ts, "type": "message"},
        "trigger_id": f"t{card.ts}",
        "channel": {"id": "C0APPROVALS", "name": CHANNEL},
        "actions": [{"type": "button", "action_id": APPROVE, "block_id": "b", "value": button["value"]}],
    }


def shares(folder: Path, pids: list[int]) -> dict[str, float]:
    """Return whose code the apps' main threads ran, as shares of their CPU time."""
    total: dict[str, int] = {}
    for number, pid in enumerate(pids):
        os.kill(pid, signal.SIGUSR1)
        path = folder / f"cpu-{number}"
        until(path.exists, 5)
        time.sleep(0.1)
        for room, count in json.loads(path.read_text()).items():
            total[room] = total.get(room, 0) + count
    return {room: round(count / sum(total.values()), 2) for room, count in sorted(total.items())}


def run(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Start everything, measure, and look for failures in the apps' logs."""
    with contextlib.ExitStack() as stack:
        slack = stack.enter_context(LocalSlack(manifest=ROOT / "manifest.yml", signing_secret=SIGNING))
        address = wanted.real or stack.enter_context(sidecar(folder))
        url = stack.enter_context(database(folder, postgres=wanted.postgres))
        parts = ["web", *["worker"] * max(1, wanted.apps - 1)] if wanted.split else [""] * wanted.apps
        apps = [stack.enter_context(app(folder, n, slack, address, url, only)) for n, only in enumerate(parts)]
        for each, _ in apps:
            until(lambda each=each: ready(each), 120)
        urls, token = [each for each, _ in apps][: 1 if wanted.split else None], asyncio.run(make_key(url))

        async def measured() -> dict[str, Any]:
            return await measure(Place(slack, urls, token, Engine(address), [pid for _, pid in apps]), wanted, url)

        found = asyncio.run(measured())
        cpu = shares(folder, [pid for _, pid in apps])
        logs = "".join(path.read_text() for path in folder.glob("app-*.log"))
        failed = sum(logs.count(words) for words in FAILED)
    about = {"benchmark": "throughput", "orders": wanted.orders, "rounds": wanted.rounds, "apps": len(apps)}
    about |= {"split": wanted.split}
    where = {"database": "postgresql" if wanted.postgres else "sqlite", "engine": "real" if wanted.real else "local"}
    where |= {"load": os.getloadavg()[0]}
    return about | where | found | {"cpu": cpu, "failed_follow_ups": failed, "goals": GOALS}


def ready(url: str) -> bool:
    """Return whether an app is ready."""
    try:
        return bool(httpx.get(f"{url}/readyz").status_code == 200)
    except httpx.TransportError:
        return False


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--burst", type=int, default=300)
    parser.add_argument("--apps", type=int, default=1)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--real", metavar="HOST:PORT")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-throughput-") as folder:
        print(json.dumps(run(Path(folder), wanted)))


if __name__ == "__main__":
    main()
