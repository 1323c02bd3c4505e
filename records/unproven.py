"""Find audit entries whose required earlier entry is missing. Pure, and a reader of the database.

The chain proves that nobody changed an entry. This looks at what the entries say: a decision that counted and was never
taken in at a door, an effect without an approval, a request that asked without a start. None of them can come about
in a program that works (law: effects prove themselves); a stranger's hand or a restored database leaves them.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from approvals.audit_actions import ASKED, EFFECTS, STARTED_AT_A_DOOR, AuditAction
from approvals.values import Value
from records.database import Database
from records.tables import audit

UNPROVEN_PER_READ = 500


class Lack(StrEnum):
    """The missing entry. The values are words of `countersign audit verify -o json`."""

    NOT_SUBMITTED = "not_submitted"
    NOT_APPROVED = "not_approved"
    NOT_SIGNED = "not_signed"
    NOT_STARTED = "not_started"


SENTENCES: Mapping[Lack, str] = {
    Lack.NOT_SUBMITTED: "a decision counted that none of our doors took in",
    Lack.NOT_APPROVED: "an effect was carried out and no approval of it is on record",
    Lack.NOT_SIGNED: "an effect was carried out for a request that none of our doors has signed",
    Lack.NOT_STARTED: "a request asked people and no start of it is on record",
}


class Unproven(Value):
    """An entry that lacks what must come before it."""

    seq: int
    instance_id: str
    action: str
    lack: Lack

    @property
    def sentence(self) -> str:
        """Say what is wrong, beginning with the entry."""
        return f"Entry {self.seq} ({self.action} of {self.instance_id}): {SENTENCES[self.lack]}."


WATCHED = frozenset(
    {
        AuditAction.DECISION_SUBMITTED,
        AuditAction.WITHDRAWAL_SUBMITTED,
        AuditAction.REQUEST_ACCEPTED,
        AuditAction.REQUEST_WITHDRAWN,
        AuditAction.REQUEST_APPROVED,
        AuditAction.START_UNSIGNED,
    }
    | STARTED_AT_A_DOOR
    | ASKED
    | EFFECTS
)


SUBMITTED = frozenset({AuditAction.DECISION_SUBMITTED, AuditAction.WITHDRAWAL_SUBMITTED})
COUNTED = frozenset({AuditAction.REQUEST_ACCEPTED, AuditAction.REQUEST_WITHDRAWN})


class Reader:
    """Takes the audit's entries in their order. Keeps of each instance what may still be needed: some hundred bytes."""

    def __init__(self) -> None:
        self._submitted: dict[str, set[str]] = {}
        self._approved: set[tuple[str, str]] = set()
        self._signed: set[str] = set()
        self._unsigned: set[str] = set()

    def take(self, seq: int, action: str, instance_id: str, digest: str, data: Any) -> Iterator[Unproven]:
        """Give what this entry lacks. Data that cannot be read names no decision."""
        data = data if isinstance(data, Mapping) else {}
        if action in SUBMITTED:
            self._submitted.setdefault(instance_id, set()).add(str(data.get("decision_id")))
        elif action in STARTED_AT_A_DOOR:
            self._signed.add(instance_id)
        elif action == AuditAction.START_UNSIGNED:
            self._unsigned.add(instance_id)
        lacks = self._lacks(action, instance_id, digest, data)
        if action == AuditAction.REQUEST_APPROVED:
            self._approved.add((instance_id, digest))
        yield from (Unproven(seq=seq, instance_id=instance_id, action=action, lack=each) for each in lacks)

    def _lacks(self, action: str, instance_id: str, digest: str, data: Mapping[str, Any]) -> Iterable[Lack]:
        submitted = self._submitted.get(instance_id, set())
        if action in COUNTED and str(data.get("decision_id")) not in submitted:
            yield Lack.NOT_SUBMITTED
        if action in EFFECTS and (instance_id, digest) not in self._approved:
            yield Lack.NOT_APPROVED
        if action in EFFECTS and instance_id not in self._signed:
            yield Lack.NOT_SIGNED
        if action in ASKED and instance_id not in self._signed | self._unsigned:
            yield Lack.NOT_STARTED


async def find(database: Database, batch: int = UNPROVEN_PER_READ) -> AsyncIterator[Unproven]:
    """Give every entry of the stored audit that lacks what must come before it, oldest first."""
    reader, after = Reader(), 0
    columns = (audit.c.seq, audit.c.action, audit.c.instance_id, audit.c.request_digest, audit.c.data)
    wanted = audit.c.action.in_([each.value for each in sorted(WATCHED)])
    while True:
        query = sa.select(*columns).where(wanted, audit.c.seq > after).order_by(audit.c.seq).limit(batch)
        async with database.read() as connection:
            found = (await connection.execute(query)).all()
        for row in found:
            for each in reader.take(*row):
                yield each
        if len(found) < batch:
            return
        after = found[-1].seq


def of_lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[Unproven]:
    """Give the same of exported entries, which begin with the first one."""
    reader = Reader()
    for each in entries:
        yield from reader.take(
            int(each["seq"]), str(each["action"]), str(each["instance_id"]), str(each["request_digest"]), each["data"]
        )
