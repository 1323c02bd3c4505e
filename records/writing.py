"""Write transactions: on SQLite in turn and several in one commit, on PostgreSQL beside one another.

Knows nothing of what is written, but that the audit's entries are a transaction's last statements. In turn: the first
writer of a group begins the transaction. A writer that leaves its block while others wait leaves the transaction open
for the next one; the last, or the one that fills the group, commits for all. A writer that fails is rolled back to its
savepoint. No writer hears of success before the commit that holds its work has returned.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records import appending

GROUP = 32
T = TypeVar("T")


class Transactions(NamedTuple):
    """Begin, commit and undo a transaction that writes, also before its first statement."""

    begin: Callable[[AsyncConnection], Awaitable[None]]
    commit: Callable[[AsyncConnection], Awaitable[None]]
    rollback: Callable[[AsyncConnection], Awaitable[None]]


class Group:
    """Writers that share a commit. `done` is resolved by the commit, or fails with its error."""

    def __init__(self) -> None:
        self.members = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # a member may have given up


class Tasks:
    """Work that goes on to its end, so that a caller that is cancelled cannot leave a lock behind."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it in a task of its own."""
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    async def own(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it to its end even when the caller is cancelled meanwhile."""
        return await asyncio.shield(self.start(work))


class SideBySide:
    """Writers that rely on keys and row locks: a pooled connection for each. For one event loop."""

    def __init__(self, engine: AsyncEngine, transactions: Transactions) -> None:
        self._engine = engine
        self._transactions = transactions
        self._tip = appending.Tip()
        self._tasks = Tasks()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Give the connection for one writer's work; return after its commit."""
        connection = await self._begun()
        try:
            yield connection
        except BaseException:
            await self._tasks.own(self._undo(connection))
            raise
        await self._tasks.own(self._commit(connection))

    async def _begun(self) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            await self._transactions.begin(connection)
        except BaseException:
            await self._tasks.own(connection.close())
            raise
        return connection

    async def _undo(self, connection: AsyncConnection) -> None:
        appending.drop(connection)
        try:
            await self._transactions.rollback(connection)
        except Exception:  # noqa: BLE001 whatever it is, the connection is not to be used again
            with suppress(SQLAlchemyError, OSError):
                await connection.invalidate()
        finally:
            with suppress(SQLAlchemyError, OSError):
                await connection.close()

    async def _commit(self, connection: AsyncConnection) -> None:
        try:
            await appending.write(connection, self._tip)
            await self._transactions.commit(connection)
        except BaseException:
            await self._undo(connection)
            raise
        await connection.close()

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._tasks.running:
            await asyncio.wait(self._tasks.running)


class InTurn:
    """One connection, one lock, first come first served. For one event loop."""

    def __init__(self, engine: AsyncEngine, transactions: Transactions) -> None:
        self._engine = engine
        self._transactions = transactions
        self._tip = appending.Tip()
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._connection: AsyncConnection | None = None
        self._group: Group | None = None
        self._tasks = Tasks()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Give the connection for one writer's work; return after its commit."""
        connection, group = await self._enter()
        entries = appending.kept(connection)
        try:
            savepoint = await connection.begin_nested() if group.members else None
            yield connection
            if savepoint is not None:
                await savepoint.commit()
        except BaseException:
            await self._tasks.own(self._undo(connection, group, entries))
            raise
        group.members += 1
        if self._waiting and group.members < GROUP:
            self._lock.release()
        else:
            self._tasks.start(self._commit(connection, group))
        await asyncio.shield(group.done)

    async def _enter(self) -> tuple[AsyncConnection, Group]:
        self._waiting += 1
        try:
            await self._lock.acquire()
        except BaseException:
            # The one before may have left its transaction open for us.
            self._waiting -= 1
            self._tasks.start(self._sweep())
            raise
        self._waiting -= 1
        if self._connection is not None and self._group is not None:
            return self._connection, self._group
        return await self._open()

    async def _open(self) -> tuple[AsyncConnection, Group]:
        """Begin a transaction. On failure, or when the caller gives up, nobody holds the lock."""
        kept = self._connection is not None
        try:
            try:
                connection = await self._begun()
            except DBAPIError as error:
                if not (kept and error.connection_invalidated):
                    raise
                await self._discard()  # the server was restarted since the last write: nothing was done, so once more
                connection = await self._begun()
        except BaseException:
            self._tasks.start(self._let_go())  # a thread that waits for another process's lock is not to be waited for
            raise
        self._group = Group()
        return connection, self._group

    async def _begun(self) -> AsyncConnection:
        self._connection = connection = self._connection or await self._engine.connect()
        await self._transactions.begin(connection)
        return connection

    async def _let_go(self) -> None:
        """Give up the connection, on which a transaction may be half begun, and the lock."""
        try:
            await self._discard()
        finally:
            self._lock.release()

    async def _undo(self, connection: AsyncConnection, group: Group, entries: int) -> None:
        """Undo one writer's work; what others did in the same group, with its first `entries`, is committed."""
        appending.drop(connection, but=entries)
        if not group.members:
            await self._abandon(connection)
            return
        nested = connection.get_nested_transaction()
        try:
            if nested is not None:
                await nested.rollback()
        except SQLAlchemyError as error:
            group.done.set_exception(error)
            await self._abandon(connection)
            return
        if self._waiting:
            self._lock.release()
        else:
            await self._commit(connection, group)

    async def _abandon(self, connection: AsyncConnection) -> None:
        """Roll the whole transaction back and let the next one in."""
        self._group = None
        try:
            appending.drop(connection)
            await self._transactions.rollback(connection)
        except Exception:  # noqa: BLE001 whatever it is, the connection is not to be used again
            await self._discard()
        finally:
            self._lock.release()

    async def _commit(self, connection: AsyncConnection, group: Group) -> None:
        """Commit for the whole group, tell its members, let the next one in."""
        try:
            await appending.write(connection, self._tip)
            await self._transactions.commit(connection)
        except Exception as error:  # noqa: BLE001 whatever it is, every member has to hear it
            group.done.set_exception(error)
            await self._abandon(connection)
        else:
            self._group = None
            group.done.set_result(None)
            self._lock.release()

    async def _sweep(self) -> None:
        """Commit a group that was left open for a writer that has given up."""
        await self._lock.acquire()
        if self._group is None or self._connection is None:
            self._lock.release()
        else:
            await self._commit(self._connection, self._group)

    async def _discard(self) -> None:
        """Close a connection that is not to be trusted any more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                await connection.invalidate()
            with suppress(SQLAlchemyError, OSError):
                await connection.close()

    async def close(self) -> None:
        """Wait for what is under way, then let the connection go."""
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()
