"""`countersign init`: asks for what the app needs, and writes .env and a first policy.yml. Overwrites nothing."""

import os
import secrets
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
import yaml

from approvals.policy.file import PolicyError
from approvals.policy.schema import parse_policy
from bot.cli import output

POLICY = "policy.yml"
ENV = ".env"


def init(  # noqa: PLR0913 what is asked
    folder: Annotated[Path, typer.Option(help="where the files are written")] = Path(),
    *,
    bot_token: Annotated[str, typer.Option(prompt="Bot token (xoxb-…)", hide_input=True, help="xoxb-…")],
    signing_secret: Annotated[
        str,
        typer.Option(
            prompt="Signing secret (empty for Socket Mode)", prompt_required=True, hide_input=True, show_default=False
        ),
    ] = "",
    app_token: Annotated[
        str,
        typer.Option(prompt="App token (xapp-…; empty without Socket Mode)", hide_input=True, show_default=False),
    ] = "",
    channel: Annotated[str, typer.Option(prompt="Channel for cards", help="without #")] = "approvals",
    approvers: Annotated[str, typer.Option(prompt="User group that approves", help="its handle")] = "managers",
    operators: Annotated[str, typer.Option(prompt="User group that operates", help="its handle")] = "operators",
    within: Annotated[str, typer.Option(prompt="Time to answer", help="a duration, like 3 days")] = "3 days",
) -> None:
    """Write .env, with a secret key of its own, and a first policy.yml: one group approves every order.

    Example: countersign init
    """
    if not signing_secret.strip() and not app_token.strip():
        output.fail("Give the signing secret (HTTP), the app token (Socket Mode), or both.", output.MISUSED)
    env, policy = folder / ENV, folder / POLICY
    if taken := [str(path) for path in (env, policy) if path.exists()]:
        output.fail(f"{' and '.join(taken)} exist already, so nothing was written. Move them away first.")
    text = _policy(channel.lstrip("#"), approvers.lstrip("@"), operators.lstrip("@"), within)
    try:
        parse_policy(text, POLICY)
    except PolicyError as error:
        output.fail(f"The policy would not be usable, so nothing was written.\n{error}", output.MISUSED)
    slack = {"SLACK_BOT_TOKEN": bot_token, "SLACK_SIGNING_SECRET": signing_secret, "SLACK_APP_TOKEN": app_token}
    lines = {name: value.strip() for name, value in slack.items() if value.strip()}
    lines |= {"COUNTERSIGN_SECRET_KEY": secrets.token_urlsafe(48), "COUNTERSIGN_POLICY": POLICY}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(env, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as target:
            target.writelines(f"{name}={value}\n" for name, value in lines.items())
        policy.write_text(text, encoding="utf-8")
    except OSError as error:
        output.fail(f"{error.filename} cannot be written: {error.strerror}.")
    output.say(
        f"{env} and {policy} are written. Next: countersign config check, then countersign run. Keep {env} private: "
        "it holds the key that signs decisions."
    )


def _policy(channel: str, approvers: str, operators: str, within: str) -> str:
    names = {"channel": channel, "approvers": approvers, "operators": operators, "within": within}
    quoted = {name: yaml.safe_dump(value, width=1000).splitlines()[0] for name, value in names.items()}
    return resources.files("bot.cli").joinpath("first_policy.yml").read_text(encoding="utf-8").format(**quoted)
