"""`countersign ask`: a script asks people for a yes, prints the card's link at once, and waits for the answer."""

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from approvals.ends import STILL_WAITING, end_of
from bot.cli import output
from bot.cli.ended import in_words
from bot.cli.output import Format, Output
from bot.cli.remote import Remote, connected, path_of

WAIT_POLL_S = 20
"""Seconds that the app holds a call while nothing happens: below the client's own timeout."""

AGAIN_S = 2.0
AWAY = "Countersign does not answer. The request goes on there; trying again."

IN_CI = ("GITHUB_REPOSITORY", "GITHUB_WORKFLOW", "GITHUB_JOB", "GITHUB_SHA")
"""Together they name a job of GitHub Actions, but not its attempt: a job that is run again keeps its approval."""


def ask(  # noqa: PLR0913 what a request has
    subject: Annotated[str, typer.Argument(metavar="TEXT", help="for what: people read it on the card")],
    *,
    kind: Annotated[str, typer.Option(help="a kind that the policy has rules for")],
    field: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="shown on the card; repeat it")] = None,
    amount: Annotated[str | None, typer.Option(help="if it is about money, for example 250.00")] = None,
    currency: Annotated[str | None, typer.Option(help="default: the policy's")] = None,
    description: Annotated[str, typer.Option(help="more about it")] = "",
    requester: Annotated[str | None, typer.Option(help="e-mail or Slack user id; default: the key's person")] = None,
    key: Annotated[str | None, typer.Option(help="the same key asks once; default: a new one, in CI the job")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="ask again, also in a job that was approved before")] = False,
    wait: Annotated[str | None, typer.Option(help="how long to wait, like 4h; default: until it ends")] = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Ask people for a yes, and wait for it. The exit code is the answer, so `countersign ask … && deploy` is enough.

    Exit codes: 0 approved, 10 rejected, 11 nobody answered, 12 withdrawn, 13 still waiting after --wait, 14 stopped by
    an operator, 15 failed, 16 approved and not used in time. Asking again with the same --key goes on waiting.

    Example: countersign ask "release 7.1 to production" --kind deploy --field env=prod --wait 4h
    """
    body = {
        "kind": kind, "subject": subject, "amount": amount, "currency": currency, "description": description,
        "fields": _fields(field or []), "requester": requester,
    }  # fmt: skip
    until = None if wait is None else time.monotonic() + _seconds(wait)
    with connected() as remote:
        asked = remote.post("/requests", body, headers={"Idempotency-Key": _key(key, fresh=fresh)})
        found = _answered(remote, asked, until)
    if output_as is Format.JSON:
        output.print_json(found)
    end = end_of(found["status"])
    if output_as is Format.TABLE:
        output.say(_said(found))
    if end is None or end.exit_code:
        raise typer.Exit(STILL_WAITING if end is None else end.exit_code)


def _fields(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if wrong := next((name for name, sign, _ in pairs if not sign or not name), None):
        output.fail(f"--field {wrong[:60]!r} has no value: write NAME=VALUE, for example env=prod.", output.MISUSED)
    return {name: value for name, _, value in pairs}


def _seconds(text: str) -> float:
    from approvals.durations import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        output.fail(f"--wait: {error}.", output.MISUSED)


def _key(given: str | None, *, fresh: bool) -> str:
    if given is not None:
        return given
    job = "/".join(os.environ.get(name, "") for name in IN_CI)
    return uuid.uuid4().hex if fresh or not job.strip("/") else job


def _answered(remote: Remote, asked: dict[str, Any], until: float | None) -> dict[str, Any]:
    """Return the request once it has ended or the time is up; say on standard error what happens meanwhile."""
    found, said = asked, ""
    output.note(f"Asked: {asked['id']}")
    try:
        while end_of(found["status"]) is None and (until is None or time.monotonic() < until):
            said = _tell(found, said)
            left = WAIT_POLL_S if until is None else max(1, min(WAIT_POLL_S, int(until - time.monotonic())))
            # Before the card stands there is no link to print, so look again soon.
            newer = remote.poll(path_of("requests", found["id"]), wait=left if found["card_link"] else 1)
            if newer is None:
                said = _away(said)
            found = newer or found
    except KeyboardInterrupt:
        output.fail(f"Stopped waiting. {asked['id']} goes on by itself.", STILL_WAITING)
    return found


def _away(said: str) -> str:
    """Say once that the app does not answer, and wait a moment: it may be starting again."""
    if said != AWAY:
        output.note(AWAY)
    time.sleep(AGAIN_S)
    return AWAY


def _tell(found: dict[str, Any], said: str) -> str:
    where = f"\n{found['card_link']}" if found["card_link"] else ""
    people = ", ".join(found["waiting_on"])
    until = datetime.fromisoformat(found["deadline"]).astimezone(UTC) if found["deadline"] else None
    deadline = f", until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    now = f"Waits for {people}{deadline}.{where}" if people else ""
    if now and now != said:
        output.note(now)
    return now or said


def _said(found: dict[str, Any]) -> str:
    end = end_of(found["status"])
    if end is None:
        return f"{found['id']} still waits. It goes on by itself: ask again with the same --key."
    return f"{in_words(end, found['decided_by'])}."
