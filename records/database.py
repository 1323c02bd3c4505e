"""The way to the database: one transaction to write, a pool to read. Knows connections and errors, no tables.

On SQLite writers come one after the other: in this process by a fair lock, across processes by SQLite's own. Those that
queue behind one another share a commit: each has its savepoint, all wait for the same fsync. On PostgreSQL they write
beside one another, so what reads before it writes locks its row (`instances.locked`) or a name (`records.locks`). On
both the audit's entries are chained last; on PostgreSQL inside the COMMIT, and that alone is under a lock for all.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from records import addresses, failures, fencing, pgbouncer, plain, schema
from records.errors import DatabaseUnavailableError, DatabaseUnusableError, LeaseLostError, RecordsError
from records.login import Login
from records.plain import Transaction, Work
from records.sqlite import driver
from records.sqlite.reading import QuickReader
from records.sqlite.wal import PAGES, WriteAheadLog
from records.unreadable import OPTION, BadRows
from records.writing import InTurn, SideBySide, Transactions

P = ParamSpec("P")
T = TypeVar("T")

BUSY_MS = 5_000
IDLE_MS = 10_000  # a process that was stopped in the middle of a transaction must not keep its locks for ever
READERS = 4
WRITERS = 4
"""Connections that write at the same time on PostgreSQL."""
FAILED = "a statement failed"
TROUBLE_S = 60.0


class Database:
    """An open database. Use `Database.open(url)`, then `migrate()` once, then `write()` and `read()`."""

    def __init__(  # noqa: PLR0913, PLR0917 the engines it is made of
        self,
        url: URL,
        writing: AsyncEngine,
        reading: AsyncEngine,
        transactions: Transactions,
        listening: AsyncEngine | None = None,
        looking: AsyncEngine | None = None,
        login: Login | None = None,
    ) -> None:
        self._url, self._login = url, login
        self.where = addresses.shown(url)
        self.dialect = url.get_backend_name()
        self.bad_rows = BadRows()
        self._trouble, self._trouble_at = "", 0.0
        self._listening = listening
        writing, reading = (each.execution_options(**{OPTION: self.bad_rows}) for each in (writing, reading))
        self.engines: tuple[AsyncEngine, ...] = (writing, reading)
        self._quick: QuickReader | None = None
        if looking is not None:
            looking = looking.execution_options(**{OPTION: self.bad_rows})
            self._quick, self.engines = QuickReader(looking), (*self.engines, looking)
        self._reading = reading
        self._writer = (InTurn if self.dialect == "sqlite" else SideBySide)(writing, transactions)
        self._pooled = transactions is not IN_SQLITE and listening is None
        self._log = WriteAheadLog(reading) if self.dialect == "sqlite" else None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        busy_ms: int = BUSY_MS,
        readers: int = READERS,
        pragmas: tuple[str, ...] = (),
    ) -> Self:
        """Prepare a database by URL; nothing is connected yet. `busy_ms`: how long to wait for another process's write.

        Raises DatabaseUnusableError for a URL that cannot be used. `pragmas` are further statements for SQLite.
        """
        parsed = addresses.parse(url)
        if parsed.get_backend_name() == "sqlite":
            make: Callable[..., AsyncEngine] = partial(_sqlite_engine, parsed, busy_ms)
            writes, reads = (f"PRAGMA wal_autocheckpoint={PAGES}", *pragmas), (*pragmas, "PRAGMA query_only=ON")
            reading, looking = make(reads, at_once=False, size=readers), make(reads, at_once=True, size=1)
            return cls(parsed, make(writes, at_once=True, size=1), reading, IN_SQLITE, looking=looking)
        parsed, pooled = addresses.pooled(parsed)
        login = Login(parsed)
        make = partial(_postgres_engine, parsed, busy_ms, login, pooled=pooled)
        if pooled:
            each = IN_POSTGRES._replace(begin=partial(pgbouncer.begin, busy_ms, IDLE_MS))
            return cls(parsed, make(size=WRITERS), make(size=readers), each, login=login)
        return cls(parsed, make(size=WRITERS), make(size=readers), IN_POSTGRES, make(size=1), login=login)

    async def use(self, url: str) -> None:
        """Log in with the URL's user and password from now on; transactions under way end with those of before.

        Raises DatabaseUnusableError for another server or database, DatabaseUnavailableError if the server does not
        take them: then those of before stay in use.
        """
        wanted, _ = addresses.pooled(addresses.parse(url))
        if self._login is None or _without_login(wanted) != _without_login(self._url):
            raise DatabaseUnusableError(
                "COUNTERSIGN_DATABASE_URL names another database: user and password change while the program runs, "
                "all else needs a restart."
            )
        with self._explained():
            async with _one_connection(wanted):
                self._login.become(wanted)
        self._url = wanted

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give the connection of one write transaction; it is committed (fsync included) when the block has been left.

        An exception in the block undoes what the block did and nothing else. Keep it short and await only the
        database in it: others who write may wait. Raises DatabaseUnavailableError, DatabaseUnusableError, and
        LeaseLostError in the work of a loop whose lease another process holds by now.
        """
        with self._noted(), self._explained():
            async with self._writer.transaction() as connection:
                await fencing.check(connection)
                yield connection
        self._written()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except DatabaseUnavailableError as error:
            if not isinstance(error, LeaseLostError):
                self._trouble, self._trouble_at = error.public, time.monotonic()
            raise

    def _written(self) -> None:
        self._trouble = ""
        if self._log is not None:
            self._log.committed()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that sees one committed state and cannot write. Raises like `write`."""
        with self._explained():
            async with self._reading.connect() as connection:
                if self.dialect == "sqlite":
                    await connection.exec_driver_sql("BEGIN")
                else:
                    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield connection

    async def transact(self, work: Work[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a plain function in a write transaction; return its result after the commit. Raises like `write`.

        An exception in the work undoes it alone. On SQLite it shares the flush with all that waits like it.
        """
        whole = partial(_given, work, arguments, named)
        if fencing.fence() is not None:
            async with self.write() as connection:
                return await plain.run(connection, whole)
        with self._noted(), self._explained():
            result = await self._writer.whole(whole)
        self._written()
        return result

    async def look(self, work: Work[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a plain function that reads rows by key, in one committed state. Raises like `write`.

        On SQLite it runs at once, on the loop: it is shorter than the way to a thread and back.
        """
        whole = partial(_given, work, arguments, named)
        if self._quick is None:
            async with self.read() as connection:
                return await plain.run(connection, whole)
        with self._explained():
            return await self._quick.look(whole)

    @property
    def trouble(self) -> str:
        """The public message of the last minute's failed write; empty if the last write succeeded."""
        return self._trouble if time.monotonic() - self._trouble_at < TROUBLE_S else ""

    def _explained(self) -> failures.Explained:
        return failures.Explained(self.where)

    async def migrate(self, migrations: Path = schema.MIGRATIONS) -> str:
        """Bring the schema to what this program knows and return its revision. Safe with several processes at once.

        On PostgreSQL others write meanwhile; the connection is one of its own, and its statements may take long. A
        pool of connections has none: through PgBouncer this only checks.

        Raises DatabaseUnusableError for a foreign, damaged or newer database, which is left as it is.
        """
        if self._pooled:
            return await pgbouncer.migrated(self.demand)
        if self.dialect == "sqlite":
            async with self.write() as connection:
                return await connection.run_sync(schema.upgrade, self.where, migrations)
        with self._explained():
            async with _migrating(self._url) as connection:
                return await connection.run_sync(schema.upgrade, self.where, migrations)

    async def demand(self) -> str:
        """Return the schema's revision if this program works on it; nothing is changed.

        Raises DatabaseUnavailableError while it is to be migrated, DatabaseUnusableError as `migrate`.
        """
        async with self.read() as connection:
            return await connection.run_sync(schema.demand, self.where)

    async def revision(self) -> str | None:
        """Return the schema's revision, None before the first `migrate`."""
        async with self.read() as connection:
            return await connection.run_sync(schema.current, self.where)

    async def ping(self) -> None:
        """Return when the database answers and has our schema. Raises like `read`."""
        async with self.read() as connection:
            await connection.execute(sa.text("SELECT 1 FROM instances LIMIT 1"))

    async def check(self) -> tuple[str, ...]:
        """Return what SQLite's integrity check complains of; PostgreSQL checks by itself. Slow on large files."""
        if self.dialect != "sqlite":
            return ()
        async with self.read() as connection:
            rows = (await connection.exec_driver_sql("PRAGMA integrity_check(20)")).scalars().all()
        return tuple(str(row) for row in rows if row != "ok")

    async def own_connection(self) -> Any:
        """Return a connection to listen on, which its user invalidates; None if there is none. Raises like `read`.

        SQLite has none, and PgBouncer's belong to us for one transaction at a time.
        """
        if self._listening is None:
            return None
        with self._explained():
            return await self._listening.raw_connection()

    async def close(self) -> None:
        """Let go of all connections; a commit under way is waited for."""
        await self._writer.close()
        if self._quick is not None:
            await self._quick.close()
        if self._log is not None:
            await self._log.close()
        for engine in (*self.engines, *([self._listening] if self._listening is not None else [])):
            await engine.dispose()


def _given(work: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any], transaction: Transaction) -> T:
    return work(transaction, *arguments, **named)


async def _begin_sqlite(connection: AsyncConnection) -> None:
    await driver.of(connection).begin_immediate()


async def _commit_sqlite(connection: AsyncConnection) -> None:
    # SQLAlchemy knows of the transaction from its first own statement on; prepared ones go past it.
    await (connection if connection.in_transaction() else driver.of(connection)).commit()


async def _rollback_sqlite(connection: AsyncConnection) -> None:
    # A transaction whose COMMIT failed is inactive to SQLAlchemy, and it refuses all others until that one is undone.
    await connection.rollback()
    await driver.of(connection).rollback()


async def _begin_postgres(connection: AsyncConnection) -> None:
    await connection.begin()  # else a rollback before the first statement does nothing


async def _rollback_postgres(connection: AsyncConnection) -> None:
    if not connection.invalidated:
        connection.info.pop(FAILED, None)
    await connection.rollback()


async def _commit_postgres(connection: AsyncConnection) -> None:
    # After a failed statement that the block made nothing of, COMMIT rolls back and says so to nobody; this one raises.
    if connection.info.pop(FAILED, False):
        await connection.execute(sa.text("SELECT 1"))
    await connection.commit()


@asynccontextmanager
async def _migrating(url: URL) -> AsyncIterator[AsyncConnection]:
    """Give the one connection that migrates. Its statements may take long; a lock that writers wait for may not."""
    async with _one_connection(url) as connection:  # whose end ends the session, and with it the lock
        await connection.execute(sa.text("SELECT pg_advisory_lock(hashtext('schema'))"))
        await connection.execute(sa.text(f"SET lock_timeout = {BUSY_MS}"))
        await connection.commit()
        yield connection


@asynccontextmanager
async def _one_connection(url: URL) -> AsyncIterator[AsyncConnection]:
    """Give a connection of its own, beside all pools."""
    named = {"application_name": "countersign migrate"}
    engine = create_async_engine(
        url, connect_args={"server_settings": named, "timeout": 5}, poolclass=NullPool, hide_parameters=True
    )
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _without_login(url: URL) -> URL:
    return addresses.pooled(url)[0]._replace(username=None, password=None)


def _note_failure(context: sa.engine.ExceptionContext) -> None:
    if context.connection is not None and not context.connection.invalidated:
        context.connection.info[FAILED] = True


IN_SQLITE = Transactions(_begin_sqlite, _commit_sqlite, _rollback_sqlite)
IN_POSTGRES = Transactions(_begin_postgres, _commit_postgres, _rollback_postgres)


def _sqlite_engine(url: URL, busy_ms: int, extra: tuple[str, ...], *, at_once: bool, size: int) -> AsyncEngine:
    path = str(url.database)

    async def connect(*_: Any, **__: Any) -> driver.Connection:
        _make_private(path)
        connection = driver.Connection(path, at_once=at_once, busy_ms=busy_ms, extra=extra)
        await connection
        return connection

    return create_async_engine(
        url,
        connect_args={"async_creator_fn": connect},
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=busy_ms / 1000,
        hide_parameters=True,
    )


def _make_private(path: str) -> None:
    """Create a missing file so that only its owner can read it: it holds who approved what."""
    if not Path(path).parent.is_dir():
        what = "cannot be opened: its folder does not exist. Create the folder, or name another file."
        raise DatabaseUnavailableError(f"The database {path} {what}", f"The database {what}")
    if not Path(path).exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _postgres_engine(url: URL, busy_ms: int, login: Login, *, size: int, pooled: bool = False) -> AsyncEngine:
    limits = {"lock_timeout": str(busy_ms), "idle_in_transaction_session_timeout": str(IDLE_MS)}
    settings = {"application_name": "countersign", **({} if pooled else limits)}
    extra = pgbouncer.CONNECT if pooled else {}
    engine = create_async_engine(
        url,
        connect_args={"server_settings": settings, "timeout": 5, "command_timeout": 30, **extra},
        pool_size=size,
        max_overflow=0,
        pool_timeout=busy_ms / 1000,
        hide_parameters=True,
    )
    sa.event.listen(engine.sync_engine, "handle_error", _note_failure)
    login.of(engine)
    return engine


__all__ = ["Database", "DatabaseUnavailableError", "RecordsError"]
