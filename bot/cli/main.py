"""The commands and their groups. Each group is a module of its own; nothing heavy is imported before it is needed."""

import typer

from bot.cli import local_commands, policy_commands

app = typer.Typer(
    name="countersign",
    help="Human approval for automated processes: on Dapr Workflow, decided in Slack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
local_commands.register(app)
app.add_typer(policy_commands.app, name="policy")


def main() -> None:
    """Run the command line."""
    app()
