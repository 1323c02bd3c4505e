"""The column types that both databases store alike. No table is named here."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


class Unreadable:
    """Stands in a row for what its column cannot hold: no model takes it, so that row alone is set aside."""

    def __repr__(self) -> str:
        return "(unreadable)"


UNREADABLE = Unreadable()


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 in UTC. A naive moment raises: whose clock it was is not guessed here."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware moment in UTC."""
    return EPOCH + timedelta(microseconds=micros)


def storable(text: str) -> str:
    """Replace what PostgreSQL or UTF-8 cannot hold (NUL, lone surrogates) by U+FFFD."""
    return text if text.isascii() and "\0" not in text else text.translate(UNSTORABLE)


def canonical(value: Any) -> str:
    """Return canonical JSON: sorted keys, no spaces, ASCII only: one value, one spelling. NaN raises ValueError."""
    return CANONICAL.encode(value)


CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class Instant(TypeDecorator[datetime]):
    """A moment as microseconds since 1970: sorts, subtracts and indexes the same on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Store an aware datetime."""
        del dialect
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC, UNREADABLE if the value is no moment."""
        del dialect
        try:
            return None if value is None else from_micros(value)
        except (TypeError, OverflowError):
            return UNREADABLE  # type: ignore[return-value]


class Words(TypeDecorator[str]):
    """Typed text. NUL, which PostgreSQL refuses, is replaced on both databases: a search for it finds nothing."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Store what both databases can hold."""
        del dialect
        return None if value is None else storable(value)


class Json(TypeDecorator[Any]):
    """A JSON value as canonical text. SQL's NULL is None; JSON's null is not kept apart from it."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Store canonical JSON."""
        del dialect
        return None if value is None else canonical(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return the parsed value, UNREADABLE if it is no JSON."""
        del dialect
        try:
            return None if value is None else json.loads(value)
        except (TypeError, ValueError, RecursionError):
            return UNREADABLE


class BytewiseWords(Words):
    """Text that sorts by bytes, so that a prefix is a range."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Name PostgreSQL's collation of bytes; SQLite's own is it."""
        return dialect.type_descriptor(sa.Text(collation="C") if dialect.name == "postgresql" else sa.Text())
