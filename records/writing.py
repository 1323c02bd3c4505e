"""Write transactions: on SQLite in turn, plain work of many callers in one commit; on PostgreSQL beside one another.

Knows nothing of what is written, but that the audit's entries are a transaction's last statements. In turn: plain work
that waits when the connection is free is run at once, each in its savepoint, and committed with one flush. No writer
hears of success before the commit that holds its work has returned.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records import appending, plain
from records.plain import OnSqlite, Transaction

GROUP = 16
"""Jobs in one commit; the event loop is blocked while they run."""

T = TypeVar("T")


class Transactions(NamedTuple):
    """Begin, commit and undo a transaction that writes, also before its first statement."""

    begin: Callable[[AsyncConnection], Awaitable[None]]
    commit: Callable[[AsyncConnection], Awaitable[None]]
    rollback: Callable[[AsyncConnection], Awaitable[None]]


class QueuedWork(NamedTuple):
    """Plain work that waits for its turn. `done` is resolved after the commit, or fails with its error."""

    work: Callable[[Transaction], Any]
    done: "asyncio.Future[Any]"


async def discard(connection: AsyncConnection) -> None:
    """Close a connection that is not to be used again, whatever has become of it."""
    with suppress(SQLAlchemyError, OSError):
        await connection.invalidate()
    with suppress(SQLAlchemyError, OSError):
        await connection.close()


class Tasks:
    """Tasks that finish although their caller is cancelled, so that no lock is left behind."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it in a task of its own."""
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    async def own(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work to its end even if the caller is cancelled."""
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

    async def whole(self, work: Callable[[Transaction], T]) -> T:
        """Run plain work in a transaction of its own; return after its commit."""
        async with self.transaction() as connection:
            return await plain.run(connection, work)

    async def _begun(self) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            await self._transactions.begin(connection)
        except BaseException:
            await self._tasks.own(connection.close())
            raise
        return connection

    async def _undo(self, connection: AsyncConnection) -> None:
        if not connection.invalidated:
            appending.drop(connection.info)
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
        self._connection: AsyncConnection | None = None
        self._jobs: list[QueuedWork] = []
        self._working = False
        self._tasks = Tasks()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Give the connection for one writer's work; return after its commit."""
        connection = await self._open()
        try:
            yield connection
        except BaseException:
            await self._tasks.own(self._undo(connection))
            raise
        await self._tasks.own(self._commit(connection))

    async def whole(self, work: Callable[[Transaction], T]) -> T:
        """Run plain work with all that waits like it; return after the commit of all.

        Work whose caller gives up before its turn is not begun.
        """
        job = QueuedWork(work, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if not self._working:
            self._working = True
            self._tasks.start(self._work())
        return await job.done  # type: ignore[no-any-return]

    async def _work(self) -> None:
        try:
            while self._jobs:
                await self._group()
        finally:
            self._working = False

    async def _group(self) -> None:
        try:
            connection = await self._open()
        except Exception as error:  # noqa: BLE001 whatever it is, all that wait have to hear it
            _settle(self._taken(len(self._jobs)), error)
            return
        jobs = self._taken(GROUP)
        try:
            results = _results(plain.on_sqlite(connection), jobs)
        except BaseException as error:  # noqa: BLE001 as above
            await self._undo(connection)
            _settle(jobs, error)
            return
        try:
            await self._commit(connection)
        except Exception as error:  # noqa: BLE001 as above
            _settle(jobs, error)
        else:
            _settle(jobs, *results)

    def _taken(self, count: int) -> list[QueuedWork]:
        """Take jobs off the queue, without those whose caller has given up."""
        taken, self._jobs = self._jobs[:count], self._jobs[count:]
        return [job for job in taken if not job.done.done()]

    async def _open(self) -> AsyncConnection:
        """Take the lock and begin. On failure, or when the caller gives up, nobody holds the lock."""
        await self._lock.acquire()
        kept = self._connection is not None
        try:
            try:
                return await self._begun()
            except DBAPIError as error:
                if not (kept and error.connection_invalidated):
                    raise
                await self._discard()  # nothing was done yet, so once more
                return await self._begun()
        except BaseException:
            self._tasks.start(self._let_go())  # a thread that waits for another process's lock is not to be waited for
            raise

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

    async def _undo(self, connection: AsyncConnection) -> None:
        try:
            if not connection.invalidated:
                appending.drop(connection.info)
            await self._transactions.rollback(connection)
        except Exception:  # noqa: BLE001 whatever it is, the connection is not to be used again
            await self._discard()
        finally:
            self._lock.release()

    async def _commit(self, connection: AsyncConnection) -> None:
        """Commit and let the next one in; a commit that fails is undone."""
        try:
            await appending.write(connection, self._tip)
            await self._transactions.commit(connection)
        except BaseException:
            await self._undo(connection)
            raise
        self._lock.release()

    async def _discard(self) -> None:
        """Close a connection that is not to be trusted any more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await discard(connection)

    async def close(self) -> None:
        """Wait for what is under way, then let the connection go."""
        while self._working:
            await asyncio.wait(self._tasks.running)
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()


class _Failed(NamedTuple):
    error: BaseException


def _results(transaction: OnSqlite, jobs: Sequence[QueuedWork]) -> list[Any]:
    """Run the work of a group. What fails is undone by itself, unless SQLite has undone the whole transaction."""
    if len(jobs) == 1:
        return [jobs[0].work(transaction)]  # without a savepoint: if it fails the whole transaction is undone
    return [_result(transaction, job) for job in jobs]


def _result(transaction: OnSqlite, job: QueuedWork) -> Any:
    entries = appending.kept(transaction.info)
    transaction.run("SAVEPOINT work", ())
    try:
        result = job.work(transaction)
    except Exception as error:
        if not transaction.stands:
            raise
        appending.drop(transaction.info, but=entries)
        transaction.run("ROLLBACK TO work", ())
        result = _Failed(error)
    transaction.run("RELEASE work", ())
    return result


def _settle(jobs: Sequence[QueuedWork], *results: Any) -> None:
    """Tell each caller its result, or all of them the one error."""
    if len(results) == 1 and isinstance(results[0], BaseException):
        results = tuple(_Failed(results[0]) for _ in jobs)
    for job, result in zip(jobs, results, strict=True):
        if job.done.done():
            continue  # its caller has given up
        if isinstance(result, _Failed):
            job.done.set_exception(result.error)
        else:
            job.done.set_result(result)
