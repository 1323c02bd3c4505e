"""`python -m local.slack`: a workspace until Ctrl-C. Takes secrets from the environment, prints none."""

import argparse
import os
import sys
import threading
from pathlib import Path

from local.slack.driver import LocalSlack
from local.slack.seed import default_seed, load_seed

_ENVIRONMENT = {
    "bot_token": "SLACK_BOT_TOKEN",
    "app_token": "SLACK_APP_TOKEN",
    "signing_secret": "SLACK_SIGNING_SECRET",
    "client_id": "SLACK_CLIENT_ID",
    "client_secret": "SLACK_CLIENT_SECRET",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.slack", description="A local Slack workspace.")
    parser.add_argument("--manifest", type=Path, help="the Slack app's manifest, YAML or JSON")
    parser.add_argument("--seed", type=Path, help="people, channels and groups as YAML; default: one person per role")
    parser.add_argument("--deliver-to", help="the app's request URL; default: the manifest's, or Socket Mode")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3100)
    parser.add_argument("--rate-limits", action="store_true", help="enforce Slack's rate limits")
    return parser.parse_args()


def main() -> None:
    """Serve until interrupted."""
    chosen = _arguments()
    secrets = {field: os.environ[name] for field, name in _ENVIRONMENT.items() if os.environ.get(name)}
    slack = LocalSlack(
        manifest=chosen.manifest,
        seed=load_seed(chosen.seed) if chosen.seed else default_seed(),
        deliver_to=chosen.deliver_to,
        host=chosen.host,
        port=chosen.port,
        rate_limits=chosen.rate_limits,
        **secrets,
    )
    with slack:
        sys.stdout.write(f"Local workspace: {slack.page_url}\nSLACK_API_URL={slack.api_url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stdout.write("Stopped.\n")


if __name__ == "__main__":
    main()
