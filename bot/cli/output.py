"""The output of the command line: tables for people, JSON for programs, a message on standard error if it fails."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bot.process.visible import UNSEEN, visible

FAILED = 1
"""Exit code: it did not work, and the message says why."""

MISUSED = 2
"""Exit code: the call itself was wrong. Typer's own, too."""

NOT_FOUND = 3
"""Exit code: there is no such instance."""

REFUSED = 4
"""Exit code: the caller may not do this."""

UNREACHABLE = 5
"""Exit code: the app, the sidecar or the database does not answer; trying again may work."""

UNREADABLE_FILE = "The .env file is not UTF-8 text: save it as UTF-8, then try again."


class Format(StrEnum):
    """The format in which a result is printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="table for people, json for programs")]


WIDE = 10_000
"""Columns of a table that no terminal shows: programs that read it want one line for each row."""


def rows(
    columns: Sequence[str],
    lines: Iterable[Mapping[str, Any]],
    output: Format,
    *,
    whole: Sequence[Any] | None = None,
    none: str = "There is nothing to show.",
) -> None:
    """Print a list. A table's columns are upper case, as `dapr workflow` prints them; JSON has every field.

    `whole` is what JSON gives in place of lines that were made short for a table; `none` is said when there is no line.
    """
    found = list(lines)
    if output is Format.JSON:
        print_json(found if whole is None else whole)
        return
    if not found:
        note(none)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in found:
        # As Text: what people typed is shown as it is and never read as markup.
        table.add_row(*(Text(_cell(line.get(column.lower().replace(" ", "_")))) for column in columns))
    _print(table)


def _print(table: Table) -> None:
    """Print a table; as wide as it needs, and without spaces at the ends, if no terminal folds it."""
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    plain = Console(width=WIDE, file=io.StringIO())
    with plain.capture() as printed:
        plain.print(table)
    typer.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return visible(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def fields(values: Mapping[str, Any]) -> None:
    """Print one thing's fields, a line each; what is empty is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        if value not in (None, "", (), [], {}):
            shown = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
            table.add_row(name.replace("_", " "), Text(visible(shown)))
    _print(table)


@contextmanager
def progress(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; gives the function that advances it."""
    where = Console(stderr=True)
    with Progress(console=where, transient=True, disable=not shown or not where.is_terminal) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda steps: bar.advance(task, steps)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    written = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    # JSON escapes control characters itself; those that turn or hide text get its escape too, so nothing is lost.
    typer.echo(UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], written))


def say(sentence: str) -> None:
    """Print a message for a person."""
    typer.echo(visible(sentence))


def note(sentence: str) -> None:
    """Print a message beside the result, on standard error: a program that reads the result never meets it."""
    typer.echo(visible(sentence), err=True)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """End with a message on standard error."""
    typer.echo(visible(sentence), err=True)
    raise typer.Exit(code)
