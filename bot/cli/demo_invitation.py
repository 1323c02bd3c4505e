"""The text of `countersign demo`: the page to open, what to click, and an environment for another terminal."""

import shlex
import sys
from pathlib import Path

from bot.cli import output
from bot.cli.demo import ORDER, Demo


def invite(parts: Demo) -> None:
    """Start the order, and say where to look and what to click."""
    parts.call("POST", "/orders/42/start", ORDER, who="requester")
    parts.until("the card was posted", lambda: parts.slack.messages("approvals"))
    environment = environment_file(parts)
    output.say(
        f"""
Order 42 waits: $2,400.00, so a manager has to say yes (policy.yml).

  1. Open    {parts.slack.page_url}
  2. Act as  Manager (top left), in the channel #approvals
  3. Click   Approve, and confirm. Or Reject, and say why.

Then look at what became of it:

{addresses(parts)}

  and in another terminal:

    . {environment}
    countersign status 42
    countersign history 42
    countersign list
    countersign audit verify
    countersign doctor --look
    countersign order start 43 --amount 900 --requester requester@example.com
    COUNTERSIGN_API_KEY=$MANAGER_KEY countersign order approve 43

Ctrl-C ends everything."""
    )


def addresses(parts: Demo) -> str:
    """Return the pages, with a link for each of the cast that signs in once; Sign in with Slack works any time."""
    return f"""\
  Slack                 {parts.slack.page_url}
  the app as requester  {parts.link("requester")}
  the app as manager    {parts.link("manager")}
  the app as operator   {parts.link("operator")}
  the API               {parts.url}/docs

  Each of the links signs in once. After that: Sign in with Slack, at {parts.url}"""


def environment_file(parts: Demo) -> Path:
    """Write the app's settings and the operator's key for a shell to read; the file goes with the demo's folder.

    With them every command works as beside a real app: those that ask the app, and those that open its database.
    """
    settings = parts.settings
    path = parts.settings.policy.parent / "env"
    path.touch(mode=0o600)
    lines = {
        "COUNTERSIGN_URL": parts.url,
        "COUNTERSIGN_API_KEY": parts.tokens["operator"],
        "MANAGER_KEY": parts.tokens["manager"],
        "COUNTERSIGN_DATABASE_URL": settings.database_url,
        "COUNTERSIGN_SECRET_KEY": settings.secret_key.get_secret_value(),
        "COUNTERSIGN_POLICY": str(settings.policy),
        "COUNTERSIGN_CHECKPOINT_DIR": str(settings.checkpoint_dir),
        "COUNTERSIGN_PUBLIC_URL": parts.url,
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "SLACK_SIGNING_SECRET": settings.slack_signing_secret.get_secret_value(),
        "SLACK_API_URL": settings.slack_api_url,
        "DAPR_GRPC_ENDPOINT": f"{settings.dapr_grpc_host}:{settings.dapr_grpc_port}",
        "DAPR_API_TOKEN": settings.dapr_api_token.get_secret_value(),
    }
    exported = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items())
    path.write_text(f'{exported}export PATH="{Path(sys.executable).parent}:$PATH"\n', encoding="utf-8")
    return path
