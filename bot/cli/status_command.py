"""`countersign status`: one workflow for a person; `-o wide` adds what the engine knows of it."""

from typing import Any

from approvals.statuses import status_message
from bot.cli import output
from bot.cli.moments import at_utc
from bot.cli.remote import connected, path_of
from bot.cli.seeing import ListFormat, ListOutput, Reference, amount_of


def status(reference: Reference, output_as: ListOutput = ListFormat.TABLE) -> None:
    """Show one workflow: its status, whom it waits for, since when and until when.

    Example: countersign status 42
    """
    with connected() as remote:
        found = remote.get(path_of("workflows", reference))
    if output_as is ListFormat.JSON:
        output.print_json(found)
        return
    one = found["workflow"]
    engines = output_as is ListFormat.WIDE or not one["standing"]
    output.fields(_request(one, found) | (_engines(one, found) if engines else {}))


def _request(one: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what a person wants to know of a request; empty fields are left out."""
    moments = ("since", "deadline", "decided_at", "finished_at")
    stage = f"{one['stage']} of {one['stages']}" if (one["stages"] or 1) > 1 else ""
    return {
        "id": one["id"],
        "what": f"{one['kind']} {one['subject']}".strip(),
        "status": one["standing"],
        "amount": amount_of(one),
        "description": one["description"],
        "requester": one["requester"],
        "rule": one["rule"] or "",
        "stage": stage,
        "approvals": f"{one['approved']} of {one['needed']}" if one["needed"] else "",
        "decided by": "; ".join(map(_decision, one["decided_by"])),
        "waiting on": ", ".join(one["waiting_on"]),
        **{name: at_utc(one[name]) for name in moments},
        "card": one["card_link"] or "",
        "purged": "The engine has forgotten its history; the audit stays." if found["purged"] else "",
        "failure": found["failure"],
        "engine status": one["status"] if one["status"] in NOTEWORTHY else "",
    }


NOTEWORTHY = ("FAILED", "STALLED", "PENDING")
"""The engine's statuses that say more than the request's own."""


def _engines(one: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what the engine says of an instance."""
    custom = f" ({one['custom_status']})" if one["custom_status"] else ""
    return {
        "name": one["name"],
        "engine status": f"{one['status']}: {status_message(one['status'])}{custom}",
        "created at": at_utc(one["created_at"]),
        "digest": found["digest"] or "",
        "input": found["input"],
        "output": found["output"],
    }


def _decision(one: dict[str, Any]) -> str:
    said = f": {one['reason']}" if one["reason"] else ""
    word = "approved" if one["approved"] else "rejected"
    return f"{one['name'] or one['person']} {word} stage {one['stage']} at {at_utc(one['at'])}{said}"
