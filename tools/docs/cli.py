"""The page of the command line, from the help that each command prints."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from bot.cli.main import COMMANDS, build, loaded
from tools.docs import tables

ABOUT = """`countersign COMMAND --help` prints the same. Commands that ask the app need `COUNTERSIGN_URL` and
`COUNTERSIGN_API_KEY`; those that open the database or the policy file by themselves need the app's
[settings](settings.md)."""

WIDTH = 100
"""Columns of the printed help: wide enough that an option's text stays on its line."""


def page() -> str:
    """Return the page."""
    return tables.page("Command line", "the commands in `bot/cli/`", ABOUT, *_sections())


def _sections() -> Iterator[str]:
    root = typer.main.get_command(build())
    above = root.make_context("countersign", [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    for entry in COMMANDS:
        yield from _command(entry.name, loaded(entry), above, 2)


def _command(name: str, command: Any, above: Any, depth: int) -> Iterator[str]:
    context = command.context_class(
        command, parent=above, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
    )
    shown = re.sub(r"[ \t]+$", "", command.get_help(context), flags=re.MULTILINE)
    yield f"{'#' * depth} {context.command_path}\n\n```text\n{shown}\n```"
    for inner, each in getattr(command, "commands", {}).items():
        yield from _command(inner, each, context, depth + 1)
