"""`countersign watch`: follow one workflow until it is over. The app tells what is new; where it cannot, we ask."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from bot.cli import output
from bot.cli.output import Format, Output
from bot.cli.remote import Remote, connected, path_of
from bot.cli.seeing import Reference

OVER = {"COMPLETED", "FAILED", "TERMINATED"}
SOONEST = 0.5
LATEST = 5.0
"""Seconds between two questions: at first and after a while without news."""


def watch(
    reference: Reference,
    timeout: Annotated[float | None, typer.Option(help="give up after so many seconds; default: never")] = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Follow a workflow: each new event a line, until it is over. Exit code 0 only if it COMPLETED.

    Example: countersign watch 42
    """
    with connected() as remote:
        try:
            found = _followed(remote, reference, timeout, output_as)
        except KeyboardInterrupt:
            output.fail(f"Stopped watching. {reference} goes on by itself.")
    if output_as is Format.JSON:
        output.print_json(found)
    else:
        output.say(_end(found))
    if found["workflow"]["status"] != "COMPLETED":
        raise typer.Exit(output.FAILED)


def _end(found: dict[str, Any]) -> str:
    shown = f" {found['output']}" if found.get("output") is not None else ""
    return f"{found['workflow']['id']} is {found['workflow']['status']} ({found['workflow']['phase']}).{shown}"


def _followed(remote: Remote, reference: str, timeout: float | None, output_as: Format) -> dict[str, Any]:
    until = None if timeout is None else time.monotonic() + timeout
    known: tuple[str, str] | None = None
    seen = 0
    for _ in _moments(until):
        found: dict[str, Any] = remote.get(path_of("workflows", reference))
        now = found["workflow"]["status"], found["workflow"]["updated_at"]
        if output_as is Format.TABLE and now != known:
            known, seen = now, _news(remote, reference, seen)
        if now[0] in OVER:
            break
    else:
        output.fail(f"{reference} is not over after {timeout:g} s. It goes on by itself; watch it again.")
    return found


def _moments(until: float | None) -> Iterator[None]:
    """Give the moments to look at: often at first, later every few seconds."""
    pause = SOONEST
    while True:
        yield
        left = LATEST if until is None else until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.3, LATEST)


def _news(remote: Remote, reference: str, seen: int) -> int:
    events = remote.get(path_of("workflows", reference, "history"))["events"]
    business = [each for each in events if each["source"] == "business"]
    for each in business[seen:]:
        at = datetime.fromisoformat(each["at"])
        words = (f"{at:%H:%M:%S}", each["type"], each["name"], each["text"], f"({each['actor']})")
        output.say("  ".join(word for word in words if word))
    return max(seen, len(business))
