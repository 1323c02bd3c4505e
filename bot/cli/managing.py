"""`countersign raise-event | pause | resume | terminate | purge | rerun`: what operators do, by the app's REST API."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from approvals.decision import APPROVAL_DECISION as DECISION
from approvals.verbs import Verb
from bot.cli import bulk, output
from bot.cli.bulk import sure
from bot.cli.order_commands import decide
from bot.cli.output import Format, Output
from bot.cli.remote import connected, path_of, payload
from bot.cli.seeing import Reference

DECISION_FIELDS = {"approved", "reason", "digest", "decision_id", "approver"}

Why = Annotated[str, typer.Option("--reason", help="why; kept in the audit with your name")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
Maybe = Annotated[str | None, typer.Argument(metavar="ID", help="an order's id or an instance's")]


def _act(reference: str, verb: str, body: dict[str, Any], output_as: Format) -> None:
    with connected() as remote:
        done = remote.post(path_of("workflows", reference, *verb.split("/")), body)
    if output_as is Format.JSON:
        output.print_json(done)
    else:
        output.say(f"{done['instance_id']}: {done['sentence']}")


def withdraw(reference: Reference, reason: Why = "", output_as: Output = Format.TABLE) -> None:
    """Take a request back, as the one who asked for it, before it is decided. `watch` ends with exit code 12.

    Example: countersign withdraw 42 --reason "no longer needed"
    """
    with connected() as remote:
        found = remote.post(path_of("requests", reference, "withdraw"), {"reason": reason}, conflict=output.REFUSED)
    if output_as is Format.JSON:
        output.print_json(found)
    elif found["status"] == "withdrawn":
        output.say(f"{found['id']} is withdrawn.")
    else:
        output.say(f"The withdrawal of {found['id']} is recorded, and the workflow has not taken it yet.")


def raise_event(
    where: Annotated[str, typer.Argument(metavar="ID/EVENT", help="an order's id or an instance's, and the event")],
    data: Annotated[str, typer.Option("--input", help="the event's payload: a JSON object")],
    reason: Why = "",
    output_as: Output = Format.TABLE,
) -> None:
    """Raise an event. The event approval_decision decides an order, as the person whom the key belongs to.

    Example: countersign raise-event 42/approval_decision --input '{"approved": true, "reason": "within the budget"}'
    """
    reference, event = event_of(where)
    if event.casefold() != DECISION:
        _act(reference, f"raise-event/{event}", {"input": payload(data), "reason": reason}, output_as)
        return
    decide(reference, {"reason": reason, **decision_of(payload(data))}, output_as)


def event_of(where: str) -> tuple[str, str]:
    """Return the instance and the event of ID/EVENT. Ends with a message for anything else."""
    reference, slash, event = where.rpartition("/")
    if not slash or not reference or not event:
        output.fail(f"{where[:100]!r} names no event: write ID/EVENT, for example 42/{DECISION}.", output.MISUSED)
    return reference, event


def decision_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the decision that an event's payload is. Ends with a message for a field that a decision does not have."""
    if unknown := sorted(given.keys() - DECISION_FIELDS):
        output.fail(f"A decision has no field {unknown[0]!r}: it has approved (true or false) and reason.", 2)
    return given


def plain(verb: Verb) -> Callable[..., None]:
    """Return the command of a verb that takes a reason and nothing else."""

    def command(
        reference: Reference,
        words: Annotated[str, typer.Argument(metavar="REASON", help="the same as --reason")] = "",
        reason: Why = "",
        output_as: Output = Format.TABLE,
    ) -> None:
        said = reason or words
        _act(reference, verb.name, {"reason": _given(said) if verb.needs_reason else said}, output_as)

    command.__doc__ = f"{verb.summary} {verb.warning}\n\nExample: countersign {verb.name} {verb.example}"
    return command


