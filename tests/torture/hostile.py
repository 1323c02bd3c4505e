"""Ten thousand generated payloads and floods of events, at one waiting request each: the click after them counts.

    python -m tests.torture.hostile --payloads 10000 --flood 5000

Runs tests/end_to_end/test_hostile_events.py at that size: the test suite runs it with fewer.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "end_to_end" / "test_hostile_events.py"


def main() -> int:
    """Run the tests at this size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payloads", type=int, default=10_000)
    parser.add_argument("--flood", type=int, default=5_000)
    given = parser.parse_args()
    sizes = {"COUNTERSIGN_TEST_FUZZED": str(given.payloads), "COUNTERSIGN_TEST_FLOOD": str(given.flood)}
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", str(TESTS)]
    done = subprocess.run(command, env=os.environ | sizes, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.stdout.write(done.stdout)
    figures = {"payloads": given.payloads, "flood": given.flood, "seconds": round(time.monotonic() - began, 1)}
    sys.stdout.write(json.dumps(figures | {"lost": done.returncode != 0}) + "\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
