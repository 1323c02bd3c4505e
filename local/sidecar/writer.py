"""The one thread that writes: it gathers waiting operations into one transaction and answers them after its commit.

Many turns and calls share one fsync, and no caller hears "done" before the disk has it. Knows nothing of rules.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from local.sidecar.engine import Effects, Engine
from local.sidecar.errors import Refused, StoreUnavailable

LARGEST_BATCH = 256  # operations in one transaction

Operation = Callable[[Engine], Any]
_Waiting = tuple[Operation, "asyncio.Future[Any]"]
_Answer = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Writer:
    """Runs operations on the writing connection; answers arrive on the event loop that made it."""

    def __init__(
        self, path: Path, database: sqlite3.Connection, engine: Engine, on_commit: Callable[[Effects], None]
    ) -> None:
        self._path = path
        self._database = database
        self._engine = engine
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sidecar-writer")
        self._thread.start()

    def submit(self, operation: Operation) -> "asyncio.Future[Any]":
        """Queues an operation; the future is done once its transaction is durable.

        It raises what the operation refused, or StoreUnavailable if the database took nothing.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put((operation, future))
        return future

    def close(self) -> None:
        """Finishes what is queued and ends the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()
        self._database.close()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, more = self._gather(first)
            self._commit(batch)
            if not more:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        batch = [first]
        while len(batch) < LARGEST_BATCH:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return batch, False
            batch.append(waiting)
        return batch, True

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            answers = self._transaction(batch)
        except Exception as error:  # noqa: BLE001 - the last resort: whatever went wrong must reach its caller
            self._abandon()
            if len(batch) > 1:  # only the operation that can't be stored may fail
                for waiting in batch:
                    self._commit([waiting])
                return
            answers = [(batch[0][1], None, self._explained(error))]
        self._loop.call_soon_threadsafe(self._settle, answers, self._engine.take_effects())

    def _transaction(self, batch: list[_Waiting]) -> list[_Answer]:
        self._database.execute("BEGIN IMMEDIATE")
        answers: list[_Answer] = []
        for operation, future in batch:
            try:
                answers.append((future, operation(self._engine), None))
            except Refused as refusal:
                answers.append((future, None, refusal))
        self._database.execute("COMMIT")
        return answers

    def _abandon(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
        self._engine.take_effects()

    def _explained(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL":
            text = f"the disk that holds {self._path} is full. Nothing of this call was stored: free space, try again"
            return StoreUnavailable(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
            text = f"{self._path} is damaged ({error}). Stop the sidecar and restore the file from a backup"
            return StoreUnavailable(grpc.StatusCode.DATA_LOSS, text)
        text = f"{self._path} can't be written ({error}). Nothing of this call was stored: try again"
        return StoreUnavailable(grpc.StatusCode.UNAVAILABLE, text)

    def _settle(self, answers: list[_Answer], effects: Effects) -> None:
        self._on_commit(effects)
        for future, result, error in answers:
            if future.done():
                continue  # its caller has gone
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
