"""Failures on request: which call fails, how, how often. Decides; the server carries it out."""

import random
from dataclasses import dataclass, field
from typing import Literal

from local.slack.seed import Value

FaultKind = Literal["ratelimited", "http_500", "lost_reply", "refused", "slow", "error", "drop_socket", "duplicate"]
SOCKET_KINDS = frozenset({"drop_socket", "duplicate"})


class Fault(Value):
    """One kind of failure.

    `method` is a Web API method, "*" for all, or "response_url"; for drop_socket and duplicate it is an envelope type
    (slash_commands, interactive, events_api) or "*". What `kind` means:

    - ratelimited: 429, and the caller has to wait `retry_after` seconds; http_500: just that
    - lost_reply: the work is done and the connection drops; refused: it drops before any work
    - slow: `delay` seconds pass first; error: Slack answers with the word in `error`
    - drop_socket: the connection drops after the next envelope; duplicate: the envelope is sent twice

    It strikes `count` times at most (None: no end), each time with `probability` out of a generator seeded with
    `seed`, after `skip` calls that pass.
    """

    method: str = "*"
    kind: FaultKind
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    skip: int = 0
    retry_after: int = 1
    delay: float = 1.0
    error: str = "fatal_error"


@dataclass(slots=True)
class _Armed:
    fault: Fault
    dice: random.Random
    left: int | None
    skip: int
    hits: int = field(default=0)

    def strikes(self) -> bool:
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left == 0 or self.dice.random() >= self.fault.probability:
            return False
        self.left = None if self.left is None else self.left - 1
        self.hits += 1
        return True


class Faults:
    """The failures that are armed now."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def arm(self, fault: Fault) -> None:
        """Let a failure happen from now on."""
        # A seeded generator, so that a run can be repeated; nothing secret comes of it.
        self._armed.append(_Armed(fault, random.Random(fault.seed), fault.count, fault.skip))  # noqa: S311 # see above

    def clear(self) -> None:
        """End every failure."""
        self._armed.clear()

    def strike(self, method: str, *, socket: bool = False) -> Fault | None:
        """Tell which failure, if any, hits this call, and count it."""
        for armed in self._armed:
            fits = armed.fault.method in {"*", method} and (armed.fault.kind in SOCKET_KINDS) is socket
            if fits and armed.strikes():
                return armed.fault
        return None

    def listing(self) -> list[tuple[Fault, int, int | None]]:
        """List (fault, times it struck, times left)."""
        return [(armed.fault, armed.hits, armed.left) for armed in self._armed]
