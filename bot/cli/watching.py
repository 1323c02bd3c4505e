"""`countersign watch`: follow one workflow until it is over. The app tells when there is news; now and then we look."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from approvals.ends import STILL_WAITING, end_of
from approvals.statuses import ENDED
from bot.cli import output
from bot.cli.ended import in_words
from bot.cli.output import Format, Output
from bot.cli.remote import Remote, connected, path_of
from bot.cli.seeing import Reference, business_line

WITHOUT_REQUEST = {"FAILED": "failed", "TERMINATED": "terminated"}
"""Ends of a workflow that is no request, by Dapr's status."""

SOONEST = 0.5
LONGEST_WATCH_PAUSE_S = 5.0
"""Seconds between two looks: at first, and after a while without news."""


def watch(
    reference: Reference,
    timeout: Annotated[float | None, typer.Option(help="give up after so many seconds; default: never")] = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Follow a workflow: each new event a line, until it is over. Exit code 0 only if it was approved.

    Exit codes: 0 approved, 10 rejected, 11 nobody answered, 12 withdrawn, 13 still waiting at --timeout, 14 stopped by
    an operator, 15 failed, 16 approved and not used in time. So `countersign watch 42 && deploy` deploys nothing else.

    Example: countersign watch 42
    """
    with connected() as remote:
        try:
            found = asyncio.run(_followed(remote, reference, timeout, output_as))
        except KeyboardInterrupt:
            output.fail(f"Stopped watching. {reference} goes on by itself.")
    if output_as is Format.JSON:
        output.print_json(found)
    else:
        output.say(_end(found))
    code = _exit_code(found["workflow"])
    if code:
        raise typer.Exit(code)


def _exit_code(workflow: dict[str, Any]) -> int:
    """Return the exit code of an end. A workflow that is no request, such as a bulk operation, has only a status."""
    end = end_of(workflow["phase"]) or end_of(WITHOUT_REQUEST.get(workflow["status"]))
    return end.exit_code if end else 0


def _end(found: dict[str, Any]) -> str:
    workflow = found["workflow"]
    end = end_of(workflow["phase"]) or end_of(WITHOUT_REQUEST.get(workflow["status"]))
    if end is None or not workflow["decided_by"]:
        shown = f" {json.dumps(found['output'], ensure_ascii=False)}" if found.get("output") is not None else ""
        return f"{workflow['id']}: {end.shown if end else workflow['status']}.{shown}"
    return f"{workflow['id']}: {in_words(end, workflow['decided_by'])}."


async def _followed(remote: Remote, reference: str, seconds: float | None, output_as: Format) -> dict[str, Any]:
    until = None if seconds is None else time.monotonic() + seconds
    told = asyncio.Event()
    found: dict[str, Any] = remote.get(path_of("workflows", reference))
    listening = asyncio.create_task(_listen(remote, found["workflow"]["id"], told))
    known: tuple[str, str] | None = None
    seen = 0
    try:
        async for _ in _moments(told, until):
            found = await asyncio.to_thread(remote.get, path_of("workflows", reference))
            now = found["workflow"]["status"], found["workflow"]["updated_at"]
            if output_as is Format.TABLE and now != known:
                known, seen = now, await asyncio.to_thread(_news, remote, reference, seen)
            if now[0] in ENDED:
                break
        else:
            output.fail(
                f"{reference} still waits after {seconds:g} s. It goes on by itself; watch it again.", STILL_WAITING
            )
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return found


async def _listen(remote: Remote, instance_id: str, told: asyncio.Event) -> None:
    naming = f'"{instance_id}"'
    async for line in remote.lines("/events"):
        if naming in line:
            told.set()


async def _moments(told: asyncio.Event, until: float | None) -> AsyncIterator[None]:
    """Give the moments to look: at news at once, without news ever more seldom."""
    pause = SOONEST
    while True:
        yield
        left = LONGEST_WATCH_PAUSE_S if until is None else until - time.monotonic()
        if left <= 0:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), min(pause, left))
        pause = SOONEST if told.is_set() else min(pause * 1.3, LONGEST_WATCH_PAUSE_S)
        told.clear()


def _news(remote: Remote, reference: str, seen: int) -> int:
    events = remote.get(path_of("workflows", reference, "history"))["events"]
    business = [each for each in events if each["source"] == "business"]
    for each in business[seen:]:
        line = business_line(each)
        moment = line["at_(utc)"].rpartition(" ")[2]
        by = f"by {line['by']}" if line["by"] else ""
        output.say("  ".join(word for word in (f"{moment} UTC", line["what"], by, line["details"]) if word))
    return max(seen, len(business))
