"""`countersign list | status | history | why | stats`: what there is and why it waits, in `dapr workflow`'s words."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from approvals.ends import shown
from approvals.percents import whole_percents
from approvals.statuses import Status
from bot.cli import output
from bot.cli.moments import age, at_utc
from bot.cli.output import Format, Output
from bot.cli.remote import Remote, connected, path_of

Reference = Annotated[str, typer.Argument(metavar="ID", help="an order's id or an instance's")]


class ListFormat(StrEnum):
    """The format in which a list is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"


ListOutput = Annotated[ListFormat, typer.Option("-o", "--output", help="wide shows more; json is for programs")]


WORKFLOWS_PER_PAGE = 200
"""Lines that the app gives at once."""

LONGEST_SHOWN_ID = 200
"""Characters of an event's details in a table."""

ENDS = {
    "ExecutionStarted": "RUNNING",
    "ExecutionSuspended": "SUSPENDED",
    "ExecutionResumed": "RUNNING",
    "ExecutionTerminated": "TERMINATED",
    "TaskCompleted": "COMPLETED",
    "TaskFailed": "FAILED",
    "SubOrchestrationInstanceCompleted": "COMPLETED",
    "SubOrchestrationInstanceFailed": "FAILED",
}
"""The STATUS column of an engine's event, as `dapr workflow history` has it."""


def list_(  # noqa: PLR0913 a list's filters
    *,
    status_: Annotated[
        Status | None, typer.Option("--filter-status", case_sensitive=False, help="the engine's status")
    ] = None,
    name: Annotated[str | None, typer.Option("--filter-name", help="the workflow's name")] = None,
    max_age: Annotated[str | None, typer.Option("--filter-max-age", help="started within: 2h, 30d, or a date")] = None,
    older_than: Annotated[str | None, typer.Option(help="started longer ago than: 2h, 30d, or a date")] = None,
    waiting_on: Annotated[
        str | None, typer.Option(help="a group, an e-mail, a Slack user id, or 'me' for what waits for you")
    ] = None,
    words: Annotated[
        str | None, typer.Option("-q", "--query", help="beginnings of words: subject, requester, id")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="only what you have asked for")] = False,
    limit: Annotated[int, typer.Option(min=1, max=WORKFLOWS_PER_PAGE, help="how many at most")] = 50,
    every: Annotated[bool, typer.Option("--all", help="every page")] = False,
    output_as: ListOutput = ListFormat.TABLE,
) -> None:
    """List workflows: first what waits for you, then all of them, newest first; your own, if you may not see all.

    Example: countersign list --filter-status RUNNING --waiting-on me
    """
    query = {
        "status": status_,
        "name": name,
        "newer_than": max_age,
        "older_than": older_than,
        "waiting_on": waiting_on,
        "q": words,
        "mine": True if mine else None,
        "limit": WORKFLOWS_PER_PAGE if every else limit,
    }
    filtered = any(value is not None for name_, value in query.items() if name_ != "limit")
    with connected() as remote:
        found, total, sees_all = pages(remote, query, every=every)
        waits, waiting, _ = ([], 0, False) if filtered else pages(remote, query | {"waiting_on": "me"}, every=every)
    if output_as is ListFormat.JSON:
        known = {each["id"] for each in waits}
        output.print_json([*waits, *(each for each in found if each["id"] not in known)])
        return
    if waits:
        output.say(f"Waits for you ({len(waits)} of {waiting}):")
        output.rows(_columns(output_as, engines=sees_all), [shown_line(each) for each in waits], Format.TABLE)
    if waits and found:
        output.say("")
    if found:
        output.rows(_columns(output_as, engines=sees_all), [shown_line(each) for each in found], Format.TABLE)
    elif not waits:
        output.note("No workflow fits. `countersign list` without filters shows all.")
    if len(found) < total or len(waits) < waiting:
        output.note(f"The first {len(found)} of {total}: --all gives every page.")


def pages(remote: Remote, query: dict[str, Any], *, every: bool) -> tuple[list[dict[str, Any]], int, bool]:
    """Return the lines, how many fit in all, and whether the caller may see all people's."""
    found: list[dict[str, Any]] = []
    cursor = None
    with output.progress("Listing", 0, shown=every) as advance:
        while True:
            page = remote.get("/workflows", cursor=cursor, **query)
            found += page["workflows"]
            advance(len(page["workflows"]))
            cursor = page["cursor"]
            if cursor is None or not every:
                return found, int(page["total"]), bool(page.get("sees_all"))


def _columns(output_as: ListFormat, *, engines: bool) -> tuple[str, ...]:
    """Return the columns; what the engine says is for operators (`engines`)."""
    status = ("ENGINE STATUS",) if engines else ()
    if output_as is ListFormat.TABLE:
        return ("ID", "STATUS", "AMOUNT", "REQUESTER", *status, "AGE")
    name = ("NAME",) if engines else ()
    return (
        *name,
        "ID",
        "STATUS",
        "AMOUNT",
        "REQUESTER",
        "DESCRIPTION",
        "WAITING ON",
        "DEADLINE",
        *status,
        "AGE",
    )


