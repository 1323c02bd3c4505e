"""The audit entries of a write transaction: kept until its end, then chained and written as its last statements.

So the lock that lets one writer in at a time is held for the end of a transaction alone, and writers that share a
commit chain their entries at once.
"""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records import chain
from records.columns import canonical
from records.prepared import Prepared
from records.tables import audit

ENTRIES = "audit entries"
AT_ONCE = 16
"""Entries in one statement."""

END = {
    "sqlite": Prepared(sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)),
    # Takes the lock and then looks: one call, and the look sees what the writer before has committed.
    "postgresql": Prepared(
        sa.select(sa.column("seq"), sa.column("hash"))
        .select_from(sa.func.audit_end().alias("ending"))
        .where(sa.column("seq").is_not(None))
    ),
}


def add(connection: AsyncConnection, entry: Mapping[str, Any]) -> None:
    """Keep an entry until the end of the transaction. Raises ValueError if its `data` is not JSON (NaN, a datetime)."""
    canonical(entry["data"])
    connection.info.setdefault(ENTRIES, []).append(entry)


def kept(connection: AsyncConnection) -> int:
    """Return how many entries the transaction has so far."""
    return len(connection.info.get(ENTRIES, ()))


def drop(connection: AsyncConnection, but: int = 0) -> None:
    """Forget the entries of a writer that is undone, all but the first ones."""
    if connection.invalidated:
        return  # they went with it
    del connection.info.setdefault(ENTRIES, [])[but:]


async def write(connection: AsyncConnection) -> None:
    """Write the entries at the end of the chain. Nothing but the commit may follow."""
    entries = connection.info.pop(ENTRIES, None)
    if not entries:
        return
    last = (await END[connection.dialect.name].run(connection, {})).rows
    seq, prev = last[0] if last else (0, chain.GENESIS)
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, seq + 1):
        own = {**entry, "seq": number, "prev": prev}
        _, prev = chain.line(own | {"at": chain.spelled(entry["at"])})
        rows.append(own | {"hash": prev})
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        values = {f"{name}_{place}": value for place, row in enumerate(some) for name, value in row.items()}
        await _insert(len(some)).run(connection, values)


@functools.cache
def _insert(count: int) -> Prepared:
    rows = [
        {column.name: sa.bindparam(f"{column.name}_{place}", type_=column.type) for column in audit.c}
        for place in range(count)
    ]
    return Prepared(sa.insert(audit).values(rows))
