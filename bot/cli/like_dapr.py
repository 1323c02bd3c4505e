"""The options, formats and durations of `dapr workflow`, for the commands that have its names."""

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bot.cli import output
from bot.cli.moments import age
from bot.cli.output import Format
from bot.cli.remote import ClientSettings
from bot.process.visible import visible

GO_PART = r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)"
GO_DURATION = re.compile(f"(?:{GO_PART})+")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


class Printed(StrEnum):
    """The format of a list."""

    SHORT = "short"
    WIDE = "wide"
    YAML = "yaml"
    JSON = "json"


class Filtered(StrEnum):
    """A status that Dapr's filters take."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    PENDING = "PENDING"
    SUSPENDED = "SUSPENDED"


def _demand_ours(given: str | None) -> str | None:
    if given is not None and given != (ours := ClientSettings().app_id):
        output.fail(
            f"The app-id {given[:80]!r} is not this app's, and it manages its own workflows only. It is {ours!r}: "
            "leave --app-id out, or set COUNTERSIGN_APP_ID if the sidecar was given another.",
            output.MISUSED,
        )
    return given


def note_unused(option: typer.CallbackParam, given: Any) -> Any:
    """Say that an option of Dapr's is not needed here."""
    if given:
        output.note(f"{option.opts[0]} is not needed here: the app at COUNTERSIGN_URL answers wherever it runs.")
    return given


UNUSED = "taken and not needed: the app answers wherever it runs"


def _shared(
    app_id: Annotated[
        str | None,
        typer.Option("--app-id", "-a", callback=_demand_ours, expose_value=False, help="the sidecar's app-id"),
    ] = None,
    *,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", "-k", callback=note_unused, expose_value=False, help=UNUSED)
    ] = False,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", callback=note_unused, expose_value=False, help=UNUSED)
    ] = None,
) -> None:
    """Declare the options that stand before or after each command's name, as Dapr takes them."""


def shared() -> list[Any]:
    """Return them as a command's parameters."""
    around = typer.Typer(add_completion=False)
    around.command()(_shared)
    return list(typer.main.get_command(around).params)


class LikeDapr(TyperGroup):
    """Takes the shared options in both places."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params.extend(shared())
        for command in self.commands.values():
            command.params.extend(shared())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; `ls` is `list`."""
        return super().get_command(ctx, "list" if cmd_name == "ls" else cmd_name)


PrintedAs = Annotated[Printed, typer.Option("-o", "--output", help="how it is printed")]
Connection = Annotated[str | None, typer.Option("-c", "--connection-string", callback=note_unused, help=UNUSED)]
Table = Annotated[str | None, typer.Option("-t", "--table-name", callback=note_unused, help=UNUSED)]


def json_of(text: str | None, option: str = "--input") -> Any:
    """Return what an option's JSON means. Ends with a message if it is none."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        output.fail(f"{option} is no JSON ({error}). Write it like '{{\"paid\": true}}', in single quotes.", 2)


def moment_of(text: str, option: str, *, past: bool = True) -> datetime:
    """Return the moment of a Go duration, before now or after it, or of a date."""
    now = datetime.now(UTC)
    if GO_DURATION.fullmatch(text):
        passed = timedelta(seconds=sum(float(count) * SECONDS[unit] for count, unit in re.findall(GO_PART, text)))
        return now - passed if past else now + passed
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        output.fail(
            f"{option} {text[:60]!r} is neither a duration nor a moment: write 720h or 2026-01-02T15:04:05Z.",
            output.MISUSED,
        )
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def line_of(one: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow with Dapr's names of its fields, and beside them those of the tables' columns."""
    created = datetime.fromisoformat(one["created_at"])
    shown = {
        "namespace": "",
        "appID": ClientSettings().app_id,
        "name": one["name"],
        "instanceID": one["id"],
        "created": one["created_at"],
        "lastUpdate": one["updated_at"],
        "runtimeStatus": one["status"],
        "customStatus": one["custom_status"],
    }
    return shown | {"age": age(created, datetime.now(UTC))}


COLUMNS = {
    "APP ID": "appID",
    "ID": "instanceID",
    "INSTANCE ID": "instanceID",
    "LAST UPDATE": "lastUpdate",
    "STATUS": "runtimeStatus",
    "CUSTOM STATUS": "customStatus",
    "EVENTID": "eventid",
}


def show(lines: list[dict[str, Any]], columns: tuple[str, ...], output_as: Printed) -> None:
    """Print a list with the columns of a table, or as YAML or JSON with all fields."""
    if output_as is Printed.JSON:
        output.print_json(lines)
    elif output_as is Printed.YAML:
        import yaml

        typer.echo(visible(yaml.safe_dump(lines, sort_keys=False, allow_unicode=True)), nl=False)
    else:
        fields = {column: COLUMNS.get(column, column.lower()) for column in columns}
        rows = [
            {
                column.lower().replace(" ", "_"): each.get(name, each.get(column.lower()))
                for column, name in fields.items()
            }
            for each in lines
        ]
        output.rows(columns, rows, Format.TABLE)
