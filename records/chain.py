"""The audit chain as text: how an entry is spelled and hashed, and whether a file of entries is whole. No database.

An entry's line is canonical JSON (sorted keys, no spaces, ASCII) of its fields with `prev`, the hash of the entry
before, and at the very end its own `hash`: SHA-256 of the line without that last field. The first entry's `prev` is
GENESIS.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from approvals.values import Moment, Value
from records.columns import canonical

GENESIS = "0" * 64
TAIL = len(',"hash":""}') + 64
FIELDS = frozenset(
    {
        "seq", "at", "actor", "action", "instance_id", "request_digest", "through", "verdict", "reason",
        "policy_version", "correlation_id", "data", "prev",
    }
)  # fmt: skip

SPANS = ("before_prev", "before_seq", "after_seq")


class Checkpoint(Value):
    """The end of the chain at a moment, signed (Ed25519, hex) by the key that `key_id` names."""

    seq: int
    hash: str
    at: Moment
    key_id: str
    signature: str = ""


class Verification(Value):
    """The result of a check. `first_bad` is the seq of the first wrong or missing entry, `problem` a message."""

    ok: bool
    entries: int
    seq: int
    hash: str
    first_bad: int | None = None
    problem: str = ""
    checkpoints: int = 0


def line(body: dict[str, Any]) -> tuple[str, str]:
    """Return an entry's line and its hash."""
    text = canonical(body)
    digest = sha256(text.encode("ascii")).hexdigest()
    return with_hash(text, digest), digest


def spans(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return an entry's line, without its hash, in three parts: `prev` and `seq` stand between them."""
    body = {**entry, "at": spelled(entry["at"])}
    parts = (
        canonical({name: value for name, value in body.items() if name < "prev"})[:-1] + ',"prev":"',
        '",' + canonical({name: value for name, value in body.items() if "prev" < name < "seq"})[1:-1] + ',"seq":',
        "," + canonical({name: value for name, value in body.items() if name > "seq"})[1:],
    )
    return dict(zip(SPANS, parts, strict=True))


def spelled(moment: datetime) -> str:
    """Return a moment as it stands in a line."""
    return moment.isoformat(timespec="microseconds")


def with_hash(body: str, digest: str) -> str:
    """Return the line of an entry's body and hash."""
    return f'{body[:-1]},"hash":"{digest}"}}'


class Verifier:
    """Takes line after line and remembers the first thing that is wrong. `after` lets a chain begin later than at 1."""

    def __init__(self, checkpoints: Iterable[Checkpoint] = (), after: Checkpoint | None = None) -> None:
        self.signed: dict[int, list[Checkpoint]] = {}
        for checkpoint in checkpoints:
            self.signed.setdefault(checkpoint.seq, []).append(checkpoint)
        self.seq = after.seq if after else 0
        self.hash = after.hash if after else GENESIS
        self.entries = 0
        self.agreed = 0
        self.bad: tuple[int, str] | None = None

    def feed(self, text: str) -> bool:
        """Check one line. False from the first bad one on."""
        if self.bad is None:
            self.bad = self._malformed(text)
        return self.bad is None

    def _malformed(self, text: str) -> tuple[int, str] | None:
        body = text[:-TAIL] + "}"
        entry = _parsed(body)
        if entry is None or text[-TAIL:-67] != ',"hash":' or text[-2:] != '"}' or entry.keys() != FIELDS:
            expected = self.seq + 1
            return expected, f"Entry {expected} is not an entry of this chain: it was changed or damaged."
        return self._wrong(entry["seq"], entry["prev"], body, text[-66:-2])

    def take(self, seq: int, prev: str, body: str, digest: str) -> bool:
        """Check one entry that is already taken apart, `body` being its line without the hash."""
        if self.bad is None:
            self.bad = self._wrong(seq, prev, body, digest)
        return self.bad is None

    def _wrong(self, seq: int, prev: str, body: str, digest: str) -> tuple[int, str] | None:
        # The hash covers the very characters, so a second spelling of the same JSON is a change like any other.
        expected = self.seq + 1
        if seq != expected:
            return self._misplaced(seq, expected)
        if sha256(body.encode("utf-8", "surrogatepass")).hexdigest() != digest:
            return expected, f"Entry {expected} was changed: its hash does not fit its content."
        if prev != self.hash:
            return self._unlinked(expected)
        self.seq, self.hash, self.entries = expected, digest, self.entries + 1
        return self._unsigned(expected) if expected in self.signed else None

    def _misplaced(self, seq: Any, expected: int) -> tuple[int, str]:
        if seq in range(1, expected):
            return seq, f"Entry {seq} stands twice: an entry was put in after entry {self.seq}."
        return expected, f"Entry {expected} is missing: entry {seq} stands in its place."

    def _unlinked(self, expected: int) -> tuple[int, str]:
        if self.entries == 0:
            return (
                expected,
                f"Entry {expected} does not follow what came before it: the chain's beginning was replaced.",
            )
        # The entry is whole in itself, so the one before is not the one that it was written after.
        return self.seq, f"Entry {self.seq} was replaced: entry {expected} was written after another one."

    def _unsigned(self, seq: int) -> tuple[int, str] | None:
        if any(checkpoint.hash != self.hash for checkpoint in self.signed[seq]):
            return seq, (
                f"Entry {seq} is not the one that was signed in a checkpoint: the chain was rewritten at or before it"
                f"{f', after entry {self.agreed}, which still fits' if self.agreed else ''}."
            )
        self.agreed = seq
        return None

    def finish(self) -> Verification:
        """Return the result; entries that a checkpoint promises and that never came are missing."""
        last = max(self.signed, default=0)
        if self.bad is None and last > self.seq:
            missing = self.seq + 1
            self.bad = (
                missing,
                f"Entry {missing} is missing: the chain was cut; entry {last} was signed.",
            )
        confirmed = sum(seq <= self.agreed for seq in self.signed)
        first_bad, problem = self.bad or (None, "")
        return Verification(
            ok=self.bad is None,
            entries=self.entries,
            seq=self.seq,
            hash=self.hash,
            first_bad=first_bad,
            problem=problem,
            checkpoints=confirmed,
        )


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def verify(
    lines: Iterable[str], checkpoints: Iterable[Checkpoint] = (), after: Checkpoint | None = None
) -> Verification:
    """Check an exported chain line by line, in constant memory. Checkpoints' signatures are their reader's to check."""
    verifier = Verifier(checkpoints, after)
    for text in lines:
        if not verifier.feed(text.rstrip("\r\n")):
            break
    return verifier.finish()
