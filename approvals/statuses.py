"""The statuses of a workflow instance, one table: Dapr's own words, each with the one message that explains it.

Imports nothing heavy: the command line's help reads it.
"""

from typing import Final, Literal, get_args

Status = Literal["PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "FAILED", "TERMINATED", "STALLED"]

STATUSES: Final[dict[Status, str]] = {
    "PENDING": "It is scheduled and has not started yet.",
    "RUNNING": "It is running: it works, or it waits for an answer or a time.",
    "SUSPENDED": "It is paused by an operator; answers are kept and count when it is resumed, and its deadlines go on.",
    "COMPLETED": "It ran to its end; its output says with what outcome.",
    "FAILED": "It stopped on an error; its history says which, and an operator can run it again.",
    "TERMINATED": "An operator ended it before it was done; nothing of it runs any more.",
    "STALLED": (
        "It waits for a worker that knows its version of the workflow, or its payload is too large; answers are kept."
    ),
}

STOPPABLE: Final = frozenset[Status]({"PENDING", "RUNNING", "SUSPENDED"})
"""Statuses that the engine terminates. For a stalled instance it refuses: "actor is stalled"."""

LIVE: Final = STOPPABLE | frozenset[Status]({"STALLED"})
"""Statuses that still take a decision or an event: the engine keeps it, also for a stalled instance."""

ENDED: Final = frozenset[Status]({"COMPLETED", "FAILED", "TERMINATED"})


def standing(status: str, end: str = "") -> str:
    """Return what follows "it is": `over: Rejected`, with the end in words if the workflow is a request; `paused`."""
    if status in ENDED:
        return f"over: {end or status.capitalize()}"
    return {"SUSPENDED": "paused", "PENDING": "not started yet"}.get(status, status.lower())


def status_message(status: str) -> str:
    """Return the message for a status, in whatever case; for a status of a later engine, its name."""
    return next((text for name, text in STATUSES.items() if name == status.upper()), f"The engine says {status}.")


assert set(get_args(Status)) == set(STATUSES)  # noqa: S101 two spellings of one list
