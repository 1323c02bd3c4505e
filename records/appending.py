"""The audit entries of a write transaction: kept until its end, then chained and written as its last statements.

So the lock that lets one writer in at a time is held for the end of a transaction alone, and writers that share a
commit chain their entries at once. They are chained to the end that this process saw last, and the statement appends
them only if that is the end still: a process that writes alone reads nothing.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from records import chain
from records.columns import canonical
from records.plain import Plain, Transaction
from records.prepared import Prepared
from records.tables import audit

ENTRIES = "audit entries"
APPENDED_AT_ONCE = 16
"""Entries in one statement."""

START = (0, chain.GENESIS)
PREV = "prev_of_all"


class Tip:
    """The chain's end as this process saw it last. The statement that appends checks it, so it may be stale."""

    def __init__(self) -> None:
        self.last: tuple[int, str] = START


def add(transaction: Transaction, entry: Mapping[str, Any]) -> None:
    """Keep an entry until the end of the transaction. Raises ValueError if its `data` is not JSON (NaN, a datetime)."""
    canonical(entry["data"])
    transaction.info.setdefault(ENTRIES, []).append(entry)


def kept(info: Mapping[Any, Any]) -> int:
    """Return how many entries the transaction has so far, by what is kept beside its connection."""
    return len(info.get(ENTRIES, ()))


def drop(info: dict[Any, Any], but: int = 0) -> None:
    """Forget the entries of work that is undone, all but the first ones."""
    del info.setdefault(ENTRIES, [])[but:]


@Plain
def write(transaction: Transaction, tip: Tip) -> None:
    """Write the entries at the end of the chain. Nothing but the commit may follow."""
    entries = transaction.info.pop(ENTRIES, None)
    if not entries:
        return
    last = tip.last  # others of this process may move it while this one waits for the lock
    rows = _chained(entries, last)
    there = _append(transaction, rows[:APPENDED_AT_ONCE], last)
    if there == last:
        rest = rows[APPENDED_AT_ONCE:]
    else:
        rest = rows = _chained(entries, there)
    for start in range(0, len(rest), APPENDED_AT_ONCE):
        some = rest[start : start + APPENDED_AT_ONCE]
        _insert(len(some)).run(transaction, _values(some))
    tip.last = rows[-1]["seq"], rows[-1]["hash"]


def _chained(entries: Sequence[Mapping[str, Any]], last: tuple[int, str]) -> list[dict[str, Any]]:
    seq, prev = last
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, seq + 1):
        own = {**entry, "seq": number, "prev": prev}
        _, prev = chain.line(own | {"at": chain.spelled(entry["at"])})
        rows.append(own | {"hash": prev})
    return rows


def _append(transaction: Transaction, rows: Sequence[Mapping[str, Any]], last: tuple[int, str]) -> Any:
    """Append the rows if the chain ends at `last`; return where it ended before."""
    values = _values(rows) | {PREV: last[1]}
    if transaction.dialect == "postgresql":
        [[seq, digest]] = _taking_the_lock(len(rows)).run(transaction, values).rows
        return seq, digest
    if _if_last(len(rows)).run(transaction, values).changed:
        return last
    found = END.run(transaction, {}).rows
    return tuple(found[0]) if found else START


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{name}_{place}": value for place, row in enumerate(rows) for name, value in row.items()}


def _binds(place: int) -> dict[str, sa.BindParameter[Any]]:
    return {column.name: sa.bindparam(f"{column.name}_{place}", type_=column.type) for column in audit.c}


@functools.cache
def _insert(count: int) -> Prepared:
    return Prepared(sa.insert(audit).values([_binds(place) for place in range(count)]))


def _selected(count: int, source: sa.FromClause | None, end: sa.ColumnElement[str]) -> sa.Insert:
    """Insert the rows if the chain's end has the hash that they were chained to."""
    known = end == sa.bindparam(PREV, type_=audit.c.hash.type)
    rows = [sa.select(*_binds(place).values()).where(known) for place in range(count)]
    if source is not None:
        rows = [row.select_from(source) for row in rows]
    return sa.insert(audit).from_select(
        [column.name for column in audit.c], sa.union_all(*rows) if count > 1 else rows[0]
    )


END = Prepared(sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1))


@functools.cache
def _if_last(count: int) -> Prepared:
    last = sa.select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1).scalar_subquery()
    return Prepared(_selected(count, None, sa.func.coalesce(last, chain.GENESIS)))


@functools.cache
def _taking_the_lock(count: int) -> Prepared:
    """Take the lock, look, and append: one call. The look sees what the writer before has committed."""
    seq, digest = sa.column("seq", sa.BigInteger), sa.column("hash", sa.Text)
    ending = (
        sa.select(sa.func.coalesce(seq, 0).label("seq"), sa.func.coalesce(digest, chain.GENESIS).label("hash"))
        .select_from(sa.func.audit_end().alias("ending"))
        .cte("found")
    )
    added = _selected(count, ending, ending.c.hash).returning(audit.c.seq).cte("added")
    return Prepared(sa.select(ending.c.seq, ending.c.hash).add_cte(added))
