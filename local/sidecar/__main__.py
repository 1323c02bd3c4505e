"""`python -m local.sidecar --db FILE --port N`: the sidecar as a program of its own."""

import argparse
import sys
from pathlib import Path

from local.sidecar.server import APP_ID, run


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.sidecar", description="A Dapr Workflow sidecar on SQLite.")
    parser.add_argument("--db", type=Path, required=True, help="the database file; made if it isn't there")
    parser.add_argument("--port", type=int, default=50001)
    parser.add_argument("--host", default="127.0.0.1", help="anything but loopback needs DAPR_API_TOKEN")
    parser.add_argument("--app-id", default=APP_ID)
    given = parser.parse_args()
    return run(given.db, given.port, given.host, app_id=given.app_id)


if __name__ == "__main__":
    sys.exit(main())