def terminate(  # noqa: PLR0913 one workflow, or a filter for many
    reference: Maybe = None,
    *,
    reason: Why = "",
    stuck: Annotated[
        bool, typer.Option("--stuck", help="all that made no progress, or are past their deadline")
    ] = False,
    older_than: Annotated[str, typer.Option(help="with --stuck: without progress for this long")] = "2h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only list what would be hit")] = False,
    without: Annotated[list[str] | None, typer.Option(metavar="ID", help="with many: leave this one out")] = None,
    yes: Yes = False,
    output_as: Output = Format.TABLE,
) -> None:
    """End a workflow for good, without a decision; its card is rewritten. With --stuck: all that do not go on.

    Example: countersign terminate --stuck --older-than 2h --dry-run
    """
    _one_or_many(reference, many=stuck, options="--stuck")
    if reference is None:
        wanted = bulk.BulkRequest(
            action="terminate",
            filter={"stuck": True, "older_than": older_than},
            reason=reason,
            without=tuple(without or ()),
        )
        if not dry_run:
            _given(reason)
        bulk.run(wanted, dry_run=dry_run, yes=yes, output_as=output_as)
        return
    given = _given(reason)
    if dry_run:
        output.say(f"This would terminate {reference}. Nothing was done.")
        return
    sure(f"Terminate {reference} for good? Nobody can approve it any more.", yes=yes)
    _act(reference, "terminate", {"reason": given}, output_as)


def purge(  # noqa: PLR0913 one workflow, or a filter for many
    reference: Maybe = None,
    *,
    completed: Annotated[
        bool, typer.Option("--completed", help="all that ran to their end (Dapr's COMPLETED)")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="all that are over, however they ended")] = False,
    older_than: Annotated[str | None, typer.Option(help="with --completed or --all: over for this long")] = None,
    force: Annotated[bool, typer.Option("--force", help="one that is wedged and cannot end any more")] = False,
    reason: Why = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only list what would be hit")] = False,
    without: Annotated[list[str] | None, typer.Option(metavar="ID", help="with many: leave this one out")] = None,
    yes: Yes = False,
    output_as: Output = Format.TABLE,
) -> None:
    """Forget the history of what is over. The audit entries stay.

    Example: countersign purge --completed --older-than 720h
    """
    _one_or_many(reference, many=completed or every, options="--completed or --all")
    if reference is None:
        which = {"completed": True} if completed else {"everything": True}
        typed = f"countersign purge --{'completed' if completed else 'all'}"
        typed += f" --older-than {older_than}" if older_than else ""
        filter_ = which | {"older_than": older_than}
        wanted = bulk.BulkRequest("purge", filter_, reason=reason or typed, without=tuple(without or ()))
        bulk.run(wanted, dry_run=dry_run, yes=yes, output_as=output_as)
        return
    if dry_run:
        output.say(f"This would purge {reference}. Nothing was done.")
        return
    sure(f"Purge the history of {reference} for good? Its audit entries stay.", yes=yes)
    _act(reference, "purge", {"reason": reason, "force": force}, output_as)


def rerun(
    reference: Reference,
    event_id: Annotated[
        int, typer.Option(min=0, help="EVENTID of a scheduled task, a timer or a child in the history")
    ],
    new_id: Annotated[str | None, typer.Option("--new-event-instance-id", help="the new instance's id")] = None,
    reason: Why = "",
    output_as: Output = Format.TABLE,
) -> None:
    """Run a finished workflow again from one of its events, as a new instance.

    Example: countersign rerun 42 --event-id 3 --reason "the ledger was down"
    """
    _act(reference, "rerun", {"event_id": event_id, "new_instance_id": new_id, "reason": reason}, output_as)


def _given(reason: str) -> str:
    if not reason.strip():
        output.fail("Say why with --reason: the audit keeps it with your name.", output.MISUSED)
    return reason


def _one_or_many(reference: str | None, *, many: bool, options: str) -> None:
    if (reference is None) == many:
        return
    said = "both an ID and" if many else "neither an ID nor"
    output.fail(f"This names {said} {options}: give one of them.", output.MISUSED)
