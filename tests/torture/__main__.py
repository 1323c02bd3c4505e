"""All tortures, one after the other: `python -m tests.torture`. Each prints its figures; the last line has all of them.

`--scale 0.1` makes each a tenth as long. Exits 1 when anything was lost, doubled, untrue or let in.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator


def programs(scale: float, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Give each program with its arguments."""

    def many(number: int) -> str:
        return str(max(1, int(number * scale)))

    yield "sidecar", ["--kills", many(300), "--seed", str(seed)]
    yield "app", ["--kills", many(300), "--seed", str(seed)]
    yield "frozen", ["--seconds", str(max(2.0, 60 * scale))]
    yield "stopping", ["--trials", many(20), "--seed", str(seed)]
    for attack in ("damage", "stalled", "slow", "stop", "limits", "behind", "crowd"):
        for apps in ("1", "3"):
            yield "attacks", ["--attack", attack, "--apps", apps, "--trials", many(20), "--seed", str(seed)]
    yield "several", ["--orders", many(300), "--seed", str(seed)]
    yield "leaders", ["--trials", many(200), "--seed", str(seed)]
    yield "strangers", ["--trials", many(50), "--seed", str(seed)]
    yield "rolling", ["--apps", "3", "--rate", "20", "--rounds", many(3)]
    yield "slack_faults", ["--requests", many(1_000), "--seed", str(seed)]
    yield "hostile", ["--payloads", many(10_000), "--flood", many(5_000)]
    yield "fuzz", ["--inputs", many(100_000), "--events", many(10_000), "--seed", str(seed)]


def main() -> int:
    """Run all of them, also after one that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", action="append", help="a program's name; more than once")
    given = parser.parse_args()
    figures, failed = {}, []
    for name, arguments in programs(given.scale, given.seed):
        if given.only and name not in given.only:
            continue
        command = [sys.executable, "-m", f"tests.torture.{name}", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        sys.stdout.write(done.stdout)
        sys.stdout.flush()
        figures[" ".join((name, *arguments))] = _last(done.stdout)
        failed += [" ".join((name, *arguments))] if done.returncode else []
    sys.stdout.write(
        json.dumps({"seed": given.seed, "scale": given.scale, "failed": failed, "figures": figures}) + "\n"
    )
    return 1 if failed else 0


def _last(text: str) -> object:
    lines = text.strip().splitlines()
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        return "ended without figures"


if __name__ == "__main__":
    sys.exit(main())
