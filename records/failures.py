"""Turns a driver's error into a message and one of our errors. Knows error codes, never a statement's values."""

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from records.errors import DatabaseUnavailableError, DatabaseUnusableError, RecordsError

TRY_AGAIN = "Nothing was written; try again when that is mended."

SQLITE = {
    sqlite3.SQLITE_BUSY: "is locked by another process that writes for too long",
    sqlite3.SQLITE_LOCKED: "is locked by another connection",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error (it may be full)",
    sqlite3.SQLITE_READONLY: "is read-only for this process: check the file's and its folder's owner and rights",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that the folder exists and may be written",
    sqlite3.SQLITE_PERM: "cannot be opened: this process has no right to it",
    sqlite3.SQLITE_INTERRUPT: "was asked to stop in the middle of a statement",
}
BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
POSTGRES = {
    "53100": "cannot grow: the disk is full",
    "53300": "has no connection left for us",
    "55P03": "is locked by another process that writes for too long",
    "57P01": "is being shut down",
    "57P02": "has crashed and restarts",
    "57P03": "is starting or shutting down",
    "25P02": "undid the transaction when one of its statements failed",
    "25P03": "ended a transaction that stood still for too long",
    "40P01": "ended one of two transactions that waited for each other",
    "40001": "asks for the transaction to be tried again",
    "28P01": "refuses the password",
    "28000": "refuses the user",
    "3D000": "does not exist on that server",
}

UNKNOWN_PARAMETER = "unsupported startup parameter"
POOL = (
    "is reached through PgBouncer, which takes no settings of a session: add `?pgbouncer=true` to "
    "COUNTERSIGN_DATABASE_URL (`&pgbouncer=true` after another parameter)."
)


def explained(error: BaseException, where: str) -> RecordsError | None:
    """Return our error for a driver's one, or None if it is the program's own fault or a broken constraint."""
    if isinstance(error, IntegrityError):
        return None
    if isinstance(error, PoolTimeoutError):
        return unavailable(where, "gave no connection in time: it does not answer, or too many read it at once")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause, where)
    state = getattr(cause, "sqlstate", None) or getattr(getattr(cause, "__cause__", None), "sqlstate", None)
    if state is not None:
        return _postgres(str(state), where, str(cause))
    # PendingRollbackError: another writer of the same commit was cancelled in a statement, which ends the connection.
    gone = isinstance(cause, OSError | PendingRollbackError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    if gone or (isinstance(error, DBAPIError) and "closed" in str(cause)):
        return unavailable(where, "cannot be reached")
    return None


def _sqlite(error: sqlite3.Error, where: str) -> RecordsError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        gone = "closed" in str(error) or "rolled back" in str(error)
        return unavailable(where, "ended the transaction by itself") if gone else None
    if code & 0xFF in BROKEN:
        what = f"is damaged or not a database ({error}). It was left as it is: restore a backup, or name another file."
        return DatabaseUnusableError(f"The database {where} {what}", f"The database {what}")
    said = SQLITE.get(code & 0xFF)
    return None if said is None else unavailable(where, said)


def _postgres(state: str, where: str, text: str) -> RecordsError | None:
    if UNKNOWN_PARAMETER in text:
        return DatabaseUnusableError(f"The database {where} {POOL}", f"The database {POOL}")
    if state in ("XX001", "XX002"):
        what = "reports damaged data. Restore a backup."
        return DatabaseUnusableError(f"The database {where} {what}", f"The database {what}")
    said = POSTGRES.get(state)
    if said is None and state[:2] in ("08", "53", "57", "58"):
        said = f"cannot be used now (SQLSTATE {state})"
    return None if said is None else unavailable(where, said)


def unavailable(where: str, what: str) -> DatabaseUnavailableError:
    """Return the error with its message."""
    return DatabaseUnavailableError(f"The database {where} {what}. {TRY_AGAIN}", f"The database {what}. {TRY_AGAIN}")


FOREIGN = (SQLAlchemyError, sqlite3.Error, OSError)
"""The errors of drivers and of SQLAlchemy."""


class Explained:
    """`with Explained(where):` turns a driver's error into one of ours; everything else goes through as it is."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Translate."""
        del kind, trace
        if isinstance(error, FOREIGN) and (ours := explained(error, self.where)) is not None:
            raise ours from error
