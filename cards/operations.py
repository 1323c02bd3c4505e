"""The answer of /approval bulk: the operations on many workflows, newest first. Only builds it."""

from approvals.values import Moment, Value
from cards import parts
from cards.surface import Block, Message

NONE = "Nothing was done in bulk so far. Begin with /approval terminate --stuck, or /approval purge --older-than 30d."


class OperationLine(Value):
    """One operation on many workflows. `state` is planned, running, done or stopped; `filter` is in words."""

    operation_id: str
    action: str
    state: str
    filter: str
    reason: str
    total: int
    done: int
    failed: int
    created_at: Moment


def listing(found: tuple[OperationLine, ...]) -> Message:
    """Return the operations that were begun."""
    if not found:
        return Message(text=parts.fallback(NONE), blocks=(parts.sentence(NONE),))
    first = found[0]
    text = f"Done in bulk, newest first: {first.action}, {_progress(first)}."
    return Message(text=parts.fallback(text), blocks=(parts.header("Done in bulk"), *map(_line, found)))


def _line(one: OperationLine) -> Block:
    reason = f"\nReason: {parts.typed(one.reason, 300)}" if one.reason.strip() else ""
    which = f", {parts.typed(one.filter, 300)}" if one.filter.strip() else ""
    return parts.rich(
        parts.words(f"{one.action.capitalize()}", bold=True),
        parts.words(f"{which}: {_progress(one)}, begun "),
        parts.moment(one.created_at),
        parts.words(f"{reason}\nbulk-{one.operation_id}"),
    )


def _progress(one: OperationLine) -> str:
    failed = f", {one.failed} failed" if one.failed else ""
    stopped = (
        " (stopped before its end)" if one.state == "stopped" else " (under way)" if one.state == "running" else ""
    )
    return f"{one.done} of {one.total} done{failed}{stopped}"
