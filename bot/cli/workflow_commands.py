"""`countersign workflow`: the commands and options of `dapr workflow`, so that a known command needs one word changed.

They act at once, as Dapr's do; the commands without `workflow` before them ask first, and know orders by their ids.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from approvals.decision import APPROVAL_DECISION as DECISION
from bot.cli import bulk, output
from bot.cli.like_dapr import (
    UNUSED,
    Connection,
    Filtered,
    LikeDapr,
    Printed,
    PrintedAs,
    Table,
    json_of,
    line_of,
    moment_of,
    note_unused,
    show,
)
from bot.cli.managing import decision_of, event_of
from bot.cli.order_commands import say_decided
from bot.cli.output import Format
from bot.cli.remote import connected, path_of, payload
from bot.cli.seeing import WORKFLOWS_PER_PAGE, pages, time_line

NEVER_HERE = frozenset({"CONTINUED_AS_NEW", "CANCELED"})
"""Statuses that Dapr's option knows and that no workflow has."""


app = typer.Typer(cls=LikeDapr, help="The commands of `dapr workflow`, with its options.", no_args_is_help=True)

Instance = Annotated[str, typer.Argument(metavar="ID", help="an instance's id; an order's works too")]
Input = Annotated[str | None, typer.Option("-x", "--input", help="JSON")]


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the workflow's name")],
    given: Input = None,
    instance_id: Annotated[str | None, typer.Option("-i", "--instance-id", help="its id; else one is made up")] = None,
    start_time: Annotated[
        str | None, typer.Option("-s", "--start-time", help="RFC 3339, or a duration from now: 10m")
    ] = None,
) -> None:
    """Start a workflow by its name.

    Example: countersign workflow run approval_workflow --instance-id invoice-7 --input '{"kind": "deploy", …}'
    """
    start_at = None if start_time is None else moment_of(start_time, "--start-time", past=False).isoformat()
    body = {"name": name, "input": json_of(given), "instance_id": instance_id, "start_at": start_at}
    with connected() as remote:
        done = remote.post("/workflows", body)
    output.say(f"Workflow instance started successfully: {done['instance_id']}")


@app.command("list")
def list_(  # noqa: PLR0913 Dapr's options
    *,
    name: Annotated[str | None, typer.Option("-w", "--filter-name", help="the workflow's name")] = None,
    status: Annotated[Filtered | None, typer.Option("-s", "--filter-status", help="one of Dapr's statuses")] = None,
    max_age: Annotated[
        str | None, typer.Option("-m", "--filter-max-age", help="started within 1.5h, or since 2026-01-02")
    ] = None,
    output_as: PrintedAs = Printed.SHORT,
    connection_string: Connection = None,
    table_name: Table = None,
) -> None:
    """List workflows, oldest first: all of them, or your own if you may not see all.

    Example: countersign workflow list --app-id countersign --filter-status RUNNING -o json
    """
    since = None if max_age is None else moment_of(max_age, "--filter-max-age").isoformat()
    query = {"status": status, "name": name, "newer_than": since, "limit": WORKFLOWS_PER_PAGE}
    with connected() as remote:
        found = [] if status in NEVER_HERE else pages(remote, query, every=True)[0]
    lines = [line_of(each) for each in reversed(found)]
    if not lines:
        output.note("No workflow found.")
        return
    custom = ("CUSTOM STATUS",) if any(each["customStatus"] for each in lines) else ()
    if output_as is Printed.SHORT:
        columns: tuple[str, ...] = ("NAME", "ID", "STATUS", *custom, "AGE")
    else:
        columns = ("APP ID", "NAME", "INSTANCE ID", "CREATED", "LAST UPDATE", "STATUS", *custom)
    show(lines, columns, output_as)


@app.command()
def history(instance: Instance, output_as: PrintedAs = Printed.SHORT) -> None:
    """Show the engine's events of a workflow, oldest first.

    Example: countersign workflow history order-42-workflow
    """
    with connected() as remote:
        events = remote.get(path_of("workflows", instance, "history"), source="engine")["events"]
    lines = [
        line | {"eventId": event["event_id"], "timestamp": event["at"]}
        for line, event in zip(time_line(events), events, strict=True)
    ]
    wide = ("TIMESTAMP",) if output_as is Printed.WIDE else ()
    show(lines, ("TYPE", "NAME", "EVENTID", *wide, "ELAPSED", "STATUS", "DETAILS"), output_as)


@app.command("raise-event")
def raise_event(
    where: Annotated[str, typer.Argument(metavar="ID/EVENT", help="an instance's id, and the event's name")],
    given: Input = None,
) -> None:
    """Raise an event. approval_decision decides the request, as the person whom the key belongs to.

    Example: countersign workflow raise-event order-42-workflow/approval_decision --input '{"approved": true}'
    """
    instance, event = event_of(where)
    if event.casefold() != DECISION:
        with connected() as remote:
            remote.post(path_of("workflows", instance, "raise-event", event), {"input": payload(given or "null")})
        output.say(f"Workflow '{instance}' raised event '{event}' successfully")
        return
    decision = decision_of(payload(given or "null"))
    with connected() as remote:
        found = remote.post(path_of("requests", instance, "decision"), decision, conflict=output.REFUSED)
    say_decided(found, decision)


