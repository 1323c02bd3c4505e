"""The audit as a file: JSON lines (which `chain.verify` can check anywhere) or CSV for a spreadsheet. Reads only."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal

from records import audit
from records.audit import Stored
from records.database import Database

COLUMNS = (
    "seq", "at", "actor", "action", "instance_id", "request_digest", "through", "verdict", "reason",
    "policy_version", "correlation_id", "data", "prev", "hash",
)  # fmt: skip
WIDE = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # some spreadsheets read these as = + - @
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *WIDE)


async def export(
    database: Database, form: Literal["jsonl", "csv"] = "jsonl", since: datetime | None = None
) -> AsyncIterator[str]:
    """Yield the file line by line, with newlines. Entries that are appended meanwhile are included.

    JSON lines from `since` on are verified with a checkpoint of the entry before the first one.
    """
    if form == "csv":
        yield csv_line(COLUMNS)
    async for batch in audit.entries(database, since=since):
        for entry in batch:
            yield entry.line + "\n" if form == "jsonl" else csv_line(tuple(_cell(entry, name) for name in COLUMNS))


def _cell(entry: Stored, column: str) -> str:
    return harmless(str(getattr(entry, column)))


def harmless(text: str) -> str:
    """Return text that is one line and no formula: control characters escaped, a formula's first sign after a quote.

    The rule is OWASP's for CSV injection: = + - @, tab and carriage return at the start of a cell.
    """
    escaped = "".join(character if character.isprintable() else _escaped(character) for character in text)
    return f"'{escaped}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else escaped


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def csv_line(cells: Sequence[str]) -> str:
    """Return a line of a CSV file with its newline (RFC 4180). Cells that people typed go through `harmless` first."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerow(cells)
    return target.getvalue()
