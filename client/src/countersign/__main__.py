"""`python -m countersign TEXT --kind deploy`: a script asks people for a yes, and its exit code is the answer.

The same as `countersign ask` of the whole program, for machines that have the client alone. A CI job needs no key.
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Final

from countersign.asking import Client
from countersign.errors import CountersignError, Misconfigured, NotApproved, Refused
from countersign.job_token import JobToken
from countersign.values import Request, seconds_of

EXIT: Final = {
    "approved": 0, "overridden": 0, "rejected": 10, "timed_out": 11, "withdrawn": 12, "terminated": 14, "failed": 15,
    "expired": 16,
}  # fmt: skip
STILL_WAITING: Final = 13
MISUSED: Final = 2
REFUSED: Final = 4
UNREACHABLE: Final = 5

IN_CI: Final = ("GITHUB_REPOSITORY", "GITHUB_WORKFLOW", "GITHUB_JOB", "GITHUB_SHA")
"""Together they name a job of GitHub Actions, but not its attempt: a job that is run again keeps its approval."""

LOOK_S: Final = 20.0


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    found = argparse.ArgumentParser(prog="python -m countersign", description=__doc__)
    found.add_argument("text", metavar="TEXT", help="for what: people read it on the card")
    found.add_argument("--kind", required=True, help="a kind that the policy has rules for")
    found.add_argument("--field", action="append", default=[], metavar="NAME=VALUE", help="shown on the card")
    found.add_argument("--amount", help="if it is about money, for example 250.00")
    found.add_argument("--currency", help="default: the policy's")
    found.add_argument("--description", help="more about it")
    found.add_argument("--requester", help="default: the key's person, or the job")
    found.add_argument("--key", help="the same key asks once; default: a new one, in CI the job")
    found.add_argument("--fresh", action="store_true", help="ask again, also in a job that was approved before")
    found.add_argument("--wait", help="how long to wait, like 4h; default: until it ends")
    found.add_argument(
        "--output", choices=("table", "json"), default="table", help="json: the request, when it is over"
    )
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Ask, wait, and return the exit code."""
    given = parser().parse_args(words)
    try:
        found = _asked(given)
    except ValueError as error:
        return _failed(str(error), MISUSED)
    except (Misconfigured, Refused) as error:
        return _failed(str(error), REFUSED if isinstance(error, Refused) else MISUSED)
    except CountersignError as error:
        return _failed(str(error), UNREACHABLE)
    if given.output == "json":
        print(found.model_dump_json(indent=2))  # noqa: T201 a command
    elif found.over:
        print(f"{found.subject}: {found.status}")  # noqa: T201 a command
    return EXIT.get(found.status, STILL_WAITING)


def _asked(given: argparse.Namespace) -> Request:
    """Return the request when it is over, or the time is. Raises: CountersignError, ValueError."""
    until = None if given.wait is None else time.monotonic() + seconds_of(given.wait)
    more = {name: getattr(given, name) for name in ("amount", "currency", "description", "requester")}
    auth = None if os.environ.get("COUNTERSIGN_API_KEY") else JobToken.of_this_job()
    with Client(auth=auth) as client:
        request = client.start(
            given.text,
            kind=given.kind,
            key=_key(given),
            fields=_fields(given.field),
            **{k: v or None for k, v in more.items()},
        )
        _note(f"Asked: {request.id}")
        said = ""
        while not request.over and (until is None or time.monotonic() < until):
            said = _tell(request, said)
            # Before the card stands there is no link to print, so look again soon.
            look = LOOK_S if request.card_link else 1.0
            left = look if until is None else min(look, max(0.0, until - time.monotonic()))
            request = _waited(client, request, left)
    if request.over and not request.approved and request.reason:
        _note(f"{request.decided_by[-1].name}: {request.reason}")
    return request


def _waited(client: Client, request: Request, seconds: float) -> Request:
    try:
        return client.wait(request, seconds)
    except NotApproved as error:
        return error.request


def _key(given: argparse.Namespace) -> str:
    if given.key:
        return str(given.key)
    job = "/".join(os.environ.get(name, "") for name in IN_CI)
    return uuid.uuid4().hex if given.fresh or not job.strip("/") else job


def _fields(given: Sequence[str]) -> dict[str, str]:
    """Return the fields. Raises: ValueError."""
    pairs = [each.partition("=") for each in given]
    if wrong := next((name for name, sign, _ in pairs if not sign or not name), None):
        raise ValueError(f"--field {wrong[:60]!r} has no value: write NAME=VALUE, for example env=prod.")
    return {name: value for name, _, value in pairs}


def _tell(request: Request, said: str) -> str:
    people = ", ".join(request.waiting_on)
    deadline = f", until {request.deadline:%Y-%m-%d %H:%M} UTC" if request.deadline else ""
    now = "\n".join(filter(None, (f"Waits for {people}{deadline}." if people else "", request.card_link)))
    if now and now != said:
        _note(now)
    return now or said


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 a command


def _failed(text: str, code: int) -> int:
    _note(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
