"""Whether this tree is slower than another one: a benchmark in both, in turn, and the medians side by side.

    .venv/bin/python -m benchmarks.compare ../before audit --entries 20000 [--runs 7]

The other tree is a checkout of the commit to compare with, with a .venv of its own. A benchmark's last line is JSON:
each of its figures is compared, and `ratio` is this tree's median over the other's.
"""

import argparse
import json
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]


def figures(tree: Path, name: str, options: list[str]) -> dict[str, float]:
    """Return the figures of one run. Raises: subprocess.CalledProcessError."""
    program = [str(tree / ".venv" / "bin" / "python"), str(tree / "benchmarks" / f"{name}.py"), *options]
    if name == "list":
        program[1:2] = ["-m", "benchmarks.list"]
    done = subprocess.run(program, cwd=tree, check=True, capture_output=True, text=True)
    return dict(flat(json.loads(done.stdout.strip().splitlines()[-1])))


def flat(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number under its path."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)


def main() -> None:
    """Run both trees in turn and print each figure's medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("benchmark", choices=("click", "list", "audit"))
    parser.add_argument("--runs", type=int, default=7)
    given, options = parser.parse_known_args()
    runs: dict[Path, list[dict[str, float]]] = {given.other.resolve(): [], HERE: []}
    for _ in range(given.runs):
        for tree, found in runs.items():
            found.append(figures(tree, given.benchmark, options))
    before, now = runs.values()
    for name in sorted(now[0].keys() & before[0].keys()):
        old, new = (statistics.median(each[name] for each in found) for found in (before, now))
        print(f"{name:40} before {old:>12,.3f}  now {new:>12,.3f}  ratio {new / old if old else float('nan'):6.2f}")


if __name__ == "__main__":
    main()
