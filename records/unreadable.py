"""Rows that cannot be read: named, counted and set aside, so that one damaged row stops nothing but itself."""

import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
import structlog
from pydantic import ValidationError

from records.columns import UNREADABLE

log = structlog.get_logger(__name__)

OPTION: Final = "countersign_unreadable"
"""The name under which a database's connections carry its list."""

KEPT = 1_000
REMEMBERED_S = 600.0
"""A row that was not read for this long was repaired or removed: the loops read every open row within minutes."""

KEY_LENGTH = 100


class BadRow(NamedTuple):
    """A damaged row: its place and what is wrong with it. `why` holds no value of the row."""

    table: str
    key: str
    why: str

    @property
    def sentence(self) -> str:
        """Say it to an operator."""
        return f"The row {self.key!r} of the table {self.table} cannot be read ({self.why})."


class BadRows:
    """Damaged rows that this process met lately, bounded. `countersign doctor` reads the tables themselves."""

    def __init__(self) -> None:
        self._met: OrderedDict[tuple[str, str], tuple[BadRow, float]] = OrderedDict()

    def add(self, row: BadRow) -> None:
        """Note a row; it is logged the first time."""
        key = (row.table, row.key)
        if key not in self._met:
            log.error("a row cannot be read and is set aside", table=row.table, key=row.key, why=row.why)
        self._met[key] = row, time.monotonic()
        self._met.move_to_end(key)
        while len(self._met) > KEPT:
            self._met.popitem(last=False)

    def by_table(self) -> dict[str, int]:
        """Count the rows of each table."""
        now = time.monotonic()
        for key in [key for key, (_, met) in self._met.items() if now - met > REMEMBERED_S]:
            del self._met[key]
        return dict(Counter(table for table, _ in self._met))


def bad_rows_of(connection: sa.Connection | None) -> BadRows:
    """Return the list of the connection's database."""
    found = connection.get_execution_options().get(OPTION) if connection is not None else None
    return found if isinstance(found, BadRows) else BadRows()


def bad_row(query: sa.Select[Any], row: Mapping[Any, Any], error: ValidationError | None = None) -> BadRow:
    """Return the name of a row that a query gave, and the first thing that is wrong with it."""
    table: Any = query.columns_clause_froms[0]
    names = [column.name for column in table.primary_key]
    key = " ".join(str(row.get(name, "?"))[:KEY_LENGTH] for name in names)
    key = key.encode("ascii", "backslashreplace").decode()
    broken = next((str(name) for name, value in row.items() if value is UNREADABLE), "")
    if broken or error is None:
        return BadRow(table.name, key, f"{broken or 'a column'} is not what this program writes")
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the row"
    return BadRow(table.name, key, f"{where[:KEY_LENGTH]}: {first['msg'][:200]}")
