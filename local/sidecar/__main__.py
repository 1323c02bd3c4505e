"""`python -m local.sidecar --db FILE --port N`: the sidecar as a program of its own."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from local.sidecar.server import APP_ID, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.sidecar", description="A Dapr Workflow sidecar on SQLite.")
    parser.add_argument("--db", type=Path, required=True, help="the database file; made if it isn't there")
    parser.add_argument("--port", type=int, default=50001)
    parser.add_argument("--host", default="127.0.0.1", help="anything but loopback needs DAPR_API_TOKEN")
    parser.add_argument("--app-id", default=APP_ID, help=f"whose workers and clients use --port (default: {APP_ID})")
    parser.add_argument(
        "--app",
        type=_app,
        action="append",
        default=[],
        metavar="ID=PORT",
        help="a further app-id, on a port of its own",
    )
    parser.add_argument("--secrets", type=Path, metavar="FILE", help="JSON of the secret store named secrets")
    given = parser.parse_args(arguments)
    ids = [given.app_id, *(app_id for app_id, _ in given.app)]
    if len(set(ids)) < len(ids):
        parser.error(f"an app-id is named twice: {', '.join(ids)}. Give each app-id one port.")
    return run(given.db, given.port, given.host, app_id=given.app_id, apps=dict(given.app), secrets=given.secrets)


def _app(text: str) -> tuple[str, int]:
    app_id, _, port = text.partition("=")
    if not app_id or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not ID=PORT, as in shop=50002")
    return app_id, int(port)


if __name__ == "__main__":
    sys.exit(main())
