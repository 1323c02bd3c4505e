"""Many orders asked at once in one channel, under Slack's limits: how long until all are posted, who waits how long.

    .venv/bin/python -m benchmarks.fanout [--orders 200] [--queued 500] [--clicks 30]

Local Slack enforces one message a second in a channel and each method's calls a minute. The last line is JSON:
`of_theory` is the time for the first `--orders` cards over one second for each message in the channel meanwhile,
`update_s` from a click to the rewritten card while `--queued` cards were asked for, `refused_share` the 429s of all.
"""

import argparse
import asyncio
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.serving import App, serving, sidecar, until
from local.slack import LocalSlack, Message

CHANNEL = "approvals"
APPROVE = "approval_approve"
MANAGER = "U0MANAGER"
GOAL = {"of_theory": 1.15, "update_s_p99": 3.0, "refused_share": 0.01}


def cards(slack: LocalSlack) -> list[Message]:
    return [each for each in slack.messages(CHANNEL) if (each.metadata or {}).get("event_type")]


def asked(app: App, count: int) -> float:
    """Start so many orders, 16 at a time; returns how long that took."""

    def start(number: int) -> None:
        app.http.post(f"/orders/f{number}/start", json={"amount": "2400"}).raise_for_status()

    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(start, range(count)))
    return time.monotonic() - began


def clicked(slack: LocalSlack, count: int, stop: threading.Event, waits: list[float]) -> None:
    """Approve cards as they come, one every two seconds, and note how long each keeps its buttons."""
    seen: set[str] = set()
    while len(waits) < count and not stop.is_set():
        fresh = [card for card in cards(slack) if card.ts not in seen and APPROVE in str(card.blocks)]
        if not fresh:
            time.sleep(0.1)
            continue
        seen.add(fresh[0].ts)
        asyncio.run(slack.act_as(MANAGER).click(CHANNEL, fresh[0].ts, APPROVE))
        began = time.monotonic()
        until(lambda ts=fresh[0].ts: APPROVE not in str(slack.message(CHANNEL, ts).blocks), 60)
        waits.append(time.monotonic() - began)
        stop.wait(2)


def measure(folder: Path, orders: int, queued: int, clicks: int) -> dict[str, Any]:
    with LocalSlack(rate_limits=True) as slack, sidecar(folder) as address, serving(folder, slack, address) as app:
        began = time.monotonic()
        stop, waits = threading.Event(), list[float]()
        clicking = threading.Thread(target=clicked, args=(slack, clicks, stop, waits))
        clicking.start()
        starting = asked(app, queued)
        until(lambda: len(cards(slack)) >= orders, 4 * orders + 60)
        seconds, posts = time.monotonic() - began, len(slack.messages(CHANNEL))
        stop.set()
        clicking.join()
        calls = slack.calls()
        refused = sum(call.status == 429 for call in calls)
        waits.sort()
        return {
            "orders": orders,
            "queued": queued,
            "starting_s": round(starting, 1),
            "posted_s": round(seconds, 1),
            "posts": posts,
            "of_theory": round(seconds / max(1, posts - 1), 3),
            "clicks": len(waits),
            "update_s_p50": round(waits[len(waits) // 2], 3) if waits else None,
            "update_s_p99": round(waits[min(len(waits) - 1, len(waits) * 99 // 100)], 3) if waits else None,
            "calls": len(calls),
            "refused": refused,
            "refused_share": round(refused / max(1, len(calls)), 4),
            "goals": GOAL,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--queued", type=int, default=500)
    parser.add_argument("--clicks", type=int, default=30)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-fanout-") as folder:
        figures = measure(Path(folder), wanted.orders, max(wanted.orders, wanted.queued), wanted.clicks)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
