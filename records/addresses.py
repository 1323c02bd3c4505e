"""Database URLs: the forms people write, turned into what SQLAlchemy wants, and shown without secrets."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from records.errors import DatabaseUnusableError

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}

PGBOUNCER = "pgbouncer"
"""The URL's parameter that says that a PgBouncer with `pool_mode = transaction` listens there."""


def parse(url: str) -> URL:
    """Return the URL with its async driver. Raises DatabaseUnusableError with what to write instead."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusableError(
            "The database URL cannot be read: write sqlite:///path/to/file.db or postgresql://user:password@host/name."
        ) from None
    driver = DRIVERS.get(parsed.drivername)
    if driver is None:
        raise DatabaseUnusableError(
            f"The database URL names {parsed.drivername!r}: only sqlite:/// and postgresql:// are supported."
        )
    if driver.startswith("sqlite") and parsed.database in (None, "", ":memory:"):
        raise DatabaseUnusableError(
            "The SQLite URL names no file: write sqlite:///path/to/file.db (what is acknowledged must be durable)."
        )
    return _with_ssl(parsed.set(drivername=driver))


def _with_ssl(url: URL) -> URL:
    """Rename libpq's `sslmode` to asyncpg's `ssl`; the values are the same."""
    mode = url.query.get("sslmode")
    return url if mode is None else url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def pooled(url: URL) -> tuple[URL, bool]:
    """Return the URL without `pgbouncer=true`, and whether it had it."""
    said = str(url.query.get(PGBOUNCER, "")).lower()
    return url.difference_update_query([PGBOUNCER]), said in {"true", "1", "yes"}


def shown(url: URL) -> str:
    """Return what may stand in a message: a file's path, or host, port and name. No user, password or query."""
    if url.drivername.startswith("sqlite"):
        return str(Path(str(url.database)))
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL {url.host or 'on its local socket'}{port}/{url.database or ''}"


def missing_file(url: str) -> Path | None:
    """Return the absolute path of a SQLite file that is not there, else None. Raises as `parse` does."""
    parsed = parse(url)
    if not parsed.drivername.startswith("sqlite"):
        return None
    path = Path(str(parsed.database)).absolute()
    return None if path.exists() else path
