"""What the command line prints: tables for people, JSON for programs, a sentence on standard error when it fails."""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

FAILED = 1
"""Exit code: it did not work, and the sentence says why."""

MISUSED = 2
"""Exit code: the call itself was wrong. Typer's own, too."""

NOT_FOUND = 3
"""Exit code: there is no such instance."""

REFUSED = 4
"""Exit code: the caller may not do this."""

UNREACHABLE = 5
"""Exit code: the app, the sidecar or the database does not answer; trying again may work."""


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="table for people, json for programs")]


def rows(columns: Sequence[str], lines: Iterable[Mapping[str, Any]], output: Format) -> None:
    """Print a list. A table's columns are upper case, as `dapr workflow` prints them; JSON has every field."""
    found = list(lines)
    if output is Format.JSON:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in found:
        # As Text: what people typed is shown as it is and never read as markup.
        table.add_row(*(Text(str(line.get(column.lower().replace(" ", "_"), "") or "")) for column in columns))
    Console().print(table)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def say(sentence: str) -> None:
    """Print a sentence for a person."""
    typer.echo(sentence)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """End with a sentence on standard error."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
