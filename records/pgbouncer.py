"""PostgreSQL through PgBouncer with `pool_mode = transaction`: each transaction may be at another connection.

So nothing may outlive a transaction: no setting of a session, no prepared statement with a name, no LISTEN, no lock of
a session.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.errors import DatabaseUnavailableError


def unnamed() -> str:
    """Return the name of the one prepared statement that the next one replaces: others would pile up at the server."""
    return ""


CONNECT: Final[dict[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": unnamed,
}
"""Connection options of asyncpg that PgBouncer needs."""

LIMITS = sa.text(
    "SELECT set_config('lock_timeout', :lock_ms, true), set_config('idle_in_transaction_session_timeout', :idle, true)"
)


async def begin(lock_ms: int, idle_ms: int, connection: AsyncConnection) -> None:
    """Begin a transaction, with the limits that a session has elsewhere."""
    await connection.begin()
    await connection.execute(LIMITS, {"lock_ms": str(lock_ms), "idle": str(idle_ms)})


async def migrated(demand: Callable[[], Awaitable[str]]) -> str:
    """Return the schema's revision if nothing is to be migrated.

    Raises: DatabaseUnavailableError if something is: that takes a connection of its own.
    """
    try:
        return await demand()
    except DatabaseUnavailableError as error:
        if "countersign migrate" not in str(error):
            raise
        todo = "Give it the database's own address: PgBouncer's takes no migration."
        raise DatabaseUnavailableError(f"{error} {todo}", f"{error.public} {todo}") from error
