"""The audit entries of a write transaction: kept until its end, and chained as the last that happens in it.

On SQLite writers that share a commit chain their entries at once, to the end that this process saw last; the statement
appends them only if that is the end still, so a process that writes alone reads nothing. On PostgreSQL they wait in a
table whose deferred trigger chains them inside the COMMIT: the lock that lets one appender in at a time is held for a
few statements of the server's and the flush, however busy this process is.
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

waiting = sa.Table(
    "audit_waiting",
    sa.MetaData(),
    *(sa.Column(each.name, each.type) for each in audit.c if each.name not in {"seq", "prev", "hash"}),
    *(sa.Column(name, sa.Text) for name in chain.SPANS),
)
"""PostgreSQL's entries on their way into the audit. No other transaction ever sees one."""


class Tip:
    """SQLite's end of the chain as this process saw it last. The appending statement checks it, so it may be stale."""

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
    if transaction.dialect == "postgresql":
        for start in range(0, len(entries), APPENDED_AT_ONCE):
            some = [dict(each) | chain.spans(each) for each in entries[start : start + APPENDED_AT_ONCE]]
            _insert(waiting, len(some)).run(transaction, _values(some))
        return
    last = tip.last
    rows = _chained(entries, last)
    there = _append(transaction, rows[:APPENDED_AT_ONCE], last)
    if there == last:
        rest = rows[APPENDED_AT_ONCE:]
    else:
        rest = rows = _chained(entries, there)
    for start in range(0, len(rest), APPENDED_AT_ONCE):
        some = rest[start : start + APPENDED_AT_ONCE]
        _insert(audit, len(some)).run(transaction, _values(some))
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
    if _if_last(len(rows)).run(transaction, _values(rows) | {PREV: last[1]}).changed:
        return last
    found = END.run(transaction, {}).rows
    return tuple(found[0]) if found else START


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{name}_{place}": value for place, row in enumerate(rows) for name, value in row.items()}


def _binds(table: sa.Table, place: int) -> dict[str, sa.BindParameter[Any]]:
    return {column.name: sa.bindparam(f"{column.name}_{place}", type_=column.type) for column in table.c}


@functools.cache
def _insert(table: sa.Table, count: int) -> Prepared:
    return Prepared(sa.insert(table).values([_binds(table, place) for place in range(count)]))


END = Prepared(sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1))


@functools.cache
def _if_last(count: int) -> Prepared:
    """Insert the rows if the chain's end has the hash that they were chained to."""
    last = sa.select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1).scalar_subquery()
    known = sa.func.coalesce(last, chain.GENESIS) == sa.bindparam(PREV, type_=audit.c.hash.type)
    rows = [sa.select(*_binds(audit, place).values()).where(known) for place in range(count)]
    return Prepared(
        sa.insert(audit).from_select([column.name for column in audit.c], sa.union_all(*rows) if count > 1 else rows[0])
    )
