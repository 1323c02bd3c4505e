"""Many workflows at once: the dry run is shown first, and only what it named is hit. The app does the work durably."""

from typing import Any

from approvals.values import Value
from bot.cli import output
from bot.cli.output import Format


class Wanted(Value):
    """What is to be done to all that a filter names."""

    action: str
    filter: dict[str, Any]
    reason: str


def stuck(older_than: str) -> dict[str, Any]:
    """Return the filter for what made no progress for so long, or is past its deadline."""
    return {"stuck": older_than}


def finished(older_than: str | None, *, completed: bool) -> dict[str, Any]:
    """Return the filter for what is over."""
    return {"status": "COMPLETED" if completed else None, "finished_before": older_than}


def run(wanted: Wanted, *, dry_run: bool, yes: bool, output_as: Format) -> None:
    """Show the dry run, ask, and do what it named."""
    output.fail("not there yet")