@app.command()
def suspend(
    instance: Instance, reason: Annotated[str, typer.Option("-r", "--reason", help="kept in the audit")] = ""
) -> None:
    """Pause a running workflow.

    Example: countersign workflow suspend order-42-workflow --reason "waiting for the supplier"
    """
    _act(instance, "pause", {"reason": reason or "countersign workflow suspend"}, "suspended")


@app.command()
def resume(
    instance: Instance, reason: Annotated[str, typer.Option("-r", "--reason", help="kept in the audit")] = ""
) -> None:
    """Resume a suspended workflow.

    Example: countersign workflow resume order-42-workflow
    """
    _act(instance, "resume", {"reason": reason}, "resumed")


@app.command()
def terminate(
    instance: Instance,
    given: Annotated[str | None, typer.Option("-o", "--output", help="JSON; becomes the reason in the output")] = None,
) -> None:
    """End a workflow for good, without a decision. Its card is rewritten.

    Example: countersign workflow terminate order-42-workflow --output '"the supplier withdrew"'
    """
    said = json_of(given, "--output")
    reason = said if isinstance(said, str) else "countersign workflow terminate" if said is None else json.dumps(said)
    _act(instance, "terminate", {"reason": reason[:1000] or "countersign workflow terminate"}, "terminated")


@app.command()
def rerun(
    instance: Instance,
    event_id: Annotated[int, typer.Option("-e", "--event-id", min=0, help="EVENTID in the history")] = 0,
    new_instance_id: Annotated[str | None, typer.Option(help="the new instance's id; else one is made up")] = None,
    given: Input = None,
) -> None:
    """Run a finished workflow again from one of its events, as a new instance.

    Example: countersign workflow rerun order-42-workflow --event-id 3
    """
    if given is not None:
        output.fail("A request is not run again with another input: start a new one. Nothing was done.", output.MISUSED)
    body = {"event_id": event_id, "new_instance_id": new_instance_id}
    with connected() as remote:
        done = remote.post(path_of("workflows", instance, "rerun"), body)
    output.say(f"Rerunning workflow instance: {done['instance_id']}")


@app.command()
def purge(  # noqa: PLR0913 Dapr's options
    instances: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="finished instances")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="all that are over, however they ended")] = False,
    older_than: Annotated[
        str | None, typer.Option("--all-older-than", help="all that have been over for 720h, or since a moment")
    ] = None,
    status: Annotated[
        Filtered | None, typer.Option("--all-filter-status", help="with --all-older-than: of this status only")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="one that is wedged and cannot end any more")] = False,
    connection_string: Connection = None,
    table_name: Table = None,
    scheduler_namespace: Annotated[str | None, typer.Option(callback=note_unused, help=UNUSED)] = None,
) -> None:
    """Forget the history of finished workflows. The audit entries stay.

    Example: countersign workflow purge --all-older-than 720h
    """
    many = every or older_than is not None
    if wrong := _misused(instances or [], every=every, older_than=older_than, status=status, force=force):
        output.fail(wrong, output.MISUSED)
    if many:
        _purge_many(older_than, status)
        return
    output.say(f"Purging {len(instances or [])} workflow instance(s)")
    for each in instances or []:
        with connected() as remote:
            done = remote.post(path_of("workflows", each, "purge"), {"force": force})
        output.say(f'Purged workflow instance "{done["instance_id"]}"')


def _misused(
    instances: list[str], *, every: bool, older_than: str | None, status: Filtered | None, force: bool
) -> str | None:
    if every and older_than is not None:
        return "--all and --all-older-than exclude each other: give one of them."
    if status is not None and older_than is None:
        return "--all-filter-status can only be used with --all-older-than."
    if (every or older_than is not None) and instances:
        return "This names instances and --all: give one of them."
    if not instances and not every and older_than is None:
        return "This names no instance: give ids, --all or --all-older-than 720h."
    if force and not instances:
        return "--force is for instances that are named: it may break what still runs."
    return None


def _purge_many(older_than: str | None, status: Filtered | None) -> None:
    wanted: dict[str, Any] = {"everything": True, "status": status}
    if older_than is not None:
        since = int((datetime.now(UTC) - moment_of(older_than, "--all-older-than")).total_seconds())
        wanted["older_than"] = f"{since}s" if since > 0 else None
    typed = f"countersign workflow purge {'--all' if older_than is None else f'--all-older-than {older_than}'}"
    bulk.run(bulk.BulkRequest("purge", wanted, typed), dry_run=False, yes=True, output_as=Format.TABLE)


def _act(instance: str, verb: str, body: dict[str, Any], past: str) -> None:
    with connected() as remote:
        done = remote.post(path_of("workflows", instance, verb), body)
    if done["changed"]:
        output.say(f"Workflow '{done['instance_id']}' {past} successfully")
    else:
        output.say(f"{done['instance_id']}: {done['sentence']}")
