"""A cache of requests' states, as this process last wrote or read them. It saves a click one read.

Only a hint: the transaction that commits a decision compares it with the database.
"""

from typing import NamedTuple

from approvals.request import Binding
from approvals.state import State, binding_of

MOST_STATES = 10_000


class CachedState(NamedTuple):
    """A request's state, and what its current card is bound to: hashed when it is written, not when it is clicked."""

    state: State
    binding: Binding


class StateCache:
    """The states of the MOST_STATES requests that changed last. No I/O."""

    def __init__(self) -> None:
        self._known: dict[str, CachedState] = {}

    def keep(self, state: State) -> None:
        """Remember a state that stands in the database now."""
        self._known.pop(state.instance_id, None)
        self._known[state.instance_id] = CachedState(state, binding_of(state))
        if len(self._known) > MOST_STATES:
            del self._known[next(iter(self._known))]

    def forget(self, instance_id: str) -> None:
        """Forget what turned out to be old."""
        self._known.pop(instance_id, None)

    def of(self, instance_id: str) -> CachedState | None:
        """Return its cached state, None if there is none."""
        return self._known.get(instance_id)
