"""Generated inputs at every route and generated events straight at the sidecar: nothing fails, nothing changes.

    python -m tests.torture.fuzz --inputs 100000 --events 10000 --seed 7

Requests come without a key, with a wrong one, and, where reading is all that can be done, with a good one. Signed bytes
that Slack never sends come too. Events are forged decisions of every kind. This machine only.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.wrappers_pb2 import StringValue

from local.sidecar.wire import pb, stubs
from tests.torture.parts import World, eventually, world
from tests.torture.report import finish

SERVER_ERROR = 500
AT_ONCE = 8
WORDS = (
    "order", "1", "-1", "0", "", " ", "null", "true", "\x00", "../..", "%2e%2e", "a" * 300, "٣", "🙂", "<!channel>",
    "' OR 1=1 --", "{{7*7}}", "\r\nx: y", "=cmd|' /C calc'!A0", "9" * 400, "NaN", "1e999", "[]", "{}", "\ud7ff",
)  # fmt: skip
EVENTS = ("approval_decision", "Approval_Decision", "APPROVAL_DECISION")


def value(dice: random.Random, depth: int = 3) -> Any:
    """Return any JSON value."""
    kind = dice.randrange(8 if depth else 6)
    if kind < 3:
        return dice.choice(WORDS)
    if kind == 3:
        return dice.choice([0, -1, 2**63, 1.5, -0.0, 10**30])
    if kind in {4, 5}:
        return dice.choice([None, True, False])
    if kind == 6:
        return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {str(dice.choice((*NAMES, *WORDS))): value(dice, depth - 1) for _ in range(dice.randrange(5))}


NAMES = (
    "type",
    "user",
    "id",
    "actions",
    "action_id",
    "payload",
    "amount",
    "approved",
    "decision",
    "mac",
    "key_id",
    "view",
)


class Routes:
    """Makes requests out of the app's own document of its routes."""

    def __init__(self, made: World, dice: random.Random) -> None:
        self._dice = dice
        self._key = made.key
        self._secret = made.settings.slack_signing_secret.get_secret_value().encode()
        document = httpx.get(f"{made.url}/openapi.json", timeout=30).json()
        listed = [(method.upper(), path) for path, found in document["paths"].items() for method in found]
        pages = [("GET", path) for path in ("/", "/docs", "/dashboard", "/sign-in", "/static/x", "/no-such")]
        self.routes = [*listed, *pages, *[("POST", "/slack/events")] * 6]

    def request(self) -> dict[str, Any]:
        """Return one request as httpx takes it."""
        dice = self._dice
        method, path = dice.choice(self.routes)
        if path == "/slack/events":
            return {"method": method, "url": path, **self._slack()}
        while "{" in path:
            before, _, rest = path.partition("{")
            path = before + httpx.QueryParams({"": str(dice.choice(WORDS))}).__str__()[1:] + rest.partition("}")[2]
        if path.endswith("/events") or "stream" in path:
            path = "/livez"  # a stream does not end, and is tested for itself
        found: dict[str, Any] = {"method": method, "url": path or "/", "headers": self._headers(method)}
        if dice.random() < 0.5:
            found["params"] = {dice.choice(QUERIES): str(dice.choice(WORDS)) for _ in range(dice.randrange(4))}
        if method != "GET":
            found["content"] = self._body()
        return found

    def _headers(self, method: str) -> dict[str, Any]:
        kind = self._dice.randrange(5)
        if kind == 0:
            return {}
        if kind == 1:
            return {
                "Authorization": b"Bearer "
                + str(self._dice.choice(WORDS))
                .encode("utf-8", "replace")
                .strip()[:50]
                .replace(b"\r\n", b"")
                .replace(b"\x00", b"")
            }
        if kind == 2:
            return {
                "X-API-Key": "cs_0123456789ab_" + "A" * 43,
                "X-Forwarded-For": f"10.0.{self._dice.randrange(256)}.1",
            }
        return dict(self._key) if method == "GET" else {"content-type": "application/json"}

    def _body(self) -> bytes:
        text = json.dumps(value(self._dice)).encode()
        return self._mangled(text) if self._dice.random() < 0.3 else text

    def _mangled(self, text: bytes) -> bytes:
        at = self._dice.randrange(len(text) + 1)
        return text[:at] + self._dice.randbytes(self._dice.randrange(6)) + text[at:]

    def _slack(self) -> dict[str, Any]:
        body = self._dice.choice([b"payload=", b"", b"command=/approval&text="]) + self._body()
        at = str(int(time.time()) + self._dice.choice([0, 0, 0, -900, 900]))
        mac = hmac.new(self._secret, b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
        signature = self._dice.choice([f"v0={mac}", f"v0={mac}", "v0=" + "0" * 64, "", "v1="])
        kind = self._dice.choice(["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
        headers = {"x-slack-request-timestamp": at, "x-slack-signature": signature, "content-type": kind}
        return {"content": body, "headers": headers}


QUERIES = ("limit", "cursor", "status", "phase", "q", "since", "sort", "name", "amount", "after", "until", "force")


def state_of(made: World) -> dict[str, Any]:
    """Return what must not move: requests, outcomes, decisions taken in, orders processed, keys."""
    return {
        "instances": made.rows("SELECT instance_id, engine_status, phase, ended_as FROM instances ORDER BY 1"),
        "intake": made.rows("SELECT count(*) FROM intake"),
        "ledger": made.rows("SELECT count(*) FROM order_ledger"),
        "keys": made.rows("SELECT id, revoked_at FROM keys ORDER BY 1"),
        "management": made.rows("SELECT count(*) FROM audit WHERE action LIKE 'workflow.%'"),
    }


async def _send(made: World, count: int, seed: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=made.url, timeout=30) as http:

        async def sender(number: int) -> None:
            routes = Routes(made, random.Random(f"{seed}-{number}"))
            while statuses.total() < count:
                try:
                    answer = await http.send(http.build_request(**routes.request()))
                except (httpx.InvalidURL, UnicodeError, httpx.LocalProtocolError):
                    continue  # not even this client would send it, so it does not count
                statuses[answer.status_code] += 1

        await asyncio.gather(*(sender(number) for number in range(AT_ONCE)))
    return statuses


def events(made: World, names: list[str], count: int, seed: int) -> int:
    """Raise forged decisions straight at the sidecar; returns how many were raised."""
    dice = random.Random(seed)
    shown = {row[0]: json.loads(row[1]) for row in made.rows("SELECT instance_id, state FROM instances")}
    with grpc.insecure_channel(made.sidecar.address) as channel, ThreadPoolExecutor(AT_ONCE) as pool:
        stub = stubs.TaskHubSidecarServiceStub(channel)

        def send(number: int) -> None:
            name = names[number % len(names)]
            data = StringValue(value=json.dumps(forged(dice, shown[name])))
            request = pb.RaiseEventRequest(instanceId=name, name=EVENTS[number % 3], input=data)
            stub.RaiseEvent(request, timeout=30)

        list(pool.map(send, range(count)))
    return count


def forged(dice: random.Random, state: dict[str, Any]) -> Any:
    """Return a decision that looks more or less like one, and is signed by nobody."""
    real = {
        "decision": {
            "id": f"forged-{dice.randrange(10**9)}",
            "binding": state.get("binding") or {},
            "person": {"team": "T0LOCAL", "user": "U0MANAGER"},
            "approved": True,
            "reason": "",
            "through": "slack",
            "at": "2026-01-01T00:00:00Z",
            "correlation_id": "",
        },
        "key_id": dice.choice(["k1", "k2", ""]),
        "mac": dice.choice(["", "0" * 64, "é", "f" * 64]),
    }
    kind = dice.randrange(5)
    if kind == 0:
        return value(dice)
    if kind == 1:
        return {"approved": True, "reason": str(dice.choice(WORDS))}
    if kind == 2:
        real["decision"][dice.choice(list(real["decision"]))] = value(dice)
    if kind == 3:
        del real[dice.choice(list(real))]
    return real


def torture(inputs: int, raised: int, seed: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Send everything; give the figures and all that is wrong."""
    with world(folder, log_level="ERROR") as made:
        names = [name for number in range(max(2, min(100, raised // 20))) if (name := made.order(f"z{number}"))]
        eventually(lambda: set(names) <= set(made.cards()), 60)
        time.sleep(1)
        before = state_of(made)
        began = time.monotonic()
        statuses = asyncio.run(_send(made, inputs, seed))
        took = time.monotonic() - began
        after_routes = state_of(made)
        events(made, names, raised, seed)
        eventually(lambda: _refused(made) >= raised, 300 + raised / 20)
        after = state_of(made)
        return _figures(made, statuses, (before, after_routes, after), raised, took)


def _refused(made: World) -> int:
    rows = made.rows("SELECT data FROM audit WHERE action = 'request.refused'")
    return sum(json.loads(data).get("count", 1) for (data,) in rows)


def _figures(
    made: World, statuses: Counter[int], states: tuple[dict[str, Any], ...], raised: int, took: float
) -> tuple[dict[str, Any], list[str]]:
    failed = sum(count for status, count in statuses.items() if status >= SERVER_ERROR)
    moved = [name for name in states[0] if states[0][name] != states[1][name] and name != "instances"]
    # Not the engine's status: the read model follows it a little later, PENDING to RUNNING among others.
    kept = [[(row[0], *row[2:]) for row in state["instances"]] for state in (states[0], states[2])]
    outcomes = sum(one != other for one, other in zip(*kept, strict=False))
    grown = len(states[2]["instances"]) - len(states[0]["instances"])
    broken = sum(row[1] == "FAILED" for row in states[2]["instances"])
    figures = {
        "inputs": sum(statuses.values()),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "5xx": failed,
        "handlers entered": len(moved) + grown,
        "events": raised,
        "events refused and audited": _refused(made),
        "outcomes changed": outcomes,
        "instances failed": broken,
        "inputs per s": round(sum(statuses.values()) / max(took, 0.001)),
    }
    wrong = [f"{failed} answers with 5xx"] if failed else []
    wrong += [f"a request without a right changed {name}" for name in moved]
    wrong += [f"{grown} new instances"] if grown else []
    wrong += [f"{outcomes} outcomes changed"] if outcomes else []
    wrong += [f"{broken} instances failed"] if broken else []
    wrong += ["forged events are not all refused"] if _refused(made) < raised else []
    return figures, wrong


def main() -> int:
    """Read the command line and torture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, wrong = torture(given.inputs, given.events, given.seed, Path(folder))
    return finish("fuzz", {"seed": given.seed, **figures}, wrong)


if __name__ == "__main__":
    sys.exit(main())