def shown_line(each: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow as a table's line, with its age."""
    now = datetime.now(UTC)
    return each | {
        "age": age(datetime.fromisoformat(each["created_at"]), now),
        "status": each["standing"] or each["status"].capitalize(),
        "engine_status": each["status"],
        "amount": amount_of(each),
        "deadline": at_utc(each.get("deadline")),
        "description": each.get("description", "")[:60],
    }


def amount_of(one: dict[str, Any]) -> str:
    """Return `2400.00 USD`, nothing for a request that is not about money."""
    return f"{one['amount']} {one['currency']}" if one.get("amount") is not None else ""


def history(
    reference: Reference,
    *,
    engine: Annotated[bool, typer.Option("--engine", help="the engine's events too, with their EVENTID")] = False,
    output_as: Output = Format.TABLE,
) -> None:
    """Show who did what, oldest first; with --engine also the workflow engine's events. JSON has all of them.

    Example: countersign history 42
    """
    with connected() as remote:
        events = remote.get(path_of("workflows", reference, "history"))["events"]
    if engine or output_as is Format.JSON:
        columns = ("TYPE", "NAME", "EVENTID", "ELAPSED", "STATUS", "DETAILS")
        output.rows(columns, time_line(events), output_as, whole=events)
        return
    business = [each for each in events if each["source"] == "business"]
    output.rows(("AT (UTC)", "WHAT", "BY", "DETAILS"), [business_line(each) for each in business], output_as)
    output.note("`countersign history ID --engine` shows the workflow engine's events too.")


NOBODY = ("workflow", "system")
"""Actors that are no person: no name is shown for them."""


def business_line(event: dict[str, Any]) -> dict[str, Any]:
    """Return what a person, or the workflow, did as a table's line."""
    at = datetime.fromisoformat(event["at"])
    return {
        "at_(utc)": f"{at:%Y-%m-%d %H:%M:%S}",
        "what": event["what"] or event["type"],
        "by": event["actor_name"] or ("" if event["actor"] in NOBODY else event["actor"]),
        "details": _cut(event["text"]),
    }


def time_line(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as lines of a table; elapsed is the time since the first one."""
    begun = datetime.fromisoformat(events[0]["at"]) if events else None
    terminated = any(each["type"] == "ExecutionTerminated" for each in events)
    return [_event(each, begun or datetime.now(UTC), terminated=terminated) for each in events]


def _event(event: dict[str, Any], begun: datetime, *, terminated: bool) -> dict[str, Any]:
    business = event["source"] == "business"
    elapsed = (datetime.fromisoformat(event["at"]) - begun).total_seconds()
    details = [event["text"], f"payload={event['payload']}" if event.get("payload") else ""]
    return {
        "type": event["type"],
        "name": event["actor"] if business else event["name"],
        "eventid": "-" if event["event_id"] is None else event["event_id"],
        "elapsed": f"{elapsed:.3f}s" if elapsed < 60 else age(begun, datetime.fromisoformat(event["at"])),  # noqa: PLR2004 a minute
        "status": event["name"] if business else _status(event, terminated=terminated),
        "details": _cut(" ".join(filter(None, details))),
    }


def _status(event: dict[str, Any], *, terminated: bool) -> str:
    if event["type"] != "ExecutionCompleted":
        return ENDS.get(event["type"], "")
    return "TERMINATED" if terminated else "FAILED" if event["text"] else "COMPLETED"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN_ID else f"{text[:LONGEST_SHOWN_ID]}… (-o json has all)"


def why(reference: Reference, output_as: Output = Format.TABLE) -> None:
    """Say why a workflow does not go on: each answer with its evidence and the next step.

    Example: countersign why 42
    """
    with connected() as remote:
        answers = remote.get(path_of("workflows", reference, "diagnosis"))["answers"]
    if output_as is Format.JSON:
        output.print_json(answers)
        return
    for answer in answers:
        output.say(answer["sentence"])
        for label, field in (("Evidence", "evidence"), ("Next step", "next_step")):
            if answer.get(field):
                output.say(f"  {label}: {answer[field]}")


def stats(
    since: Annotated[str, typer.Option(help="how long ago, or a date")] = "30d", output_as: Output = Format.TABLE
) -> None:
    """Show what waits now by rule and approver, and how decisions went.

    Example: countersign stats --since 7d
    """
    with connected() as remote:
        found = remote.get("/statistics", since=since)
    if output_as is Format.JSON:
        output.print_json(found)
        return
    oldest = f", the oldest since {at_utc(found['oldest'])}" if found["oldest"] else ""
    output.fields(
        {
            "waiting now": f"{found['waiting']}{oldest}",
            "decided by people": str(found["decided"]),
            "median time": _duration(found["median_seconds"]),
            "p90 time": _duration(found["p90_seconds"]),
            "timeouts": str(found["timeouts"]),
        }
    )
    for title, counts in _tables(found):
        if counts:
            output.say("")
            output.rows(
                (title, "COUNT"), [{title.lower().replace(" ", "_"): k, "count": v} for k, v in counts], output_as
            )


def _tables(found: dict[str, Any]) -> list[tuple[str, list[tuple[str, Any]]]]:
    shares = whole_percents(found["outcomes"])
    return [
        ("WAITING BY RULE", [(each["what"] or "-", each["count"]) for each in found["waiting_by_rule"]]),
        ("WAITING BY APPROVER", [(each["what"], each["count"]) for each in found["waiting_by_approver"]]),
        ("OUTCOME", [(shown(name), f"{count} ({shares[name]} %)") for name, count in found["outcomes"].items()]),
        ("DAY (UTC)", [(day["day"], sum(day["outcomes"].values())) for day in found["decided_per_day"]]),
        ("REFUSED BECAUSE", [(name.replace("_", " "), count) for name, count in found["refusals"].items()]),
    ]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} seconds"
