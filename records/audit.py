"""The audit: who did what, when, why, as an append-only chain. Only `append` writes; nothing changes or deletes."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records import chain
from records.chain import GENESIS, Checkpoint, Verification
from records.columns import canonical, storable
from records.database import Database
from records.sql import one, rows
from records.tables import audit

BATCH = 2_000
Text = Annotated[str, AfterValidator(storable)]


class Entry(Value):
    """Something that happened. `actor` is a person's key (T…/U…), `key:<id>`, `system`; `data` any JSON object.

    Of a decision `verdict` is the Reason's value (`allowed`, `own_request`, …) and `reason` the person's own words.
    """

    at: Moment
    actor: Text
    action: Text
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


class Filter(Value):
    """Which entries to show; all that are set must fit. `until` is exclusive."""

    instance_id: str | None = None
    actor: str | None = None
    action: str | None = None
    correlation_id: str | None = None
    since: Moment | None = None
    until: Moment | None = None


async def append(connection: AsyncConnection, entry: Entry) -> Chained:
    """Add an entry at the end of the chain. Must be called inside `Database.write`, which lets one writer in at a time.

    Raises ValueError when `data` is not JSON (NaN, a datetime): then nothing was written.
    """
    last = (await connection.execute(HEAD)).first()
    seq, prev = (1, GENESIS) if last is None else (last.seq + 1, last.hash)
    fields = {name: getattr(entry, name) for name in Entry.model_fields} | {"seq": seq, "prev": prev}
    _, digest = chain.line(fields | {"at": _spelled(entry.at)})
    await connection.execute(INSERT, fields | {"hash": digest})
    return Chained.model_construct(**fields, hash=digest)


HEAD = sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
INSERT = sa.insert(audit)


def _spelled(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def head(connection: AsyncConnection) -> Chained | None:
    """Return the newest entry."""
    return await one(connection, sa.select(audit).order_by(audit.c.seq.desc()).limit(1), Chained)


async def show(connection: AsyncConnection, reference: str | int) -> Chained | None:
    """Return one entry by its seq or its hash."""
    text = str(reference)
    if text.isdecimal() and len(text) < 19:  # noqa: PLR2004 more digits do not fit the column
        return await one(connection, sa.select(audit).where(audit.c.seq == int(text)), Chained)
    return await one(connection, sa.select(audit).where(audit.c.hash == text), Chained)


async def page(
    connection: AsyncConnection, wanted: Filter | None = None, *, before: int | None = None, limit: int = 50
) -> tuple[Chained, ...]:
    """Return entries, newest first; `before` is the seq of the last one seen."""
    query = sa.select(audit).where(*_conditions(wanted or Filter()))
    if before is not None:
        query = query.where(audit.c.seq < before)
    return await rows(connection, query.order_by(audit.c.seq.desc()).limit(limit), Chained)


async def of_instance(
    connection: AsyncConnection, instance_id: str, *, after: int = 0, limit: int = 200
) -> tuple[Chained, ...]:
    """Return an instance's entries, oldest first; `after` is the seq of the last one seen."""
    query = sa.select(audit).where(audit.c.instance_id == instance_id, audit.c.seq > after)
    return await rows(connection, query.order_by(audit.c.seq).limit(limit), Chained)


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    fields = ("instance_id", "actor", "action", "correlation_id")
    equal = [audit.c[field] == getattr(wanted, field) for field in fields if getattr(wanted, field) is not None]
    since = [] if wanted.since is None else [audit.c.at >= wanted.since]
    until = [] if wanted.until is None else [audit.c.at < wanted.until]
    return [*equal, *since, *until]


async def entries(
    database: Database, *, after: int = 0, since: datetime | None = None
) -> AsyncIterator[Mapping[str, Any]]:
    """Give all entries as plain rows, oldest first, in batches with a short transaction each.

    `since` starts at the first entry of that time or later and goes on without gaps from there.
    """
    if since is not None:
        async with database.read() as connection:
            first = await connection.scalar(sa.select(sa.func.min(audit.c.seq)).where(audit.c.at >= since))
        if first is None:
            return
        after = max(after, first - 1)
    while True:
        async with database.read() as connection:
            batch = (
                await connection.execute(sa.select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(BATCH))
            ).mappings()
            found = batch.all()
        for row in found:
            yield dict(row)
        if len(found) < BATCH:
            return
        after = found[-1]["seq"]


def line(row: Mapping[str, Any]) -> str:
    """Return a stored entry as its line of the chain. It bears the stored hash, right or wrong."""
    body = {name: row[name] for name in chain.FIELDS} | {"at": _spelled(row["at"])}
    return f'{canonical(body)[:-1]},"hash":"{row["hash"]}"}}'


async def verify(
    database: Database, checkpoints: Iterable[Checkpoint] = (), after: Checkpoint | None = None
) -> Verification:
    """Check the stored chain against itself and against signed checkpoints. `chain.verify` does it for files."""
    verifier = chain.Verifier(checkpoints, after)
    async for row in entries(database, after=after.seq if after else 0):
        if not verifier.feed(line(row)):
            break
    return verifier.finish()
