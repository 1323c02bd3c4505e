"""The machine as a Mermaid diagram, drawn from transitions that really happened: it says nothing step did not do."""

from collections.abc import Iterable
from typing import Final

from approvals.state import Effect, Event, Record, Started, State

Transition = tuple[State, Event, State, tuple[Effect, ...]]

PLACES: Final = ("New", "Waiting", "Escalated", "Approved", "Rejected", "TimedOut", "Withdrawn")
LABELS: Final = {
    ("asked",): "asked",
    ("refused",): "refused",
    ("reminded",): "reminded",
    ("escalated",): "escalation is due",
    ("escalated", "reminded"): "escalation is due",
    ("timed_out",): "deadline has passed",
    ("accepted",): "yes, more are needed",
    ("accepted", "advanced", "asked"): "yes, next stage is asked",
    ("accepted", "approved"): "yes, the last one needed",
    ("accepted", "rejected"): "no, with a reason",
    ("approved",): "automatic by policy",
    ("rejected",): "nobody to ask",
    ("withdrawn",): "withdrawn by the requester",
}


def place(state: State) -> str:
    """Return the diagram's node for a state."""
    if state.phase == "new":
        return "New"
    if state.outcome is None:
        return "Escalated" if state.round else "Waiting"
    if state.outcome.approved:
        return "Approved"
    if state.outcome.end == "withdrawn":
        return "Withdrawn"
    return "TimedOut" if state.outcome.reason == "approval_timeout" else "Rejected"


def diagram(transitions: Iterable[Transition]) -> str:
    """Return the diagram. What leaves no record changed nothing, and has no arrow. Raises KeyError for a new kind."""
    arrows = set()
    for before, event, after, effects in transitions:
        actions = tuple(effect.action for effect in effects if isinstance(effect, Record))
        if actions and not (before.phase == "new" and not isinstance(event, Started)):
            arrows.add((PLACES.index(place(before)), PLACES.index(place(after)), LABELS[actions]))
    lines = [f"    {PLACES[start]} --> {PLACES[end]}: {label}" for start, end, label in sorted(arrows)]
    ends = [f"    {name} --> [*]" for name in PLACES[3:]]
    return "\n".join(["stateDiagram-v2", "    [*] --> New", *lines, *ends]) + "\n"
