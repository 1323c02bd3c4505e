"""The audit: who did what, when, why, as an append-only chain. Only `append` writes; nothing changes or deletes."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Annotated, Any, NamedTuple

import sqlalchemy as sa
from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.audit_actions import AuditAction
from approvals.values import Moment, Value
from records import appending, chain
from records.chain import Checkpoint, Verification
from records.columns import from_micros, storable
from records.database import Database
from records.plain import Plain, Transaction
from records.sql import fetch_all, fetch_one
from records.tables import audit

ENTRIES_PER_READ = 2_000
Text = Annotated[str, AfterValidator(storable)]
Named = Annotated[AuditAction, PlainValidator(storable), PlainSerializer(str, return_type=str)]
"""An entry of a later release may have an unknown action: then it is the name alone."""


class Entry(Value):
    """Something that happened. `actor` is a person's key (T…/U…), `key:<id>`, `system`; `data` any JSON object.

    `action` is written as one of AuditAction; one that was read may be of a later release, and is its name alone.
    Of a decision `verdict` is the Reason's value (`allowed`, `own_request`, …) and `reason` the person's own words.
    """

    at: Moment
    actor: Text
    action: Named
    instance_id: Text = ""
    request_digest: Text = ""
    through: Text = ""
    verdict: Text = ""
    reason: Text = ""
    policy_version: Text = ""
    correlation_id: Text = ""
    data: dict[str, Any] = Field(default_factory=dict)


class Chained(Entry):
    """An entry in its place in the chain."""

    seq: int
    prev: str
    hash: str


class EntryFilter(Value):
    """A filter of entries; all that are set must match. `actors` are any of these; `until` is exclusive."""

    instance_id: str | None = None
    actor: str | None = None
    actors: tuple[str, ...] | None = None
    action: str | None = None
    correlation_id: str | None = None
    since: Moment | None = None
    until: Moment | None = None


@Plain
def append(transaction: Transaction, entry: Entry) -> None:
    """Add an entry at the end of the chain, as the last statements of `Database.write`: it is not to be seen before.

    Raises ValueError when `data` is not JSON (NaN, a datetime).
    """
    appending.add(transaction, {name: getattr(entry, name) for name in Entry.model_fields})


async def head(connection: AsyncConnection) -> Chained | None:
    """Return the newest entry."""
    return await fetch_one(connection, sa.select(audit).order_by(audit.c.seq.desc()).limit(1), Chained)


async def show(connection: AsyncConnection, reference: str | int) -> Chained | None:
    """Return one entry by its seq or its hash."""
    text = str(reference)
    if text.isdecimal() and len(text) < 19:  # noqa: PLR2004 more digits do not fit the column
        return await fetch_one(connection, sa.select(audit).where(audit.c.seq == int(text)), Chained)
    return await fetch_one(connection, sa.select(audit).where(audit.c.hash == text), Chained)


async def page(
    connection: AsyncConnection, wanted: EntryFilter | None = None, *, before: int | None = None, limit: int = 50
) -> tuple[Chained, ...]:
    """Return entries, newest first; `before` is the seq of the last one seen."""
    query = sa.select(audit).where(*_conditions(wanted or EntryFilter()))
    if before is not None:
        query = query.where(audit.c.seq < before)
    return await fetch_all(connection, query.order_by(audit.c.seq.desc()).limit(limit), Chained)


async def of_instance(
    connection: AsyncConnection, instance_id: str, *, after: int = 0, limit: int = 200
) -> tuple[Chained, ...]:
    """Return an instance's entries, oldest first; `after` is the seq of the last one seen."""
    query = sa.select(audit).where(audit.c.instance_id == instance_id, audit.c.seq > after)
    return await fetch_all(connection, query.order_by(audit.c.seq).limit(limit), Chained)


def _conditions(wanted: EntryFilter) -> list[sa.ColumnElement[bool]]:
    fields = ("instance_id", "actor", "action", "correlation_id")
    equal = [audit.c[field] == getattr(wanted, field) for field in fields if getattr(wanted, field) is not None]
    since = [] if wanted.since is None else [audit.c.at >= wanted.since]
    until = [] if wanted.until is None else [audit.c.at < wanted.until]
    among = [] if wanted.actors is None else [audit.c.actor.in_(wanted.actors)]
    return [*equal, *since, *until, *among]


async def actors(connection: AsyncConnection, limit: int = 2_000) -> tuple[str, ...]:
    """Return who has done anything, for a search by name."""
    found = await connection.execute(sa.select(audit.c.actor).distinct().order_by(audit.c.actor).limit(limit))
    return tuple(str(actor) for actor in found.scalars())


class Stored(NamedTuple):
    """An entry as it is stored, unparsed, so that a check sees the very characters and is fast."""

    seq: int
    micros: int
    actor: str
    action: str
    instance_id: str
    request_digest: str
    through: str
    verdict: str
    reason: str
    policy_version: str
    correlation_id: str
    data: str
    prev: str
    hash: str

    @property
    def at(self) -> str:
        """The moment as it stands in the line."""
        return chain.spelled(from_micros(self.micros))

    @property
    def body(self) -> str:
        """The line without its hash: the same text as canonical JSON of the entry, put together by hand for speed."""
        return (
            f'{{"action":{quoted(self.action)},"actor":{quoted(self.actor)},"at":"{self.at}",'
            f'"correlation_id":{quoted(self.correlation_id)},"data":{self.data},'
            f'"instance_id":{quoted(self.instance_id)},"policy_version":{quoted(self.policy_version)},'
            f'"prev":{quoted(self.prev)},"reason":{quoted(self.reason)},'
            f'"request_digest":{quoted(self.request_digest)},"seq":{self.seq},'
            f'"through":{quoted(self.through)},"verdict":{quoted(self.verdict)}}}'
        )

    @property
    def line(self) -> str:
        """The entry's line. It bears the stored hash, right or wrong."""
        return chain.with_hash(self.body, self.hash)


RAW = tuple(
    sa.type_coerce(column, sa.BigInteger if column.name == "at" else sa.Text)
    if column.name in {"at", "data"}
    else column
    for column in audit.c
)


async def entries(
    database: Database, *, after: int = 0, since: datetime | None = None
) -> AsyncIterator[Sequence[Stored]]:
    """Give all entries in batches, oldest first, with a short transaction each.

    `since` starts at the first entry of that time or later and goes on without gaps from there.
    """
    if since is not None:
        async with database.read() as connection:
            first = await connection.scalar(sa.select(sa.func.min(audit.c.seq)).where(audit.c.at >= since))
        if first is None:
            return
        after = max(after, first - 1)
    while True:
        query = sa.select(*RAW).where(audit.c.seq > after).order_by(audit.c.seq).limit(ENTRIES_PER_READ)
        async with database.read() as connection:
            batch = [Stored._make(row) for row in await connection.execute(query)]
        if batch:
            yield batch
        if len(batch) < ENTRIES_PER_READ:
            return
        after = batch[-1].seq


async def verify(
    database: Database, checkpoints: Iterable[Checkpoint] = (), after: Checkpoint | None = None
) -> Verification:
    """Check the stored chain against itself and against checkpoints, in constant memory. Files: `chain.verify`."""
    verifier = chain.Verifier(checkpoints, after)
    async for batch in entries(database, after=after.seq if after else 0):
        if not all(verifier.take(one.seq, one.prev, one.body, one.hash) for one in batch):
            break
        await asyncio.sleep(0)  # a long check must not keep the loop from its other work
    return verifier.finish()
