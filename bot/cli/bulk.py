"""Many workflows at once: the dry run is shown first, and only what it named is hit. The app does the work durably."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer

from bot.cli import output
from bot.cli.moments import age
from bot.cli.output import Format, Output
from bot.cli.remote import Remote, connected, path_of
from bot.cli.seeing import shown_line

app = typer.Typer(help="Operations on many workflows: how far one is, and going on with it.", no_args_is_help=True)

OVER = {"done", "stopped"}
LONGEST_PROGRESS_PAUSE_S = 1.0
"""Longest pause between two polls of an operation, in seconds."""

OperationId = Annotated[str, typer.Argument(metavar="ID", help="the operation's id, as it was printed")]


class BulkRequest(NamedTuple):
    """A bulk operation on all instances that a filter finds."""

    action: str
    filter: dict[str, Any]
    reason: str
    without: tuple[str, ...] = ()


def sure(question: str, *, yes: bool) -> None:
    """Ask before what cannot be undone. Without a terminal there is no one to ask, so only `--yes` says yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        output.fail(
            f"{question} There is no terminal to ask at, so nothing was done. Repeat it with --yes, or see with "
            "--dry-run what it would hit.",
            output.MISUSED,
        )
    if not typer.confirm(question):
        output.fail("Nothing was done.")


def run(wanted: BulkRequest, *, dry_run: bool, yes: bool, output_as: Format) -> None:
    """Show the dry run, ask, and do what it named. Exit code 1 if something failed."""
    with connected() as remote:
        filter_ = {name: value for name, value in wanted.filter.items() if value is not None}
        asked = {"action": wanted.action, "filter": filter_, "reason": wanted.reason}
        plan = remote.post("/workflows/bulk", asked)
        if dry_run and output_as is Format.JSON:
            output.print_json(plan)
            return
        left_out = _left_out(plan, wanted.without)
        total = plan["total"] - len(left_out)
        if output_as is Format.TABLE:
            _show(plan)
            if left_out:
                output.say(f"Left out: {', '.join(left_out)}.")
        if dry_run or not total:
            output.note("Nothing was done.")
            return
        these = "this one" if total == 1 else f"these {total}"
        sure(f"{wanted.action.capitalize()} {these} for good?", yes=yes)
        real = {"action": wanted.action, "dry_run": False, "token": plan["token"], "reason": wanted.reason}
        real |= {"without": left_out} if left_out else {}
        begun = remote.post("/workflows/bulk", real)
        _finish(remote, begun, output_as)


def _left_out(plan: dict[str, Any], without: tuple[str, ...]) -> list[str]:
    """Return the instance ids that are left out; they were typed as instance ids or as orders' ids."""
    named = {name: each["id"] for each in plan["lines"] for name in (each["id"], each["subject"]) if name}
    named |= {each: each for each in plan["ids"]}
    if (unknown := [each for each in without if each not in named]) and plan["total"]:
        output.fail(f"{', '.join(unknown)} would not be hit, so nothing was done. Look at the list.", output.MISUSED)
    return [named[each] for each in without if each in named]


def _show(plan: dict[str, Any]) -> None:
    """Print exactly what would be hit: the first ones as a list has them, the rest by their ids."""
    plural = "s" * (plan["total"] != 1)
    output.say(f"This would {plan['action']} {plan['total']} workflow{plural}: {plan['filter']}.")
    if plan["lines"]:
        output.rows(("NAME", "ID", "STATUS", "AGE"), [shown_line(each) for each in plan["lines"]], Format.TABLE)
    for each in plan["ids"][len(plan["lines"]) :]:
        output.say(each)
    if plan["total"] > len(plan["ids"]):
        output.say(f"… and {plan['total'] - len(plan['ids'])} more")


def _finish(remote: Remote, begun: dict[str, Any], output_as: Format) -> None:
    found = _followed(remote, begun)
    results = _results(remote, found["operation_id"])
    if output_as is Format.JSON:
        output.print_json(found | {"results": results})
    else:
        for each in results:
            output.say(f"{each['instance_id']}: {each['result'] or each['state']}")
        output.say(_summary(found))
    if found["failed"] or found["state"] == "stopped":
        output.note(f"What is left can be continued: countersign bulk continue {found['operation_id']}")
        raise typer.Exit(output.FAILED)


def _summary(found: dict[str, Any]) -> str:
    left = [f"{found[state]} {state}" for state in ("failed", "skipped", "pending") if found[state]]
    return f"{found['done']} of {found['total']} done{''.join(f', {each}' for each in left)}."


def _followed(remote: Remote, begun: dict[str, Any]) -> dict[str, Any]:
    """Wait for an operation's end with a progress bar. The operation does not depend on it."""
    found, before, pause = begun, 0, 0.1
    with output.progress(begun["action"].capitalize(), begun["total"]) as advance:
        try:
            while found["state"] not in OVER:
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PROGRESS_PAUSE_S)
                found = remote.get(path_of("workflows", "bulk", begun["operation_id"]))
                now = found["total"] - found["pending"]
                advance(now - before)
                before = now
        except KeyboardInterrupt:
            known = f"countersign bulk status {begun['operation_id']}"
            output.fail(f"Stopped watching; the operation goes on. See how far it is: {known}")
    return found


def _results(remote: Remote, operation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = remote.get(path_of("workflows", "bulk", operation_id, "results"), after=after, limit=1000)
        found += page["results"]
        after = page["after"]
    return found


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100, help="at most so many")] = 20, output_as: Output = Format.TABLE
) -> None:
    """List bulk operations, newest first.

    Example: countersign bulk list
    """
    with connected() as remote:
        found = remote.get(path_of("workflows", "bulk"), limit=limit)["operations"]
    if output_as is Format.TABLE:
        now = datetime.now(UTC)
        found = [
            each | {"id": each["operation_id"], "begun": age(datetime.fromisoformat(each["created_at"]), now)}
            for each in found
        ]
    output.rows(
        ("ID", "ACTION", "STATE", "DONE", "FAILED", "TOTAL", "BEGUN", "FILTER", "REASON"),
        found,
        output_as,
        none="No bulk operation has been run.",
    )


@app.command()
def status(operation_id: OperationId, output_as: Output = Format.TABLE) -> None:
    """Show how far an operation is.

    Example: countersign bulk status 5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f
    """
    with connected() as remote:
        found = remote.get(path_of("workflows", "bulk", operation_id))
    if output_as is Format.JSON:
        output.print_json(found)
    else:
        output.fields(found)


@app.command("continue")
def continue_(
    operation_id: OperationId,
    reason: Annotated[str, typer.Option(help="why it goes on; kept in the audit")] = "",
    output_as: Output = Format.TABLE,
) -> None:
    """Continue with items that failed or have no result yet.

    Example: countersign bulk continue 5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f --reason "the sidecar is back"
    """
    with connected() as remote:
        begun = remote.post(path_of("workflows", "bulk", operation_id, "continue"), {"reason": reason})
        _finish(remote, begun, output_as)
