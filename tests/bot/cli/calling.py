"""How a test runs a command: in this process, with nothing of this machine's settings."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from bot.cli.main import build

SETTINGS = (
    "COUNTERSIGN_URL", "COUNTERSIGN_API_KEY", "COUNTERSIGN_SECRET_KEY", "COUNTERSIGN_DATABASE_URL",
    "COUNTERSIGN_POLICY", "COUNTERSIGN_CHECKPOINT_DIR", "DAPR_API_TOKEN", "DAPR_GRPC_PORT", "DAPR_GRPC_ENDPOINT",
    "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "SLACK_API_URL",
)  # fmt: skip
"""What a developer's shell may have set, and a test must not see."""


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Ran]


def run(*words: str, stdin: str = "", **environment: str) -> Ran:
    """Run one command with only the settings that are given, and without a terminal."""
    env: dict[str, str | None] = dict.fromkeys(SETTINGS) | environment
    result = CliRunner().invoke(build(), list(words), input=stdin, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)
